#include "agent/tls/tls_stream.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "agent/tls/session_cache.h"
#include "agent/tls/tls_stream_internal.h"
#include "base/check.h"

// Offers the newest session there is. BoringSSL drops it when its time is over.
static void offer_session(struct tls_stream *stream, const struct tls_expectation *expect) {
    if (stream->use == TLS_MESH_SERVER || expect->addr == NULL) {
        return;
    }
    struct session_endpoint endpoint = {
        .use = stream->use,
        .addr = expect->addr,
        .server_name = expect->server_name,
        .peers = expect->peers,
        .num_peers = expect->num_peers,
    };
    struct tls_verifier *verifier = &stream->verifier;
    verifier->sessions = tls_context_sessions(stream->context);
    session_cache_key(&endpoint, verifier->session_key);
    SSL_SESSION *session = session_cache_take(verifier->sessions, verifier->session_key);
    if (session != NULL) {
        SSL_set_session(stream->ssl, session);
        SSL_SESSION_free(session);
    }
}

static bool set_up(struct tls_stream *stream, const struct tls_expectation *expect) {
    struct tls_verifier *verifier = &stream->verifier;
    verifier->identity = tls_context_identity(stream->context);
    verifier->role = stream->use == TLS_MESH_SERVER ? VERIFY_CLIENT : VERIFY_SERVER;
    verifier->accept = expect->accept;
    verifier->arg = expect->arg;
    stream->ssl = SSL_new(tls_context_ssl(stream->context, stream->use));
    BIO *bio = stream->ssl == NULL ? NULL : tls_bio_open(&stream->bio);
    if (bio == NULL) {
        return false;
    }
    SSL_set_bio(stream->ssl, bio, bio);
    if (stream->use == TLS_MESH_SERVER) {
        SSL_set_accept_state(stream->ssl);
    } else {
        SSL_set_connect_state(stream->ssl);
    }
    SSL_set_shed_handshake_config(stream->ssl, 1);
    if (!SSL_set_app_data(stream->ssl, verifier)) {
        return false;
    }
    if (expect->needs_tls_1_3 && !SSL_set_min_proto_version(stream->ssl, TLS1_3_VERSION)) {
        return false;
    }
    if (expect->alpn.len > 0 && // zero is success
        SSL_set_alpn_protos(stream->ssl, expect->alpn.ptr, expect->alpn.len) != 0) {
        return false;
    }
    offer_session(stream, expect);
    if (stream->use != TLS_MUTUAL_CLIENT || expect->server_name == NULL) {
        return true;
    }
    verifier->server_name = strdup(expect->server_name);
    return verifier->server_name != NULL &&
           SSL_set_tlsext_host_name(stream->ssl, expect->server_name);
}

struct tls_stream *tls_stream_new(struct tls_context *context, enum tls_use use,
                                  const struct tls_expectation *expect) {
    OWNED(tls_stream_free) struct tls_stream *stream = calloc(1, sizeof(*stream));
    if (stream == NULL) {
        return NULL;
    }
    stream->context = tls_context_ref(context);
    stream->use = use;
    stream->update_after = TLS_RECORD_UPDATE_AFTER;
    stream->version = stream->cipher = stream->group = "";
    if (!set_up(stream, expect)) {
        ERR_clear_error();
        return NULL;
    }
    return take(&stream);
}

struct tls_stream *tls_stream_new_foreign(const struct tls_foreign *foreign) {
    OWNED(tls_stream_free) struct tls_stream *stream = calloc(1, sizeof(*stream));
    if (stream == NULL) {
        SSL_free(foreign->ssl);
        foreign->free(foreign->arg);
        return NULL;
    }
    stream->foreign = *foreign;
    stream->ssl = foreign->ssl;
    stream->use = TLS_FOREIGN;
    stream->update_after = TLS_RECORD_UPDATE_AFTER;
    stream->version = stream->cipher = stream->group = "";
    BIO *bio = stream->ssl == NULL ? NULL : tls_bio_open(&stream->bio);
    if (bio == NULL) {
        ERR_clear_error();
        return NULL;
    }
    SSL_set_bio(stream->ssl, bio, bio);
    SSL_set_shed_handshake_config(stream->ssl, 1);
    return take(&stream);
}

