// Forwarding changes how a message is written, never what it says: random requests go through the
// edge in random pieces, and an independent parser (http-parser) reads the same on the other side.
#include "agent/http/http_edge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>
#include <http_parser.h>

#include "tests/http/edge_rig.h"

#define ROUNDS 2000
#define MESSAGES_MAX 6

static unsigned seed;

static unsigned pick(unsigned below) {
    return (unsigned)rand_r(&seed) % below;
}

// What http-parser reads, as lines that can be compared.
struct reading {
    struct buf text;
    size_t num;
};

static int put(struct reading *reading, const char *kind, struct span text) {
    return buf_append_text(&reading->text, kind) &&
                   buf_append(&reading->text, text.ptr, text.len) &&
                   buf_append_text(&reading->text, "\n")
               ? 0
               : 1;
}

static int on_url(http_parser *parser, const char *at, size_t len) {
    return put(parser->data, "url ", span_of(at, len));
}

static int on_field(http_parser *parser, const char *at, size_t len) {
    return put(parser->data, "name ", span_of(at, len));
}

static int on_value(http_parser *parser, const char *at, size_t len) {
    return put(parser->data, "value ", span_of(at, len));
}

static int on_body(http_parser *parser, const char *at, size_t len) {
    return buf_append(&((struct reading *)parser->data)->text, at, len) ? 0 : 1;
}

static int on_complete(http_parser *parser) {
    struct reading *reading = parser->data;
    reading->num++;
    return put(reading, "\nend ", span_of_text(http_method_str(parser->method)));
}

static void read_all(struct reading *reading, struct span bytes) {
    static const http_parser_settings SETTINGS = {
        .on_url = on_url,
        .on_header_field = on_field,
        .on_header_value = on_value,
        .on_body = on_body,
        .on_message_complete = on_complete,
    };
    http_parser parser;
    http_parser_init(&parser, HTTP_REQUEST);
    parser.data = reading;
    size_t used = http_parser_execute(&parser, &SETTINGS, (const char *)bytes.ptr, bytes.len);
    assert_int_equal(HTTP_PARSER_ERRNO(&parser), HPE_OK);
    assert_int_equal(used, bytes.len);
}

static void put_body(struct buf *sent, struct reading *wanted, bool chunked) {
    uint8_t body[200];
    size_t len = pick(sizeof(body));
    for (size_t i = 0; i < len; i++) {
        body[i] = (uint8_t)pick(256);
    }
    if (!chunked) {
        assert_true(buf_printf(sent, "Content-Length: %zu\r\n\r\n", len) &&
                    buf_append(sent, body, len));
    } else {
        assert_true(buf_append_text(sent, "transfer-encoding: Chunked\r\n\r\n"));
        for (size_t at = 0; at < len;) {
            size_t piece = 1 + pick((unsigned)(len - at));
            assert_true(buf_printf(sent, "%s%zX%s\r\n", pick(3) == 0 ? "00" : "", piece,
                                   pick(3) == 0 ? ";a=\"b\"" : "") &&
                        buf_append(sent, body + at, piece) && buf_append_text(sent, "\r\n"));
            at += piece;
        }
        assert_true(buf_append_text(sent, "0\r\n\r\n"));
    }
    assert_true(buf_append(&wanted->text, body, len));
}

// One request as sent, and what is to be read of it behind the edge.
static void put_request(struct buf *sent, struct reading *wanted) {
    static const char *const METHODS[] = {"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"};
    static const char *const TARGETS[] = {"/", "/a?b=c", "/x/../y", "/%41//b", "/a;b,c"};
    static const char *const NAMES[] = {"X-A", "Accept", "cookie", "X_B", "Range"};
    const char *method = METHODS[pick(6)], *target = TARGETS[pick(5)];
    unsigned kind = pick(3);
    assert_true(buf_printf(sent, "%s %s HTTP/1.1\r\nhOSt:h%u\r\n", method, target, kind));
    assert_int_equal(put(wanted, "url ", span_of_text(target)), 0);
    assert_true(buf_printf(&wanted->text, "name Host\nvalue h%u\n", kind));
    for (unsigned i = pick(6); i > 0; i--) {
        const char *name = NAMES[pick(5)];
        unsigned value = pick(1000);
        assert_true(buf_printf(sent, "%s:%*s%u \t\r\n", name, (int)pick(4), "", value));
        assert_true(buf_printf(&wanted->text, "name %s\nvalue %u\n", name, value));
    }
    wanted->num++;
    if (kind == 0) {
        assert_true(buf_append_text(sent, "\r\n"));
    } else {
        size_t before = sent->len;
        struct reading body = {.num = 0};
        put_body(sent, &body, kind == 1);
        const char *head = (const char *)buf_span(sent).ptr + before;
        unsigned long length = kind == 1 ? 0 : strtoul(head + 16, NULL, 10);
        assert_true(kind == 1
                        ? buf_append_text(&wanted->text, "name Transfer-Encoding\nvalue chunked\n")
                        : buf_printf(&wanted->text, "name Content-Length\nvalue %lu\n", length));
        assert_true(buf_append(&wanted->text, buf_span(&body.text).ptr, body.text.len));
        buf_fini(&body.text);
    }
    assert_int_equal(put(wanted, "\nend ", span_of_text(method)), 0);
}

static void test_same_messages(void **state) {
    (void)state;
    const char *given = getenv("HTTP_SEED");
    seed = given == NULL ? (unsigned)time(NULL) : (unsigned)strtoul(given, NULL, 10);
    printf("HTTP_SEED=%u\n", seed);
    for (int round = 0; round < ROUNDS; round++) {
        OWNED(rig_free) struct rig *rig = rig_new(&(struct rig_setup){.client = HTTP_VERSION_ANY});
        struct buf sent = {0};
        struct reading wanted = {.num = 0}, read = {.num = 0};
        rig->app = rig_app_ok;
        rig->piece = 1 + pick(pick(2) == 0 ? 5 : 600);
        rig->app_takes = 1 + pick(pick(2) == 0 ? 5 : 600);
        for (unsigned i = 1 + pick(MESSAGES_MAX); i > 0; i--) {
            put_request(&sent, &wanted);
        }
        assert_int_equal(rig_send(rig, buf_span(&sent)), 0);
        // Requests with side effects go on connections of their own, in the order of the requests
        // within each; the order of answers is the pipelining test's matter.
        for (size_t i = 0; i < rig->num_backs; i++) {
            if (rig->backs[i].got.len > 0) {
                read_all(&read, buf_span(&rig->backs[i].got));
            }
        }
        assert_int_equal(read.num, wanted.num);
        assert_int_equal(read.text.len, wanted.text.len);
        assert_int_equal(http_edge_state(rig->edge), HTTP_EDGE_OPEN);
        if (rig->num_backs == 1) {
            assert_true(span_equal(buf_span(&read.text), buf_span(&wanted.text)));
        }
        buf_fini(&sent);
        buf_fini(&wanted.text);
        buf_fini(&read.text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_messages)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
