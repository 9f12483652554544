#include "agent/worker/log_quota.h"

static bool is_new_second(const struct log_quota *quota, int64_t now_ms) {
    return now_ms / 1000 != quota->second;
}

bool log_quota_take(struct log_quota *quota, int64_t now_ms) {
    if (is_new_second(quota, now_ms)) {
        quota->second = now_ms / 1000;
        quota->num_said = 0;
    }
    if (quota->num_said >= LOG_QUOTA_LINES) {
        quota->num_more++;
        return false;
    }
    quota->num_said++;
    return true;
}

uint32_t log_quota_settle(struct log_quota *quota, int64_t now_ms) {
    uint32_t more = quota->num_more;
    if (more == 0 || !is_new_second(quota, now_ms)) {
        return 0;
    }
    quota->num_more = 0;
    return more;
}
