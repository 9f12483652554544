#include "agent/observe/trust_view.h"

#include <stdlib.h>

const char *trust_state_name(enum trust_state state) {
    switch (state) {
    case TRUST_STATE_PENDING:
        return "pending";
    case TRUST_STATE_WRITTEN:
        return "written";
    case TRUST_STATE_FAILING:
        return "failing";
    case TRUST_STATE_OFF:
        break;
    }
    return "off";
}

void trust_view_fini(struct trust_view *view) {
    trust_set_unref(view->set);
    free(view->processes);
    *view = (struct trust_view){0};
}

size_t trust_view_num_stale(const struct trust_view *view) {
    size_t num = 0;
    for (size_t i = 0; i < view->num_processes; i++) {
        num += view->processes[i].needs_restart;
    }
    return num;
}
