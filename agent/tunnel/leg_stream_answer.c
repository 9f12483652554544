// A server stream's answer, and when it leaves.
#include "agent/tunnel/leg_stream.h"
#include "agent/tunnel/leg_stream_internal.h"

static void submit_status(struct leg_stream *self, int status) {
    list_remove(&self->owed);
    if (self->stream != NULL && !h2_stream_respond(self->stream, status)) {
        self->failed = true;
        self->leg.failure = CLOSE_NO_MEMORY;
    }
    if (self->tunnel != NULL) {
        tunnel_mark_dirty(self->tunnel);
    }
}

void leg_stream_answer_owed(struct leg_stream *self) {
    if (list_is_linked(&self->owed)) {
        submit_status(self, 200);
    }
}

void leg_stream_respond(struct leg_stream *self, int status) {
    if (status == 200 && self->stream != NULL) {
        list_append(&self->tunnel->env->owed, &self->owed);
        return;
    }
    submit_status(self, status);
    if (status != 200) {
        if (self->stream != NULL) {
            h2_stream_set_arg(self->stream, NULL);
        }
        leg_stream_detach(self);
    }
}

void leg_stream_answer_early(struct tunnel_env *env) {
    LIST_FOR_EACH(&env->owed, it) {
        struct leg_stream *self = LIST_ENTRY(it, struct leg_stream, owed);
        if (!self->fed) {
            submit_status(self, 200);
        }
    }
    if (!list_is_empty(&env->owed) && !ev_is_active(&env->answer)) {
        ev_timer_set(&env->answer, TUNNEL_ANSWER_MS / 1e3, 0);
        ev_timer_start(env->loop, &env->answer);
    }
}

void leg_stream_on_answer_time(struct ev_loop *loop UNUSED, ev_timer *timer, int events UNUSED) {
    struct tunnel_env *env = timer->data;
    while (!list_is_empty(&env->owed)) {
        submit_status(LIST_ENTRY(env->owed.head.next, struct leg_stream, owed), 200);
    }
}
