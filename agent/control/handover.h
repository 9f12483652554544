// The hand-over of an agent's listening sockets to its successor: messages over a SOCK_SEQPACKET
// socket in the abstract namespace (it leaves no file behind, and belongs to one network namespace
// like the listeners themselves). Only the same user or root may talk here, in both directions.
//
//     successor                          predecessor
//     FETCH (its watcher, if any) ->            which is told whether the application was seen
//                                <-      SOCKETS... (descriptors), then LISTENER (this very socket)
//     READY                      ->                                    it has an identity
//                                <-      PINS (a file in memory)       and no state is saved here
//     ACCEPTING                  ->                                    from here on it drains
//
// Until ACCEPTING the predecessor serves as ever; when the successor ends before, nothing happened.
// BUSY instead of an answer sends the successor away. A connection that ends without it says that
// the predecessor is dead.
#ifndef AGENT_CONTROL_HANDOVER_H
#define AGENT_CONTROL_HANDOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/netaddr.h"
#include "base/own.h"

enum handover_kind {
    HANDOVER_FETCH = 1,
    HANDOVER_SOCKETS,
    HANDOVER_LISTENER,
    HANDOVER_READY,
    HANDOVER_PINS,
    HANDOVER_ACCEPTING,
    HANDOVER_BUSY, // there is another successor, or the predecessor ends or waits no longer
};

#define HANDOVER_FDS_MAX 64 // in one message

struct handover_message {
    enum handover_kind kind;
    int fds[HANDOVER_FDS_MAX]; // the receiver's to close
    size_t num_fds;
};

enum handover_outcome {
    HANDOVER_OK,
    HANDOVER_AGAIN, // nothing now
    HANDOVER_ENDED, // the other side is gone
    HANDOVER_BAD,   // it speaks another version, or nonsense
};

// Where the agent that listens at `first` (its status port, say) is to be found.
#define HANDOVER_NAME_MAX 96
void handover_name(const struct netaddr *first, char out[HANDOVER_NAME_MAX]);

int handover_listen(const char *name, struct err *err) MUST_USE; // -1 with the sentence
// Accepts one successor of a user who may; -1 when there is none. `*pid` is its process.
int handover_accept(int listener, pid_t *pid);
// Connects to the predecessor; what is received waits for `wait_s` seconds at most. -1 with the
// sentence when there is none, or it belongs to a user who may not be it.
int handover_connect(const char *name, int wait_s, struct err *err) MUST_USE;

bool handover_send(int fd, const struct handover_message *message) MUST_USE;
bool handover_say(int fd, enum handover_kind kind) MUST_USE; // without descriptors
enum handover_outcome handover_receive(int fd, struct handover_message *out) MUST_USE;
void handover_close_all(struct handover_message *message); // its descriptors

#endif
