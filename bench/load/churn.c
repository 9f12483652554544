// Connections that live for one byte each way.
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "bench/load/echo.h"
#include "bench/load/endpoint.h"
#include "bench/load/loads.h"
#include "bench/load/loop.h"

#define MAX_FAILURES 20
#define ANSWER_NS INT64_C(5000000000)

struct churn {
    struct loop loop;
    struct echo echo;
    const struct options *options;
    struct churn_slot *slots;
    struct histogram first_byte;
    unsigned num_dialled;
    unsigned num_open;
    uint64_t num_done;
    unsigned num_failed;
    bool is_over;
};

struct churn_slot {
    struct watch watch;
    struct churn *churn;
    int64_t dialled_ns;
};

static void ask(struct churn_slot *slot) {
    size_t len = 1;
    // A connection that is not there yet says so; then the socket tells when it is writable.
    bool is_sent = endpoint_send(slot->watch.fd, "?", &len) == ENDPOINT_OK;
    loop_set(&slot->churn->loop, &slot->watch, is_sent ? EPOLLIN : EPOLLIN | EPOLLOUT);
}

static void dial(struct churn_slot *slot) {
    struct churn *churn = slot->churn;
    slot->dialled_ns = loop_now_ns();
    slot->watch.fd = endpoint_dial_from(&churn->options->to, churn->num_dialled++);
    churn->num_open++;
    ask(slot);
}

static void end_slot(struct churn_slot *slot, bool is_good) {
    struct churn *churn = slot->churn;
    loop_close(&slot->watch);
    churn->num_open--;
    if (is_good) {
        churn->num_done++;
    } else if (++churn->num_failed == MAX_FAILURES) {
        loop_die("%d connections failed", MAX_FAILURES);
    }
    if (!churn->is_over) {
        dial(slot);
    }
}

static void on_slot(struct watch *watch, uint32_t events) {
    struct churn_slot *slot = WATCHED(watch, struct churn_slot, watch);
    if (events == EPOLLOUT) {
        ask(slot);
        return;
    }
    char answer;
    size_t len = 1;
    enum endpoint_outcome outcome = endpoint_recv(watch->fd, &answer, &len);
    if (outcome == ENDPOINT_AGAIN) {
        return;
    }
    if (outcome == ENDPOINT_OK) {
        histogram_add(&slot->churn->first_byte, loop_now_ns() - slot->dialled_ns);
    }
    end_slot(slot, outcome == ENDPOINT_OK);
}

static void run_until(struct churn *churn, int64_t end_ns) {
    while (loop_now_ns() < end_ns) {
        if (!loop_turn(&churn->loop, loop_now_ns() + ANSWER_NS)) {
            loop_die("no answer for five seconds");
        }
    }
}

int churn_run(const struct options *options) {
    struct churn churn = {.options = options};
    churn.slots = calloc(options->streams, sizeof(churn.slots[0]));
    if (churn.slots == NULL) {
        loop_die("no memory");
    }
    histogram_init(&churn.first_byte);
    loop_init(&churn.loop);
    echo_init(&churn.echo, &churn.loop, &options->app);
    int64_t start_ns = loop_now_ns();
    for (unsigned i = 0; i < options->streams; i++) {
        churn.slots[i].churn = &churn;
        churn.slots[i].watch.on_event = on_slot;
        dial(&churn.slots[i]);
    }
    run_until(&churn, start_ns + options->duration_ns);
    int64_t end_ns = loop_now_ns();
    uint64_t counted = churn.num_done;
    churn.is_over = true;
    while (churn.num_open > 0 && loop_turn(&churn.loop, loop_now_ns() + ANSWER_NS)) {
    }
    printf("{\"connections\":%" PRIu64 ",\"ns\":%" PRId64 ",\"total_connections\":%" PRIu64
           ",\"failures\":%u,",
           counted, end_ns - start_ns, churn.num_done, churn.num_failed);
    loads_print_latency("first_byte", &churn.first_byte);
    puts("}");
    free(churn.slots);
    return 0;
}
