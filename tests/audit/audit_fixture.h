// A collector in the test's own process: it listens, takes one connection at a time, reads lines.
#ifndef TESTS_AUDIT_AUDIT_FIXTURE_H
#define TESTS_AUDIT_AUDIT_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

struct collector {
    int listener, fd;
    char address[128]; // for status.audit.address
    char path[108];    // "" over TCP
    char text[65536];  // what has come and was not asked for yet
    size_t len;
};

void collector_open(struct collector *collector);      // on 127.0.0.1
void collector_open_unix(struct collector *collector); // in a directory of its own
void collector_accept(struct collector *collector);
// Closes the connection; the listener stays.
void collector_hang_up(struct collector *collector);
void collector_close(struct collector *collector);
// The next line without its newline, at most `cap` bytes; waits for it.
void collector_read_line(struct collector *collector, char *out, size_t cap);

#endif
