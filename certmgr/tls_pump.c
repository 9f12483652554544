#include "certmgr/tls_pump.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/check.h"
#include "base/span.h"

// A whole record's plaintext, so that BoringSSL never keeps decrypted bytes that poll cannot see.
#define ROOM 16384
#define TURNS_PER_STEP 8

OWN_DEFINE(SSL, SSL_free)

struct half { // bytes on their way in one direction
    size_t start;
    size_t len;
    bool has_ended; // nothing more comes from where they come from
    uint8_t bytes[ROOM];
};

struct tls_pump {
    SSL *ssl;
    int socket;
    int local; // -1 until attached
    enum tls_pump_state state;
    const char *protocol; // by ALPN; "": any
    bool wants_write;     // the library waits for the socket to take something
    char error[160];
    struct half in;  // from the network
    struct half out; // to the network
};

struct tls_pump *tls_pump_new(SSL *ssl, int socket) {
    OWNED(SSL_free) SSL *owned = ssl;
    struct tls_pump *pump = calloc(1, sizeof(*pump));
    if (pump == NULL || !SSL_set_fd(owned, socket)) {
        free(pump);
        (void)close(socket);
        return NULL;
    }
    pump->ssl = take(&owned);
    pump->socket = socket;
    pump->local = -1;
    pump->protocol = "h2";
    return pump;
}

void tls_pump_demand(struct tls_pump *pump, const char *protocol) {
    pump->protocol = protocol;
}

void tls_pump_free(struct tls_pump *pump) {
    if (pump == NULL) {
        return;
    }
    SSL_free(pump->ssl);
    (void)close(pump->socket);
    if (pump->local >= 0) {
        (void)close(pump->local);
    }
    explicit_bzero(pump, sizeof(*pump)); // a token may have passed through
    free(pump);
}

// --- why it ended

static void say(struct tls_pump *pump, const char *sentence) {
    if (pump->error[0] == '\0') {
        snprintf(pump->error, sizeof(pump->error), "%s", sentence);
    }
}

// The library's reasons are names of constants: NO_SHARED_CIPHER becomes "no shared cipher".
static void say_reason(struct tls_pump *pump, uint32_t code) {
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    char text[sizeof(pump->error)];
    size_t len = 0;
    for (; reason != NULL && reason[len] != '\0' && len < sizeof(text) - 1; len++) {
        text[len] = reason[len] == '_' ? ' ' : (char)tolower((unsigned char)reason[len]);
    }
    text[len] = '\0';
    say(pump, len > 0 ? text : "TLS failed without saying why");
}

static void say_library(struct tls_pump *pump) {
    uint32_t code = ERR_peek_error();
    int reason = ERR_GET_REASON(code);
    if (ERR_GET_LIB(code) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET) {
        char text[sizeof(pump->error)];
        snprintf(text, sizeof(text), "the other side sent the TLS alert \"%s\"",
                 SSL_alert_desc_string_long(reason - SSL_AD_REASON_OFFSET));
        say(pump, text);
    } else if (ERR_GET_LIB(code) == ERR_LIB_SSL &&
               (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST)) {
        say(pump, "the other side does not speak TLS");
    } else {
        say_reason(pump, code);
    }
    ERR_clear_error();
}

// What a call of the library that did not succeed means. True: wait; false: that was the end.
// Right after the call, because SSL_get_error reads the thread's error queue.
static bool judge(struct tls_pump *pump, int returned) {
    int errnum = errno;
    switch (SSL_get_error(pump->ssl, returned)) {
    case SSL_ERROR_WANT_READ:
        return true;
    case SSL_ERROR_WANT_WRITE:
        pump->wants_write = true;
        return true;
    case SSL_ERROR_ZERO_RETURN:
        return false;
    case SSL_ERROR_SYSCALL:
        say(pump, returned == 0 || errnum == 0 ? "the other side closed the connection"
                                               : strerrordesc_np(errnum));
        ERR_clear_error();
        return false;
    default:
        say_library(pump);
        return false;
    }
}

// --- the steps

static enum tls_pump_state handshake(struct tls_pump *pump) {
    const uint8_t *protocol = NULL;
    unsigned len = 0;
    int returned = SSL_do_handshake(pump->ssl);
    if (returned != 1) {
        return judge(pump, returned) ? TLS_PUMP_HANDSHAKE : TLS_PUMP_ENDED;
    }
    SSL_get0_alpn_selected(pump->ssl, &protocol, &len);
    if (pump->protocol[0] != '\0' && !span_equal_text(span_of(protocol, len), pump->protocol)) {
        say(pump, "the other side does not negotiate HTTP/2 (ALPN \"h2\")");
        return TLS_PUMP_ENDED;
    }
    return TLS_PUMP_OPEN;
}

