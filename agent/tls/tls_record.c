#include "agent/tls/tls_record.h"

#include <stdlib.h>

#include <openssl/mem.h>
#include <openssl/ssl.h>

#include "agent/tls/record_message.h"
#include "base/check.h"

#define TYPE_ALERT 21
#define TYPE_HANDSHAKE 22
#define TYPE_APPLICATION_DATA 23
#define VERSION 0x0303 // what TLS 1.3 writes into its records

// The same limits as the library's.
#define MAX_EMPTY 32       // empty records in a row
#define MAX_KEY_UPDATES 32 // without data in between
#define MAX_WARNINGS 4

#define ALERT_WARNING 1
#define ALERT_FATAL 2

enum fault {
    FAULT_VERSION,
    FAULT_LENGTH,
    FAULT_ALTERED,
    FAULT_PLAIN_LENGTH,
    FAULT_OUTER_TYPE,
    FAULT_NO_TYPE,
    FAULT_TYPE,
    FAULT_EMPTY,
    FAULT_ALERT,
    FAULT_WARNINGS,
    FAULT_INTERLEAVED,
    FAULT_MESSAGE,
    FAULT_MESSAGE_SIZE,
    FAULT_MESSAGE_EXCESS,
    FAULT_TICKET,
    FAULT_KEY_UPDATE,
    FAULT_KEY_UPDATES,
    FAULT_INTERNAL,
};

static const struct {
    uint8_t alert; // that tells the peer
    const char *sentence;
} FAULTS[] = {
    [FAULT_VERSION] = {SSL_AD_PROTOCOL_VERSION, "a record of another TLS version came"},
    [FAULT_LENGTH] = {SSL_AD_RECORD_OVERFLOW, "a record longer than TLS allows came"},
    [FAULT_ALTERED] = {SSL_AD_BAD_RECORD_MAC, "bad record: the received bytes were altered"},
    [FAULT_PLAIN_LENGTH] = {SSL_AD_RECORD_OVERFLOW, "a record with more data than TLS allows came"},
    [FAULT_OUTER_TYPE] = {SSL_AD_UNEXPECTED_MESSAGE, "a record that is not encrypted came"},
    [FAULT_NO_TYPE] = {SSL_AD_UNEXPECTED_MESSAGE, "a record without a content type came"},
    [FAULT_TYPE] = {SSL_AD_UNEXPECTED_MESSAGE, "a record of an unexpected type came"},
    [FAULT_EMPTY] = {SSL_AD_UNEXPECTED_MESSAGE, "too many empty records in a row from the peer"},
    [FAULT_ALERT] = {SSL_AD_DECODE_ERROR, "a malformed alert came"},
    [FAULT_WARNINGS] = {SSL_AD_UNEXPECTED_MESSAGE,
                        "too many warning alerts in a row from the peer"},
    [FAULT_INTERLEAVED] = {SSL_AD_UNEXPECTED_MESSAGE,
                           "another record came in the middle of a handshake message"},
    [FAULT_MESSAGE] = {SSL_AD_UNEXPECTED_MESSAGE, "an unexpected handshake message came"},
    [FAULT_MESSAGE_SIZE] = {SSL_AD_ILLEGAL_PARAMETER, "the peer sent a message that is too large"},
    [FAULT_MESSAGE_EXCESS] = {SSL_AD_UNEXPECTED_MESSAGE,
                              "a handshake message came behind a key update"},
    [FAULT_TICKET] = {SSL_AD_DECODE_ERROR, "a malformed session ticket came"},
    [FAULT_KEY_UPDATE] = {SSL_AD_DECODE_ERROR, "a malformed key update came"},
    [FAULT_KEY_UPDATES] = {SSL_AD_UNEXPECTED_MESSAGE,
                           "too many key updates in a row from the peer"},
    [FAULT_INTERNAL] = {SSL_AD_INTERNAL_ERROR, "the record layer failed by itself"},
};