void tls_stream_free(struct tls_stream *stream) {
    if (stream == NULL) {
        return;
    }
    SSL_free(stream->ssl);
    if (stream->use == TLS_FOREIGN) {
        stream->foreign.free(stream->foreign.arg);
    }
    tls_record_free(stream->record);
    tls_bio_fini(&stream->bio);
    buf_clear_secret(&stream->rest);
    sk_CRYPTO_BUFFER_pop_free(stream->chain, CRYPTO_BUFFER_free);
    tls_verifier_fini(&stream->verifier);
    free(stream->error);
    tls_context_unref(stream->context);
    free(stream);
}

void tls_stream_feed(struct tls_stream *stream, struct span ciphertext) {
    stream->bio.fed = ciphertext;
}

struct span tls_stream_unread(const struct tls_stream *stream) {
    return stream->bio.fed;
}

void tls_stream_input_ended(struct tls_stream *stream) {
    stream->bio.input_ended = true;
}

void tls_stream_attach(struct tls_stream *stream, struct tls_scratch *scratch) {
    // Bytes left in it would go out on another connection.
    CHECK(scratch == NULL || scratch->len == 0);
    stream->bio.scratch = scratch;
}

struct span tls_stream_backlog(const struct tls_stream *stream) {
    return buf_span(&stream->bio.backlog);
}

void tls_stream_backlog_sent(struct tls_stream *stream, size_t len) {
    buf_consume(&stream->bio.backlog, len);
}

bool tls_stream_keep_unsent(struct tls_stream *stream, struct span unsent) {
    if (tls_bio_keep(&stream->bio, unsent)) {
        return true;
    }
    if (stream->end != TLS_FAILED) {
        tls_stream_fail_by_memory(stream);
    }
    return false;
}

enum verify_result tls_stream_refusal(const struct tls_stream *stream) {
    const struct tls_foreign *foreign = &stream->foreign;
    return foreign->result == NULL ? stream->verifier.result : foreign->result(foreign->arg);
}

bool tls_stream_was_not_accepted(const struct tls_stream *stream) {
    return stream->verifier.is_not_accepted;
}

const char *tls_stream_error(const struct tls_stream *stream) {
    if (stream->error != NULL) {
        return stream->error;
    }
    return stream->fixed_error != NULL ? stream->fixed_error : "";
}

bool tls_stream_got_alert(const struct tls_stream *stream) {
    return stream->got_alert;
}

const struct peer *tls_stream_peer(const struct tls_stream *stream) {
    // Until the handshake is done the peer has not shown that it holds the key.
    bool is_known =
        stream->is_ready ? stream->use != TLS_FOREIGN : stream->verifier.is_not_accepted;
    return is_known ? &stream->verifier.peer : NULL;
}

struct span tls_stream_leaf(const struct tls_stream *stream) {
    if (!stream->is_ready || stream->chain == NULL || sk_CRYPTO_BUFFER_num(stream->chain) == 0) {
        return span_of(NULL, 0);
    }
    const CRYPTO_BUFFER *leaf = sk_CRYPTO_BUFFER_value(stream->chain, 0);
    return span_of(CRYPTO_BUFFER_data(leaf), CRYPTO_BUFFER_len(leaf));
}

struct tls_context *tls_stream_context(const struct tls_stream *stream) {
    return stream->context;
}

enum verify_result tls_stream_reverify(const struct tls_stream *stream,
                                       const struct identity *identity, int64_t now,
                                       struct err *err) {
    CHECK(stream->is_ready);
    struct peer again;
    enum verify_result result = tls_verify_chain(&stream->verifier, stream->chain,
                                                 (struct tls_judge){identity, now}, &again, err);
    ERR_clear_error();
    return result;
}

bool tls_stream_is_resumed(const struct tls_stream *stream) {
    // A handshake that failed is asked, too.
    return stream->is_ready ? stream->is_resumed : SSL_session_reused(stream->ssl) == 1;
}

const char *tls_stream_version(const struct tls_stream *stream) {
    return stream->version;
}

const char *tls_stream_cipher(const struct tls_stream *stream) {
    return stream->cipher;
}

const char *tls_stream_aead(const struct tls_stream *stream) {
    if (stream->record != NULL) {
        return tls_record_aead(stream->record);
    }
    return stream->is_ready ? "boringssl" : "";
}

const char *tls_stream_group(const struct tls_stream *stream) {
    return stream->group;
}