static bool read_tls(struct tls_pump *pump) {
    struct half *half = &pump->in;
    if (half->len > 0 || half->has_ended) {
        return false;
    }
    int got = SSL_read(pump->ssl, half->bytes, ROOM);
    if (got > 0) {
        half->start = 0;
        half->len = (size_t)got;
        return true;
    }
    half->has_ended = !judge(pump, got);
    return false;
}

// BoringSSL wants an interrupted write repeated with the same bytes: nothing is added meanwhile.
static bool write_tls(struct tls_pump *pump) {
    struct half *half = &pump->out;
    if (half->len == 0) {
        return false;
    }
    int put = SSL_write(pump->ssl, half->bytes + half->start, (int)half->len);
    if (put > 0) {
        half->start += (size_t)put;
        half->len -= (size_t)put;
        return true;
    }
    if (!judge(pump, put)) {
        half->len = 0;
        half->has_ended = true;
    }
    return false;
}

static bool would_block(void) {
    return errno == EAGAIN || errno == EINTR;
}

static bool read_local(struct tls_pump *pump) {
    struct half *half = &pump->out;
    if (half->len > 0 || half->has_ended) {
        return false;
    }
    ssize_t got = recv(pump->local, half->bytes, ROOM, 0);
    if (got > 0) {
        half->start = 0;
        half->len = (size_t)got;
        return true;
    }
    half->has_ended = got == 0 || !would_block();
    return false;
}

static bool write_local(struct tls_pump *pump) {
    struct half *half = &pump->in;
    if (half->len == 0) {
        return false;
    }
    ssize_t put = send(pump->local, half->bytes + half->start, half->len, MSG_NOSIGNAL);
    if (put > 0) {
        half->start += (size_t)put;
        half->len -= (size_t)put;
        return true;
    }
    if (!would_block()) {
        half->len = 0;
        half->has_ended = true;
    }
    return false;
}

// What one end sent before it ended has reached the other: the end is read only once it has.
static bool is_over(const struct tls_pump *pump) {
    return pump->in.has_ended || pump->out.has_ended;
}

static enum tls_pump_state move(struct tls_pump *pump) {
    bool moved = true;
    for (int i = 0; i < TURNS_PER_STEP && moved; i++) {
        moved = read_tls(pump);
        moved |= write_local(pump);
        moved |= read_local(pump);
        moved |= write_tls(pump);
    }
    if (!is_over(pump)) {
        return TLS_PUMP_OPEN;
    }
    (void)SSL_shutdown(pump->ssl); // as far as it goes without waiting
    ERR_clear_error();
    return TLS_PUMP_ENDED;
}

enum tls_pump_state tls_pump_step(struct tls_pump *pump) {
    pump->wants_write = false;
    if (pump->state == TLS_PUMP_HANDSHAKE) {
        pump->state = handshake(pump);
    } else if (pump->state == TLS_PUMP_OPEN && pump->local >= 0) {
        pump->state = move(pump);
    }
    return pump->state;
}

int tls_pump_attach(struct tls_pump *pump, struct err *err) {
    int pair[2];
    CHECK(pump->state == TLS_PUMP_OPEN && pump->local < 0);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
        ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "cannot make a socket pair");
        return -1;
    }
    pump->local = pair[0];
    return pair[1];
}

void tls_pump_arm(const struct tls_pump *pump, struct pollfd out[TLS_PUMP_FDS]) {
    int network = pump->wants_write ? POLLOUT : 0;
    int local = 0;
    if (pump->state == TLS_PUMP_HANDSHAKE) {
        network = pump->wants_write ? POLLOUT : POLLIN;
    } else if (pump->state == TLS_PUMP_OPEN && pump->local >= 0) {
        network |= pump->in.len == 0 ? POLLIN : 0;
        network |= pump->out.len > 0 ? POLLOUT : 0;
        local |= pump->out.len == 0 ? POLLIN : 0;
        local |= pump->in.len > 0 ? POLLOUT : 0;
    }
    // poll tells of a hang-up unasked: a descriptor that nothing is wanted of is not given to it.
    out[0] = (struct pollfd){.fd = network != 0 ? pump->socket : -1, .events = (short)network};
    out[1] = (struct pollfd){.fd = local != 0 ? pump->local : -1, .events = (short)local};
}

const char *tls_pump_error(const struct tls_pump *pump) {
    return pump->error;
}

const SSL *tls_pump_ssl(const struct tls_pump *pump) {
    return pump->ssl;
}
