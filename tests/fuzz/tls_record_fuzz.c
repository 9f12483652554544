// Our TLS record layer and a peer that holds the keys: the input says which records come, of what
// type, length and padding, forged or not, in which pieces, and what we write in between. What the
// layer writes must open under the keys that the peer expects.
#include <string.h>

#include "base/check.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/tls/record_end.h"

struct input {
    const uint8_t *bytes;
    size_t len;
};

static uint8_t next(struct input *input) {
    if (input->len == 0) {
        return 0;
    }
    input->len--;
    return *input->bytes++;
}

static struct span take_bytes(struct input *input, size_t len) {
    len = len < input->len ? len : input->len;
    struct span taken = span_of(input->bytes, len);
    input->bytes += len;
    input->len -= len;
    return taken;
}

static void read_all(struct record_end *end, size_t len) {
    struct span plain = {0};
    while (record_end_read(end, len, &plain) == TLS_RECORD_OK) {
        CHECK(plain.len > 0 && plain.len <= TLS_RECORD_PLAIN_MAX);
        memset((uint8_t *)(uintptr_t)plain.ptr, 0xee, plain.len); // it is the reader's
    }
}

// A length, as many bytes, and a number of zeros behind them.
static void put(struct record_end *end, uint8_t type, struct input *input) {
    struct span bytes = take_bytes(input, next(input));
    record_end_put(end, type, bytes, next(input));
}

// A record as sealed, with one byte of it changed.
static void put_forged(struct record_end *end, struct input *input) {
    size_t before = end->wire.len;
    put(end, RECORD_DATA, input);
    size_t at = before + next(input) % (end->wire.len - before);
    end->wire.mem[end->wire.start + at] ^= next(input);
}

static void step(struct record_end *end, struct input *input) {
    switch (next(input) % 8) {
    case 0:
        record_end_put(end, RECORD_HANDSHAKE, take_bytes(input, next(input)), 0);
        break;
    case 1:
        put(end, next(input), input);
        break;
    case 2:
        put_forged(end, input);
        break;
    case 3: { // bytes that nobody sealed
        struct span raw = take_bytes(input, next(input));
        CHECK(buf_append(&end->wire, raw.ptr, raw.len));
        break;
    }
    case 4:
        record_end_put_key_update(end, next(input));
        break;
    case 5: {
        struct span plain = take_bytes(input, next(input));
        if (plain.len > 0) {
            (void)tls_record_write(end->layer, plain);
        }
        break;
    }
    case 6:
        read_all(end, next(input));
        break;
    default:
        record_end_put(end, RECORD_DATA, take_bytes(input, next(input)), 0);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = {data, size};
    struct record_end end;
    uint8_t how = next(&input);
    record_end_init(&end, (enum aead_suite)(how % 3), (how & 4) != 0);
    end.refuses_tickets = (how & 8) != 0;
    tls_record_set_update_after(end.layer, 1 + (how >> 4));
    while (input.len > 0) {
        step(&end, &input);
    }
    read_all(&end, SIZE_MAX);
    (void)tls_record_close(end.layer);
    static struct record_seen seen;
    do {
        record_end_see(&end, &seen);
    } while (seen.type != 0);
    record_end_fini(&end);
    return 0;
}
