#include "tests/tls/record_end.h"

#include <string.h>

#include "base/check.h"

static bool on_ticket(void *arg, struct span message) {
    struct record_end *end = arg;
    CHECK(message.len >= 4 && message.ptr[0] == 4);
    end->num_tickets++;
    return !end->refuses_tickets;
}

void record_end_init(struct record_end *end, enum aead_suite suite, bool is_client) {
    *end = (struct record_end){.num_tickets = 0};
    struct traffic_secrets secrets;
    memset(&secrets, 0, sizeof(secrets));
    secrets.read.len = secrets.write.len = suite == AEAD_AES_256_GCM ? 48 : 32;
    secrets.read.sequence = 2;
    memset(secrets.read.bytes, 'r', secrets.read.len);
    memset(secrets.write.bytes, 'w', secrets.write.len);
    struct tls_record_setup setup = {
        .bio = &end->bio,
        .suite = suite,
        .is_client = is_client,
        .update_after = TLS_RECORD_UPDATE_AFTER,
        .ticket = on_ticket,
        .arg = end,
    };
    end->layer = tls_record_new(&setup, &secrets);
    CHECK(end->layer != NULL);
    CHECK(record_key_init(&end->sealing, suite, &secrets.read));
    CHECK(record_key_init(&end->opening, suite, &secrets.write));
}

void record_end_fini(struct record_end *end) {
    tls_record_free(end->layer);
    record_key_fini(&end->sealing);
    record_key_fini(&end->opening);
    tls_bio_fini(&end->bio);
    buf_fini(&end->wire);
}

void record_end_put(struct record_end *end, uint8_t type, struct span bytes, size_t num_zeros) {
    static uint8_t inner[70000];
    size_t len = bytes.len;
    CHECK(len + num_zeros < sizeof(inner));
    if (len > 0) {
        memcpy(inner, bytes.ptr, len);
    }
    if (num_zeros > 0) { // the last zero stands where the type would
        inner[len++] = type;
        memset(inner + len, 0, num_zeros);
        len += num_zeros - 1;
        type = 0;
    }
    uint8_t *out = buf_reserve(&end->wire, len + RECORD_KEY_OVERHEAD);
    CHECK(out != NULL && record_key_seal(&end->sealing, out, span_of(inner, len), type));
    buf_commit(&end->wire, len + RECORD_KEY_OVERHEAD);
}

void record_end_put_text(struct record_end *end, uint8_t type, const char *text) {
    record_end_put(end, type, span_of_text(text), 0);
}

void record_end_put_key_update(struct record_end *end, uint8_t request) {
    const uint8_t message[] = {24, 0, 0, 1, request};
    record_end_put(end, RECORD_HANDSHAKE, span_of(message, sizeof(message)), 0);
    CHECK(record_key_update(&end->sealing));
}

enum tls_record_status record_end_read(struct record_end *end, size_t len, struct span *plain) {
    struct span wire = buf_span(&end->wire);
    size_t seen = wire.len < len ? wire.len : len;
    end->bio.fed = span_of(wire.ptr, seen);
    enum tls_record_status status = tls_record_read(end->layer, plain);
    // Consumed by hand: buf_consume would free what `plain` points into.
    size_t taken = seen - end->bio.fed.len;
    end->wire.start += taken;
    end->wire.len -= taken;
    return status;
}

void record_end_see(struct record_end *end, struct record_seen *out) {
    static uint8_t record[TLS_RECORD_MAX];
    out->type = 0;
    struct span written = buf_span(&end->bio.backlog);
    if (written.len == 0) {
        return;
    }
    size_t len = RECORD_KEY_HEADER + ((size_t)written.ptr[3] << 8 | written.ptr[4]);
    CHECK(len <= written.len && len <= sizeof(record));
    memcpy(record, written.ptr, len);
    buf_consume(&end->bio.backlog, len);
    CHECK(record_key_open(&end->opening, record, len));
    out->len = len - RECORD_KEY_OVERHEAD;
    out->type = record[RECORD_KEY_HEADER + out->len];
    memcpy(out->bytes, record + RECORD_KEY_HEADER, out->len);
    if (out->type == RECORD_HANDSHAKE) {
        CHECK(out->len == 5 && record_key_update(&end->opening));
    }
}
