#include "tests/tunnel/tunnel_caller.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void on_wake(void *arg) {
    struct tunnel_caller *caller = arg;
    struct leg *leg = &caller->leg.leg;
    struct leg_runs offer;
    enum leg_status status;
    if (caller->before_read != NULL) {
        caller->before_read(caller->arg);
    }
    while ((status = leg->ops->peek(leg, LEG_ROOM_UNKNOWN, &offer)) == LEG_OK) {
        for (int i = 0; i < offer.num; i++) {
            assert_true(buf_append(&caller->got, offer.run[i].iov_base, offer.run[i].iov_len));
        }
        caller->num_bytes += (int)offer.len;
        assert_true(leg->ops->consume(leg, &offer, offer.len));
    }
    caller->status = caller->leg.status;
    caller->ended += status == LEG_END;
    caller->failed += status == LEG_FAILED;
}

struct tunnel *tunnel_caller_open(struct tunnel_pair *pair) {
    struct tunnel *tunnel = tunnel_pair_get(pair);
    tunnel_pair_run_until(pair, &pair->client.num_opened, pair->client.num_opened + 1);
    tunnel_pair_settle(pair);
    return tunnel;
}

void tunnel_caller_call(struct tunnel_caller *caller, struct tunnel_pair *pair,
                        struct tunnel *tunnel) {
    struct netaddr to = {.family = NETADDR_V4, .ip = {10, 0, 0, 2}, .port = 6379};
    *caller = (struct tunnel_caller){0};
    assert_true(leg_stream_open(&caller->leg, tunnel, &to, &pair->addr,
                                (struct leg_owner){on_wake, caller}));
}

void tunnel_caller_say(struct tunnel_caller *caller, const char *text) {
    uint8_t bytes[LEG_HEADROOM + TUNNEL_CALLER_SAY_MAX];
    size_t len = strlen(text);
    assert_true(len <= TUNNEL_CALLER_SAY_MAX);
    memcpy(bytes + LEG_HEADROOM, text, len);
    struct leg_runs runs = {.num = 1, .len = len};
    runs.run[0] = (struct iovec){.iov_base = bytes + LEG_HEADROOM, .iov_len = len};
    size_t taken = 0;
    assert_int_equal(caller->leg.leg.ops->write(&caller->leg.leg, &runs, &taken), LEG_OK);
    assert_int_equal(taken, len);
}
