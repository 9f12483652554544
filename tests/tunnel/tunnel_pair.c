#include "tests/tunnel/tunnel_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/net/socket.h"
#include "base/buf.h"

static void on_opened(void *arg, struct tunnel *tunnel) {
    struct tunnel_side *side = arg;
    side->num_opened++;
    side->last_peer = *tunnel_peer(tunnel);
}

static void on_gone(void *arg, struct tunnel *tunnel, const struct tunnel_failure *failure) {
    struct tunnel_side *side = arg;
    (void)tunnel;
    side->num_gone++;
    side->last = *failure;
}

// Echoes what came, and the FIN.
static void wake_echo(void *arg) {
    struct leg *leg = &((struct leg_stream *)arg)->leg;
    struct leg_runs offer;
    enum leg_status status;
    while ((status = leg->ops->peek(leg, LEG_ROOM_UNKNOWN, &offer)) == LEG_OK) {
        uint8_t copy[LEG_HEADROOM + 65536];
        size_t len = 0;
        for (int i = 0; i < offer.num && len + offer.run[i].iov_len <= 65536; i++) {
            memcpy(copy + LEG_HEADROOM + len, offer.run[i].iov_base, offer.run[i].iov_len);
            len += offer.run[i].iov_len;
        }
        struct leg_runs back = {.num = 1, .len = len};
        back.run[0] = (struct iovec){.iov_base = copy + LEG_HEADROOM, .iov_len = len};
        size_t taken = 0;
        leg->ops->write(leg, &back, &taken);
        assert_true(leg->ops->consume(leg, &offer, taken));
    }
    if (status == LEG_END) {
        leg->ops->finish(leg);
        leg->ops->close(leg);
    } else if (status == LEG_FAILED) {
        leg->ops->reset(leg);
    }
}

static void on_request(void *arg, struct tunnel *tunnel, struct h2_stream *stream,
                       const struct h2_request *request) {
    struct tunnel_pair *pair = ((struct tunnel_side *)arg)->pair;
    assert_true(request->is_connect);
    memcpy(pair->authority, request->authority.ptr, request->authority.len);
    pair->authority[request->authority.len] = '\0';
    struct leg_stream *leg = &pair->streams[pair->num_streams++ % 64];
    leg_stream_adopt(leg, tunnel, stream, (struct leg_owner){wake_echo, leg});
    leg_stream_respond(leg, pair->answer);
}

static void init_side(struct tunnel_side *side, struct tunnel_pair *pair,
                      struct identity *identity) {
    side->pair = pair;
    side->turn = calloc(1, sizeof(*side->turn));
    side->context = tls_context_new(identity, span_of(NULL, 0), NULL);
    assert_non_null(side->context);
    identity_unref(identity);
    tunnel_env_init(&side->env);
    side->env.loop = pair->loop;
    side->env.turn = side->turn;
    side->env.counters = &side->counters;
    side->env.fds_left = &pair->fds_left;
    side->env.next_id = side->env.id_step = 1;
    side->env.arg = side;
    side->env.request = on_request;
    side->env.opened = on_opened;
    side->env.gone = on_gone;
}

static void on_prepare(struct ev_loop *loop, ev_prepare *prepare, int events) {
    struct tunnel_pair *pair = prepare->data;
    (void)loop;
    (void)events;
    tunnel_env_end_turn(&pair->client.env);
    tunnel_env_end_turn(&pair->server.env);
}

static void on_accept(struct ev_loop *loop, ev_io *io, int events) {
    struct tunnel_pair *pair = io->data;
    int fd = -1;
    struct netaddr peer;
    (void)loop;
    (void)events;
    if (socket_accept(pair->listener, &fd, &peer) == SOCKET_OK) {
        assert_non_null(
            tunnel_accept(&pair->server.env, fd, &peer, pair->server.context, pair->config));
    }
}

struct tunnel_pair *tunnel_pair_new(struct identity *client, struct identity *server) {
    struct tunnel_pair *pair = calloc(1, sizeof(*pair));
    struct buf said = {0};
    pair->loop = ev_loop_new(EVFLAG_AUTO);
    pair->fds_left = 1000;
    pair->answer = 200;
    pair->config = config_parse("test", span_of_text("{}"), &said, &said);
    assert_non_null(pair->config);
    buf_fini(&said);
    init_side(&pair->client, pair, client);
    init_side(&pair->server, pair, server);
    pool_init(&pair->pool, &pair->client.env);
    struct netaddr any = {.family = NETADDR_V4, .ip = {127, 0, 0, 1}};
    pair->listener = socket_listen(&any, false, NULL);
    assert_true(socket_local_address(pair->listener, &pair->addr));
    ev_io_init(&pair->accept_io, on_accept, pair->listener, EV_READ);
    pair->accept_io.data = pair;
    ev_io_start(pair->loop, &pair->accept_io);
    ev_prepare_init(&pair->prepare, on_prepare);
    pair->prepare.data = pair;
    ev_prepare_start(pair->loop, &pair->prepare);
    return pair;
}

static void end_side(struct tunnel_side *side) {
    LIST_FOR_EACH(&side->env.tunnels, it) {
        tunnel_fail_why(LIST_ENTRY(it, struct tunnel, node), CLOSE_DONE, "the test ends");
    }
    tunnel_env_end_turn(&side->env);
    tls_context_unref(side->context);
    free(side->turn);
}

void tunnel_pair_free(struct tunnel_pair *pair) {
    end_side(&pair->client);
    end_side(&pair->server);
    assert_int_equal(pair->fds_left, 1000);
    for (size_t i = 0; i < 64; i++) {
        if (pair->streams[i].leg.ops != NULL) {
            pair->streams[i].leg.ops->reset(&pair->streams[i].leg);
        }
    }
    socket_close(pair->listener);
    ev_loop_destroy(pair->loop);
    config_unref(pair->config);
    free(pair);
}

struct tunnel *tunnel_pair_get(struct tunnel_pair *pair) {
    struct tunnel_target target = {.addr = pair->addr,
                                   .context = pair->client.context,
                                   .config = pair->config,
                                   .peers = &pair->any};
    struct tunnel_failure failure = {0};
    bool reused = false;
    struct tunnel *tunnel = pool_get(&pair->pool, &target, PKI_NOW_FOR_TUNNELS, &reused, &failure);
    assert_non_null(tunnel);
    return tunnel;
}

void tunnel_pair_run_until(struct tunnel_pair *pair, const int *counter, int value) {
    for (int turns = 0; *counter < value; turns++) {
        assert_true(turns < 20000);
        ev_run(pair->loop, EVRUN_ONCE);
    }
}

void tunnel_pair_settle(struct tunnel_pair *pair) {
    for (int i = 0; i < 50; i++) {
        ev_run(pair->loop, EVRUN_NOWAIT);
    }
}
