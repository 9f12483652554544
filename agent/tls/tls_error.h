// BoringSSL's error queue as sentences for people. The queue belongs to the thread: read it right
// after the call that failed, before any other call of the library.
#ifndef AGENT_TLS_TLS_ERROR_H
#define AGENT_TLS_TLS_ERROR_H

#include <stdbool.h>

#define TLS_ERROR_TEXT_MAX 192

struct tls_error {
    bool is_alert;          // the peer sent a fatal alert
    bool is_no_certificate; // the peer, our client, presented no certificate
    char text[TLS_ERROR_TEXT_MAX];
};

// Describes the first TLS error in the queue (else the first one) and empties it. `in_handshake`
// sharpens the wording.
void tls_error_take(struct tls_error *out, bool in_handshake);

// Describes a fatal alert that came, by its code.
void tls_error_of_alert(struct tls_error *out, int code);

#endif
