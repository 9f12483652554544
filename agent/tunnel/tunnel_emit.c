#include "agent/tunnel/tunnel_emit.h"

#include <string.h>

// Seals all of `bytes` or nothing; at most one record.
static bool seal(struct tunnel *tunnel, const uint8_t *bytes, size_t len) {
    size_t n = 0;
    enum tls_status status = tls_link_write(&tunnel->link, bytes, len, &n);
    if (status == TLS_FAILED) {
        tunnel->link.broken = true;
    }
    return status == TLS_OK && n == len;
}

bool tunnel_emit_seal_overflow(struct tunnel *tunnel) {
    struct span rest = buf_span(&tunnel->overflow);
    while (rest.len > 0) {
        size_t len = rest.len < 16384 ? rest.len : 16384;
        if (!seal(tunnel, rest.ptr, len)) {
            return false;
        }
        buf_consume(&tunnel->overflow, len);
        rest = buf_span(&tunnel->overflow);
    }
    return true;
}

static void keep_overflow(struct tunnel *tunnel, const uint8_t *bytes, size_t len) {
    if (buf_span(&tunnel->overflow).len + len > TUNNEL_OVERFLOW_MAX) {
        tunnel->link.broken = true; // the peer asks and does not read: the next event ends it
        return;
    }
    if (!buf_append(&tunnel->overflow, bytes, len)) {
        tunnel->link.broken = true;
    }
}

void tunnel_emit_seal_stage(struct tunnel_env *env) {
    struct tunnel *holder = env->stage_holder;
    if (holder == NULL) {
        return;
    }
    size_t len = env->stage_len;
    env->stage_holder = NULL;
    env->stage_len = 0;
    if (len > 0 && (!tunnel_emit_seal_overflow(holder) || !seal(holder, env->stage, len))) {
        keep_overflow(holder, env->stage, len);
    }
}

static void hold_stage(struct tunnel *tunnel) {
    struct tunnel_env *env = tunnel->env;
    if (env->stage_holder != tunnel) {
        tunnel_emit_seal_stage(env);
        env->stage_holder = tunnel;
    }
}

static void stage(struct tunnel_env *env, struct span bytes) {
    memcpy(env->stage + env->stage_len, bytes.ptr, bytes.len);
    env->stage_len += bytes.len;
}

static bool emit_data(struct tunnel *tunnel, struct span header, struct span payload) {
    struct tunnel_env *env = tunnel->env;
    if (buf_span(&tunnel->overflow).len > 0 && !tunnel_emit_seal_overflow(tunnel)) {
        return false;
    }
    hold_stage(tunnel);
    size_t len = header.len + payload.len;
    if (env->stage_len + len <= sizeof(env->stage) &&
        (env->stage_len > 0 || len < sizeof(env->stage))) {
        // Backlogged tunnels refuse more data here, not only when the record is sealed.
        if (tls_stream_backlog(tunnel->link.stream).len > TLS_BACKLOG_MAX) {
            return false;
        }
        stage(env, header);
        stage(env, payload);
        return true;
    }
    tunnel_emit_seal_stage(env);
    if (buf_span(&tunnel->overflow).len > 0) {
        return false;
    }
    uint8_t *frame = (uint8_t *)(uintptr_t)payload.ptr - header.len;
    memcpy(frame, header.ptr, header.len);
    return seal(tunnel, frame, len);
}

bool tunnel_emit(struct tunnel *tunnel, struct span header, struct span payload) {
    if (tunnel->link.broken) {
        return false;
    }
    if (header.len > 0) {
        bool taken = emit_data(tunnel, header, payload);
        tunnel->refused = tunnel->refused || !taken;
        return taken;
    }
    struct tunnel_env *env = tunnel->env;
    if (buf_span(&tunnel->overflow).len > 0 || payload.len > sizeof(env->stage)) {
        keep_overflow(tunnel, payload.ptr, payload.len);
        return true;
    }
    hold_stage(tunnel);
    if (env->stage_len + payload.len > sizeof(env->stage)) {
        tunnel_emit_seal_stage(env);
        if (buf_span(&tunnel->overflow).len > 0) {
            keep_overflow(tunnel, payload.ptr, payload.len);
            return true;
        }
        hold_stage(tunnel);
    }
    stage(env, payload);
    return true;
}

void tunnel_emit_forget(struct tunnel *tunnel) {
    if (tunnel->env->stage_holder == tunnel) {
        tunnel->env->stage_holder = NULL;
        tunnel->env->stage_len = 0;
    }
}
