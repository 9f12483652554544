// /metrics: the Prometheus text format, version 0.0.4. No label value is chosen by a peer: reasons
// and results come from tables, names of certificates from our own identity source.
#ifndef AGENT_STATUS_RENDER_METRICS_H
#define AGENT_STATUS_RENDER_METRICS_H

#include <stdbool.h>

#include "agent/observe/observe.h"
#include "agent/status/process_stat.h"
#include "agent/status/status.h"
#include "base/buf.h"

#define RENDER_METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct render_metrics_input {
    const struct counter_sums *sums;
    const struct identity_view *identity;
    const struct reload_view *reload;
    const struct trust_view *trust;
    const struct audit_view *audit;
    const struct view *configured; // `certificates`
    int64_t now_s;                 // wall clock
    const struct process_stat *process;
    const struct readiness *checks; // `num_checks` of them
    size_t num_checks;
    const struct sandbox_view *layers; // `num_layers` of them
    size_t num_layers;
    bool is_alive; // every worker's loop turned lately
};

// Appends the whole exposition; false when memory is short.
bool render_metrics_text(struct buf *out, const struct render_metrics_input *input) MUST_USE;

#endif