struct tls_record {
    struct tls_record_setup setup;
    struct record_key read;
    struct record_key write;
    struct record_message message;
    uint64_t num_sealed;        // since the last key update
    enum tls_record_status end; // of reading; TLS_RECORD_OK while it goes on
    struct tls_record_failure why;
    bool write_ended; // close_notify or a fatal alert was sealed
    bool owes_update; // the peer asked for one
    uint8_t num_empty;
    uint8_t num_updates;
    uint8_t num_warnings;
};

// A record as opened: its type and what it holds, without padding.
struct opened {
    uint8_t type;
    struct span bytes;
};

struct tls_record *tls_record_new(const struct tls_record_setup *setup,
                                  const struct traffic_secrets *secrets) {
    OWNED(tls_record_free) struct tls_record *layer = calloc(1, sizeof(*layer));
    if (layer == NULL) {
        return NULL;
    }
    layer->setup = *setup;
    if (!record_key_init(&layer->read, setup->suite, &secrets->read) ||
        !record_key_init(&layer->write, setup->suite, &secrets->write)) {
        return NULL;
    }
    return take(&layer);
}

void tls_record_free(struct tls_record *layer) {
    if (layer == NULL) {
        return;
    }
    record_key_fini(&layer->read);
    record_key_fini(&layer->write);
    record_message_fini(&layer->message);
    free(layer);
}

void tls_record_set_update_after(struct tls_record *layer, uint64_t num_records) {
    layer->setup.update_after = num_records;
}

const char *tls_record_aead(const struct tls_record *layer) {
    const struct aead_ops *ops =
        layer->read.aead.ops != aead_library() ? layer->read.aead.ops : layer->write.aead.ops;
    return ops == NULL ? "" : ops->name;
}

struct tls_record_failure tls_record_why(const struct tls_record *layer) {
    return layer->why;
}

// ---- writing ----------------------------------------------------------------------------------

// A failure in between ends writing: the record's number is used up.
static enum tls_record_status seal(struct tls_record *layer, uint8_t type, struct span plain) {
    size_t len = plain.len + RECORD_KEY_OVERHEAD;
    uint8_t *out = tls_bio_reserve(layer->setup.bio, len);
    if (out == NULL) {
        layer->write_ended = true;
        return TLS_RECORD_NO_MEMORY;
    }
    if (!record_key_seal(&layer->write, out, plain, type)) {
        layer->write_ended = true;
        layer->why.sentence = FAULTS[FAULT_INTERNAL].sentence;
        return TLS_RECORD_FAILED;
    }
    tls_bio_commit(layer->setup.bio, len);
    return TLS_RECORD_OK;
}

static enum tls_record_status update_write_key(struct tls_record *layer) {
    static const uint8_t KEY_UPDATE[] = {SSL3_MT_KEY_UPDATE, 0, 0, 1, 0}; // update_not_requested
    layer->owes_update = false;
    layer->num_sealed = 0;
    enum tls_record_status status =
        seal(layer, TYPE_HANDSHAKE, span_of(KEY_UPDATE, sizeof(KEY_UPDATE)));
    if (status == TLS_RECORD_OK && !record_key_update(&layer->write)) {
        layer->write_ended = true;
        status = TLS_RECORD_NO_MEMORY;
    }
    return status;
}

enum tls_record_status tls_record_write(struct tls_record *layer, struct span plain) {
    CHECK(plain.len > 0 && plain.len <= TLS_RECORD_PLAIN_MAX);
    if (layer->write_ended) {
        return TLS_RECORD_FAILED;
    }
    if (layer->owes_update || layer->num_sealed >= layer->setup.update_after) {
        enum tls_record_status status = update_write_key(layer);
        if (status != TLS_RECORD_OK) {
            return status;
        }
    }
    layer->num_sealed++;
    return seal(layer, TYPE_APPLICATION_DATA, plain);
}

static enum tls_record_status end_writing(struct tls_record *layer, uint8_t level, uint8_t code) {
    if (layer->write_ended) {
        return TLS_RECORD_OK;
    }
    const uint8_t alert[2] = {level, code};
    enum tls_record_status status = seal(layer, TYPE_ALERT, span_of(alert, sizeof(alert)));
    layer->write_ended = true;
    return status;
}

