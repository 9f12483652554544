#include "agent/observe/observe.h"

#include "base/check.h"

static const struct {
    const char *name, *sentence;
    bool is_error;
} reasons[CLOSE_REASON_COUNT] = {
#define CLOSE_REASON(id, name, is_error, sentence) [id] = {name, sentence, is_error},
#include "agent/observe/close_reason.def"
#undef CLOSE_REASON
};

static const struct metric_info metrics[METRIC_COUNT] = {
#define METRIC(id, name, type, labels, help) [id] = {name, type, labels, help},
#include "agent/observe/metric.def"
#undef METRIC
};

const char *close_reason_name(enum close_reason reason) {
    CHECK((unsigned)reason < CLOSE_REASON_COUNT);
    return reasons[reason].name;
}

const char *close_reason_sentence(enum close_reason reason) {
    CHECK((unsigned)reason < CLOSE_REASON_COUNT);
    return reasons[reason].sentence;
}

bool close_reason_is_error(enum close_reason reason) {
    CHECK((unsigned)reason < CLOSE_REASON_COUNT);
    return reasons[reason].is_error;
}

const struct metric_info *metric_info(enum metric metric) {
    CHECK((unsigned)metric < METRIC_COUNT);
    return &metrics[metric];
}

const char *direction_name(enum direction direction) {
    return direction == OUTBOUND ? "outbound" : "inbound";
}

static void sum(uint64_t *into, const _Atomic uint64_t *from, size_t num) {
    for (size_t i = 0; i < num; i++) {
        into[i] += atomic_load_explicit(&from[i], memory_order_relaxed);
    }
}

void counters_sum(struct counter_sums *into, const struct counters *from) {
    sum(into->metrics, from->metrics, METRIC_COUNT);
    for (int direction = OUTBOUND; direction <= INBOUND; direction++) {
        sum(into->closed[direction], from->closed[direction], CLOSE_REASON_COUNT);
        sum(into->refused[direction], from->refused[direction], VERIFY_RESULT_COUNT);
    }
}
