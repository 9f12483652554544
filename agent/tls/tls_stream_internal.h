// What the files of tls_stream share; nobody else includes this.
#ifndef AGENT_TLS_TLS_STREAM_INTERNAL_H
#define AGENT_TLS_TLS_STREAM_INTERNAL_H

#include <openssl/pool.h>
#include <openssl/ssl.h>

#include "agent/tls/tls_bio.h"
#include "agent/tls/tls_foreign.h"
#include "agent/tls/tls_record.h"
#include "agent/tls/tls_stream.h"
#include "agent/tls/tls_verify.h"
#include "base/buf.h"

struct tls_stream {
    struct tls_context *context;
    SSL *ssl; // NULL once our record layer needs nothing of it any more
    enum tls_use use;
    bool is_ready;       // the handshake is done and the peer has proved what it must
    bool is_settled;     // it is decided who does the records after the handshake
    bool keeps_library;  // not our record layer
    bool is_closed;      // close_notify was queued
    bool got_alert;      // the peer sent a fatal alert
    bool is_resumed;     // this and the next four: set when the handshake is done
    const char *version; // static text
    const char *cipher;
    const char *group;
    STACK_OF(CRYPTO_BUFFER) * chain; // the peer's
    enum tls_status end;             // TLS_OK while it can be read; TLS_FAILED ends writing too
    uint64_t num_sealed;             // by the library: records since the last key update
    uint64_t update_after;
    struct tls_record *record; // ours; NULL: BoringSSL's SSL_read and SSL_write
    struct buf rest;           // of a record that was larger than the reader's room
    struct tls_bio bio;
    struct tls_verifier verifier;
    struct tls_foreign foreign; // of TLS_FOREIGN
    const char *fixed_error;    // static text, when error is NULL
    char *error;
};

// tls_stream_fail.c: each ends the stream and returns what its end is.
enum tls_status tls_stream_fail(struct tls_stream *stream, const char *sentence);
enum tls_status tls_stream_fail_by_memory(struct tls_stream *stream);
// The library's error queue says why; right after the call that failed.
enum tls_status tls_stream_fail_by_library(struct tls_stream *stream);
// A call of the library returned this and did not succeed.
enum tls_status tls_stream_judge(struct tls_stream *stream, int returned);
// So did our record layer.
enum tls_status tls_stream_judge_record(struct tls_stream *stream, enum tls_record_status status);

// tls_stream_settle.c: after the handshake, before the first record of data either way. Puts our
// record layer in the library's place where it can be. False: the stream has failed.
bool tls_stream_settle(struct tls_stream *stream);

#endif