enum tls_record_status tls_record_close(struct tls_record *layer) {
    return end_writing(layer, ALERT_WARNING, SSL_AD_CLOSE_NOTIFY);
}

// ---- reading ----------------------------------------------------------------------------------

// What the peer did is the reason, whether or not it can be told so.
static enum tls_record_status fail(struct tls_record *layer, enum fault fault) {
    (void)end_writing(layer, ALERT_FATAL, FAULTS[fault].alert);
    layer->why = (struct tls_record_failure){.sentence = FAULTS[fault].sentence};
    return layer->end = TLS_RECORD_FAILED;
}

static enum tls_record_status fail_by_memory(struct tls_record *layer) {
    return layer->end = TLS_RECORD_NO_MEMORY;
}

// The next record that is whole; its length with the header.
static enum tls_record_status find(struct tls_record *layer, size_t *len) {
    struct span fed = layer->setup.bio->fed;
    if (fed.len < RECORD_KEY_HEADER) {
        return TLS_RECORD_AGAIN;
    }
    if ((fed.ptr[1] << 8 | fed.ptr[2]) != VERSION) {
        return fail(layer, FAULT_VERSION);
    }
    if (fed.ptr[0] != TYPE_APPLICATION_DATA) {
        return fail(layer, FAULT_OUTER_TYPE);
    }
    *len = RECORD_KEY_HEADER + ((size_t)fed.ptr[3] << 8 | fed.ptr[4]);
    if (*len > TLS_RECORD_MAX) {
        return fail(layer, FAULT_LENGTH);
    }
    return *len <= fed.len ? TLS_RECORD_OK : TLS_RECORD_AGAIN;
}

// Takes the padding and the type off.
static enum tls_record_status strip(struct tls_record *layer, struct span plain,
                                    struct opened *out) {
    if (plain.len > TLS_RECORD_PLAIN_MAX + 1) {
        return fail(layer, FAULT_PLAIN_LENGTH);
    }
    size_t len = plain.len;
    while (len > 0 && plain.ptr[len - 1] == 0) {
        len--;
    }
    if (len == 0) {
        return fail(layer, FAULT_NO_TYPE);
    }
    *out = (struct opened){.type = plain.ptr[len - 1], .bytes = span_of(plain.ptr, len - 1)};
    return TLS_RECORD_OK;
}

// Opens the next record, and takes it out of what was fed.
static enum tls_record_status open_next(struct tls_record *layer, struct opened *out) {
    size_t len = 0;
    enum tls_record_status status = find(layer, &len);
    if (status != TLS_RECORD_OK) {
        return status;
    }
    struct tls_bio *bio = layer->setup.bio;
    uint8_t *bytes = (uint8_t *)(uintptr_t)bio->fed.ptr;
    if (!record_key_open(&layer->read, bytes, len)) {
        return fail(layer, FAULT_ALTERED);
    }
    bio->fed = span_after(bio->fed, len);
    struct span plain = span_of(bytes + RECORD_KEY_HEADER, len - RECORD_KEY_HEADER - AEAD_TAG_LEN);
    status = strip(layer, plain, out);
    if (status == TLS_RECORD_OK && out->type != TYPE_HANDSHAKE &&
        record_message_is_partial(&layer->message)) {
        return fail(layer, FAULT_INTERLEAVED);
    }
    return status;
}

// In TLS 1.3 every alert is fatal but two, whatever its level says (RFC 8446 section 6).
static enum tls_record_status on_alert(struct tls_record *layer, struct span bytes) {
    if (bytes.len != 2) {
        return fail(layer, FAULT_ALERT);
    }
    uint8_t code = bytes.ptr[1];
    if (code == SSL_AD_CLOSE_NOTIFY) {
        return layer->end = TLS_RECORD_EOF;
    }
    if (code == SSL_AD_USER_CANCELLED) {
        return ++layer->num_warnings > MAX_WARNINGS ? fail(layer, FAULT_WARNINGS) : TLS_RECORD_OK;
    }
    layer->write_ended = true;
    layer->why = (struct tls_record_failure){.alert = code};
    return layer->end = TLS_RECORD_FAILED;
}

