#include "agent/audit/audit_queue.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define HEAD_MAX 80

void audit_queue_init(struct audit_queue *queue) {
    *queue = (struct audit_queue){0};
    pthread_mutex_init(&queue->lock, NULL);
}

void audit_queue_fini(struct audit_queue *queue) {
    buf_fini(&queue->lines);
    pthread_mutex_destroy(&queue->lock);
}

void audit_queue_set_max(struct audit_queue *queue, size_t max) {
    pthread_mutex_lock(&queue->lock);
    queue->max = max;
    pthread_mutex_unlock(&queue->lock);
}

static bool append(struct audit_queue *queue, struct span head, struct span rest) {
    size_t len = head.len + rest.len;
    uint8_t *room = buf_reserve_within(&queue->lines, len, queue->max);
    if (room == NULL) {
        return false;
    }
    memcpy(room, head.ptr, head.len);
    memcpy(room + head.len, rest.ptr, rest.len);
    buf_commit(&queue->lines, len);
    return true;
}

bool audit_queue_put(struct audit_queue *queue, int64_t at_s, struct span rest) {
    char head[HEAD_MAX];
    pthread_mutex_lock(&queue->lock);
    bool was_empty = queue->lines.len == 0;
    int len = snprintf(head, sizeof(head), "{\"ts\":%" PRId64 ",\"audit_seq\":%" PRIu64 ",", at_s,
                       ++queue->last_seq);
    bool fits = append(queue, span_of(head, (size_t)len), rest);
    queue->counts.num_queued += fits;
    queue->counts.num_dropped += !fits;
    pthread_mutex_unlock(&queue->lock);
    return fits && was_empty;
}

// Up to and with the last line that ends within `cap` bytes.
static size_t whole_lines(struct span lines, size_t cap) {
    size_t len = lines.len < cap ? lines.len : cap;
    const uint8_t *end = len == 0 ? NULL : memrchr(lines.ptr, '\n', len);
    return end == NULL ? 0 : (size_t)(end - lines.ptr) + 1;
}

static uint64_t num_lines(struct span lines) {
    uint64_t num = 0;
    for (size_t i = 0; i < lines.len; i++) {
        num += lines.ptr[i] == '\n';
    }
    return num;
}

size_t audit_queue_peek(struct audit_queue *queue, char *out, size_t cap) {
    pthread_mutex_lock(&queue->lock);
    struct span lines = buf_span(&queue->lines);
    size_t len = whole_lines(lines, cap);
    if (len > 0) {
        memcpy(out, lines.ptr, len);
    }
    pthread_mutex_unlock(&queue->lock);
    return len;
}

void audit_queue_sent(struct audit_queue *queue, size_t len) {
    pthread_mutex_lock(&queue->lock);
    queue->counts.num_sent += num_lines(span_of(buf_span(&queue->lines).ptr, len));
    buf_consume(&queue->lines, len);
    pthread_mutex_unlock(&queue->lock);
}

void audit_queue_clear(struct audit_queue *queue) {
    pthread_mutex_lock(&queue->lock);
    queue->counts.num_dropped += num_lines(buf_span(&queue->lines));
    buf_clear(&queue->lines);
    pthread_mutex_unlock(&queue->lock);
}

struct audit_queue_counts audit_queue_counts(struct audit_queue *queue) {
    pthread_mutex_lock(&queue->lock);
    struct audit_queue_counts counts = queue->counts;
    counts.held = queue->lines.len;
    pthread_mutex_unlock(&queue->lock);
    return counts;
}
