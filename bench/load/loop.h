// A level-triggered epoll loop with nanosecond waits. A watch is embedded in its object and belongs
// to it; one thread. What the system refuses ends the program: a load that lost half of its
// connections measures nothing.
#ifndef BENCH_LOAD_LOOP_H
#define BENCH_LOAD_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct watch {
    int fd;
    uint32_t events; // what the loop is asked for; 0: not in the loop
    void (*on_event)(struct watch *watch, uint32_t events);
};

struct loop {
    int epoll_fd;
};

// The watch whose member MEMBER of type T this is.
#define WATCHED(watch, T, member) ((T *)(void *)((char *)(watch)-offsetof(T, member)))

void loop_init(struct loop *loop);
void loop_set(struct loop *loop, struct watch *watch, uint32_t events); // adds or changes
void loop_close(struct watch *watch);                                   // closes the descriptor
// Waits for events, at most until `deadline_ns`, and handles them. False when there were none.
bool loop_turn(struct loop *loop, int64_t deadline_ns);

int64_t loop_now_ns(void);

// One line on standard error, then exit 1.
__attribute__((noreturn, format(printf, 1, 2))) void loop_die(const char *format, ...);

#endif
