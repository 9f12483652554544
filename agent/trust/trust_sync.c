#include "agent/trust/trust_sync.h"

#include "certmgr/trust/trust_files.h"
#include "certmgr/trust/trust_gather.h"

bool trust_sync(const struct trust_options *options, const struct trust_set *before, int64_t now,
                struct trust_sync_result *out, struct err *err) {
    OWNED(trust_set_unref) struct trust_set *set = trust_gather(options, before, now, err);
    if (set == NULL) {
        return false;
    }
    struct trust_files files = {0};
    struct trust_sync_result result = {0};
    bool ok = trust_files_render(set, options, &files, err) &&
              trust_store_write(options->output, &files, &result.state, &result.changed, err);
    trust_files_fini(&files);
    if (!ok) {
        return false;
    }
    result.set = take(&set);
    *out = result;
    return true;
}