static enum tls_record_status on_key_update(struct tls_record *layer, struct span body) {
    if (body.len != 1 || body.ptr[0] > 1) {
        return fail(layer, FAULT_KEY_UPDATE);
    }
    if (++layer->num_updates > MAX_KEY_UPDATES) {
        return fail(layer, FAULT_KEY_UPDATES);
    }
    // Answered before the next data that we send, once for all that were asked: so a peer that does
    // not read cannot make answers pile up.
    layer->owes_update = layer->owes_update || body.ptr[0] == 1;
    return record_key_update(&layer->read) ? TLS_RECORD_OK : fail_by_memory(layer);
}

static enum tls_record_status on_message(struct tls_record *layer, struct span message) {
    const struct tls_record_setup *setup = &layer->setup;
    if (message.ptr[0] == SSL3_MT_KEY_UPDATE) {
        return on_key_update(layer, span_after(message, RECORD_MESSAGE_HEADER));
    }
    if (message.ptr[0] != SSL3_MT_NEW_SESSION_TICKET || !setup->is_client) {
        return fail(layer, FAULT_MESSAGE);
    }
    bool is_sound = setup->ticket == NULL || setup->ticket(setup->arg, message);
    return is_sound ? TLS_RECORD_OK : fail(layer, FAULT_TICKET);
}

// One record's handshake messages: whole ones, and parts of one.
static enum tls_record_status on_handshake(struct tls_record *layer, struct span bytes) {
    enum tls_record_status status = bytes.len > 0 ? TLS_RECORD_OK : fail(layer, FAULT_MESSAGE);
    bool is_key_changed = false;
    while (status == TLS_RECORD_OK && bytes.len > 0) {
        if (is_key_changed) { // what follows had to be sealed with the new key
            return fail(layer, FAULT_MESSAGE_EXCESS);
        }
        struct span message;
        switch (record_message_next(&layer->message, &bytes, layer->setup.is_client, &message)) {
        case RECORD_MESSAGE_WHOLE:
            is_key_changed = message.ptr[0] == SSL3_MT_KEY_UPDATE;
            status = on_message(layer, message);
            record_message_done(&layer->message);
            break;
        case RECORD_MESSAGE_PARTIAL:
            break;
        case RECORD_MESSAGE_TOO_LARGE:
            return fail(layer, FAULT_MESSAGE_SIZE);
        case RECORD_MESSAGE_NO_MEMORY:
            return fail_by_memory(layer);
        }
    }
    return status;
}

static enum tls_record_status on_record(struct tls_record *layer, const struct opened *record) {
    layer->num_empty = record->bytes.len == 0 ? layer->num_empty + 1 : 0;
    if (layer->num_empty > MAX_EMPTY) {
        return fail(layer, FAULT_EMPTY);
    }
    switch (record->type) {
    case TYPE_ALERT:
        return on_alert(layer, record->bytes);
    case TYPE_HANDSHAKE:
        layer->num_warnings = 0;
        return on_handshake(layer, record->bytes);
    case TYPE_APPLICATION_DATA:
        layer->num_warnings = 0;
        layer->num_updates = record->bytes.len > 0 ? 0 : layer->num_updates;
        return TLS_RECORD_OK;
    default:
        return fail(layer, FAULT_TYPE);
    }
}

enum tls_record_status tls_record_read(struct tls_record *layer, struct span *plain) {
    enum tls_record_status status = layer->end;
    while (status == TLS_RECORD_OK) {
        struct opened record;
        status = open_next(layer, &record);
        if (status == TLS_RECORD_OK) {
            status = on_record(layer, &record);
        }
        if (status == TLS_RECORD_OK && record.type == TYPE_APPLICATION_DATA &&
            record.bytes.len > 0) {
            *plain = record.bytes;
            return TLS_RECORD_OK;
        }
    }
    return status;
}
