// One request and its answer, between a front (which speaks with the client) and a back (which
// speaks with the application): judged and cleaned on the way in, cleaned on the way out. Belongs
// to the front. For the files of http_edge only.
#ifndef AGENT_HTTP_HTTP_EXCHANGE_H
#define AGENT_HTTP_HTTP_EXCHANGE_H

#include "agent/http/http1_head.h"
#include "agent/http/http_edge.h"
#include "agent/http/http_fields.h"

#define HTTP_UPGRADE_MAX 64
#define HTTP_INTERIM_MAX 32 // 1xx answers to one request

struct http_exchange;
struct http_back;

struct http_front_ops {                        // what a back tells
    void (*interim)(struct http_exchange *ex); // a 1xx answer is in ex->response
    void (*head)(struct http_exchange *ex);    // the final one is; its body in ex->response_body
    size_t (*room)(const struct http_exchange *ex);
    bool (*data)(struct http_exchange *ex, struct span bytes);           // false: memory is short
    void (*end)(struct http_exchange *ex, struct http_fields *trailers); // frees ex, or will
    void (*abort)(struct http_exchange *ex);   // it cannot be completed; as end
    void (*drained)(struct http_exchange *ex); // the back has sent of the request's body
};

struct http_exchange {
    struct http_edge *edge;
    const struct http_front_ops *front;
    void *front_data;       // the front's own
    struct http_back *back; // NULL: answered here, or no more needed
    void *back_data;        // the back's own
    struct http_fields request;
    struct http_body request_body;
    struct http_fields response;
    struct http_body response_body;
    int status;
    int num_interim;
    bool is_head; // HEAD: the answer has no body
    bool is_safe; // may be asked twice (RFC 9110 section 9.2)
    bool expects_continue;
    bool request_done;              // all of it was given to the back
    bool answered;                  // a final head was given to the front
    bool is_dubious;                // refused for how it is written: what follows cannot be trusted
    bool raw;                       // upgraded: bytes both ways
    char upgrade[HTTP_UPGRADE_MAX]; // the protocol asked for, or ""
};

struct http_exchange *http_exchange_new(struct http_edge *edge, const struct http_front_ops *front,
                                        void *front_data) MUST_USE;
void http_exchange_free(struct http_exchange *ex);
// The head is in ex->request: judges, cleans, and gives it to a back, or answers.
void http_exchange_begin(struct http_exchange *ex);
// Answers by ourselves. With an answer already begun it aborts.
void http_exchange_answer(struct http_exchange *ex, int status, enum http_reason reason,
                          const char *why);
// The back that was used before it went silent is replaced by a fresh one. False: not allowed.
bool http_exchange_retry(struct http_exchange *ex) MUST_USE;
// A back: the head of the application's answer is in ex->response.
void http_exchange_respond(struct http_exchange *ex);

#endif
