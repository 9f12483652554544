// Streams' lives, and the telling of what happened to them. No nghttp2 call but to settle credit.
#include <stdlib.h>

#include "agent/tunnel/h2_internal.h"
#include "base/check.h"

struct h2_stream *h2_dispatch_stream_new(struct h2_session *session, void *stream_arg) {
    struct h2_stream *stream = calloc(1, sizeof(*stream));
    if (stream == NULL) {
        return NULL;
    }
    stream->session = session;
    stream->arg = stream_arg;
    list_append(&session->streams, &stream->node);
    session->num_streams++;
    return stream;
}

static void free_stream(struct h2_stream *stream) {
    list_remove(&stream->node);
    list_remove(&stream->event_node);
    list_remove(&stream->end_node);
    free(stream->authority);
    free(stream);
}

static void free_list(struct list *list) {
    while (!list_is_empty(list)) {
        free_stream(LIST_ENTRY(list->head.next, struct h2_stream, node));
    }
}

void h2_dispatch_free_all(struct h2_session *session) {
    free_list(&session->streams);
    free_list(&session->zombies);
    free_list(&session->graveyard);
}

void h2_dispatch_raise(struct h2_stream *stream, enum h2_stream_event event) {
    if (stream->detached) {
        return;
    }
    stream->events |= event;
    if (!list_is_linked(&stream->event_node)) {
        list_append(&stream->session->eventful, &stream->event_node);
    }
}

void h2_dispatch_detach(struct h2_stream *stream) {
    struct h2_session *session = stream->session;
    if (stream->detached) {
        return;
    }
    stream->detached = true;
    stream->arg = NULL;
    stream->events = 0;
    list_remove(&stream->event_node);
    list_remove(&stream->end_node);
    list_remove(&stream->node);
    if (session->chunk_stream == stream) {
        session->chunk_stream = NULL;
    }
    session->num_streams--;
    session->held -= stream->held;
    stream->held = 0;
    if (stream->gone) {
        list_append(&session->graveyard, &stream->node);
    } else {
        list_append(&session->zombies, &stream->node);
        session->num_zombies++;
    }
    h2_wire_settle_credit(session);
}

void h2_dispatch_gone(struct h2_stream *stream, uint32_t error) {
    struct h2_session *session = stream->session;
    CHECK(!stream->gone);
    stream->gone = true;
    list_remove(&stream->end_node);
    if (stream->detached) {
        list_remove(&stream->node);
        list_append(&session->graveyard, &stream->node);
        session->num_zombies--;
        return;
    }
    if (session->server && !stream->requested) {
        h2_dispatch_detach(stream); // reset before anybody heard of it: costs nobody anything
        return;
    }
    stream->error = error;
    stream->clean =
        error == H2_NO_ERROR && stream->end_sent && (stream->peer_ended || stream->refused);
    h2_dispatch_raise(stream, H2_EVENT_CLOSED);
}

static void tell_request(struct h2_stream *stream) {
    struct h2_session *session = stream->session;
    static const char CONNECT[] = "CONNECT";
    struct h2_request request = {
        .method = span_of(stream->method, stream->method_len),
        .authority = span_of(stream->authority, stream->authority_len),
    };
    request.is_connect = span_equal_text(request.method, CONNECT) && !stream->other_pseudo;
    stream->requested = true;
    session->on->request(session->arg, stream, &request);
    free(stream->authority);
    stream->authority = NULL;
    stream->authority_len = 0;
}

static void tell(struct h2_stream *stream, enum h2_stream_event event) {
    const struct h2_events *on = stream->session->on;
    if (event == H2_EVENT_REQUEST) {
        tell_request(stream);
        return;
    }
    if (stream->arg == NULL) {
        return;
    }
    switch (event) {
    case H2_EVENT_REQUEST:
        break;
    case H2_EVENT_STATUS:
        on->status(stream->arg, stream->status);
        break;
    case H2_EVENT_END:
        on->end(stream->arg);
        break;
    case H2_EVENT_WRITABLE:
        if (h2_stream_window(stream) > 0) { // another stream may have used it up
            on->writable(stream->arg);
        }
        break;
    case H2_EVENT_CLOSED:
        on->closed(stream->arg, stream->error, stream->clean);
        break;
    }
}

static void tell_all(struct h2_stream *stream) {
    while (stream->events != 0) {
        unsigned event = stream->events & (0U - stream->events);
        stream->events &= ~event;
        tell(stream, (enum h2_stream_event)event);
        if (event == H2_EVENT_CLOSED) {
            h2_dispatch_detach(stream);
        }
    }
}

static void tell_session(struct h2_session *session) {
    unsigned events = session->events;
    session->events = 0;
    if ((events & H2_EVENT_READY) != 0) {
        session->on->ready(session->arg);
    }
    if ((events & H2_EVENT_GOAWAY) != 0) {
        session->on->goaway(session->arg, session->goaway_received);
    }
    if ((events & H2_EVENT_PONG) != 0) {
        session->on->pong(session->arg);
    }
}

void h2_dispatch_run(struct h2_session *session) {
    if (session->dispatching || session->inside) {
        return;
    }
    session->dispatching = true;
    tell_session(session);
    while (!list_is_empty(&session->eventful)) {
        struct h2_stream *stream =
            LIST_ENTRY(session->eventful.head.next, struct h2_stream, event_node);
        list_remove(&stream->event_node);
        tell_all(stream);
    }
    session->dispatching = false;
    free_list(&session->graveyard);
}

void h2_dispatch_chunk(struct h2_session *session) {
    struct h2_stream *stream = session->chunk_stream;
    size_t len = session->chunk.len;
    session->chunk_stream = NULL;
    if (stream != NULL && !stream->detached && stream->arg != NULL) {
        stream->held += len;
        session->held += len;
        session->dispatching = true;
        session->on->data(stream->arg, session->chunk);
        session->dispatching = false;
    }
    session->credit_owed += len;
    h2_wire_settle_credit(session);
}
