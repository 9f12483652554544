// Request smuggling (class "two parsers, two readings"): each case is what an attacker sends on one
// connection, and exactly what has to come of it. In every case a second request is hidden behind
// the first; it must reach the application as a request of its own or not at all.
#include "agent/http/http_edge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/http/edge_rig.h"

#define POST "POST /a HTTP/1.1\r\nHost: h\r\n"
#define GET "GET /a HTTP/1.1\r\nHost: h\r\n"
#define HIDDEN "GET /admin HTTP/1.1\r\nHost: h\r\n\r\n"
#define CL(n) "Content-Length: " n "\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"

struct attack {
    const char *name;
    const char *bytes;
    int status; // of the first answer
    // What the application gets, in all; NULL: it is never reached.
    const char *app;
};

// With a status of 400 or more the connection also ends there.
static const struct attack ATTACKS[] = {
    // --- two lengths ---
    {"CL and TE", POST CL("5") CHUNKED "\r\n0\r\n\r\n" HIDDEN, 400, NULL},
    {"TE and CL", POST CHUNKED CL("5") "\r\n0\r\n\r\n" HIDDEN, 400, NULL},
    {"two CL", POST CL("0") CL("5") "\r\n" HIDDEN, 400, NULL},
    {"two equal CL", POST CL("0") CL("0") "\r\n" HIDDEN, 400, NULL},
    {"a list of CL", POST CL("0, 5") "\r\n" HIDDEN, 400, NULL},
    {"a list of equal CL", POST CL("0, 0") "\r\n" HIDDEN, 400, NULL},
    {"CL of another case", POST CL("0") "content-length: 5\r\n\r\n" HIDDEN, 400, NULL},
    // --- lengths that are not numbers ---
    {"CL with a sign", POST CL("+5") "\r\nabcde" HIDDEN, 400, NULL},
    {"CL negative", POST CL("-1") "\r\n" HIDDEN, 400, NULL},
    {"CL hexadecimal", POST CL("0x5") "\r\nabcde" HIDDEN, 400, NULL},
    {"CL with a space inside", POST CL("1 0") "\r\n" HIDDEN, 400, NULL},
    {"CL empty", POST CL("") "\r\n" HIDDEN, 400, NULL},
    {"CL quoted", POST CL("\"5\"") "\r\nabcde" HIDDEN, 400, NULL},
    {"CL beyond 64 bits", POST CL("18446744073709551616") "\r\n" HIDDEN, 400, NULL},
    {"CL wraps to 5", POST CL("18446744073709551621") "\r\nabcde" HIDDEN, 400, NULL},
    // --- encodings that are nearly chunked ---
    {"TE xchunked", POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" HIDDEN, 400, NULL},
    {"TE identity", POST "Transfer-Encoding: identity\r\n\r\n" HIDDEN, 400, NULL},
    {"TE gzip, chunked", POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" HIDDEN, 400,
     NULL},
    {"TE chunked, identity", POST "Transfer-Encoding: chunked, identity\r\n\r\n" HIDDEN, 400, NULL},
    {"TE twice", POST CHUNKED CHUNKED "\r\n0\r\n\r\n" HIDDEN, 400, NULL},
    {"TE twice, one odd", POST CHUNKED "Transfer-encoding: cow\r\n\r\n0\r\n\r\n" HIDDEN, 400, NULL},
    {"TE with a vertical tab",
     POST "Transfer-Encoding: \x0b"
          "chunked\r\n\r\n0\r\n\r\n" HIDDEN,
     400, NULL},
    {"TE with a parameter", POST "Transfer-Encoding: chunked;a\r\n\r\n0\r\n\r\n" HIDDEN, 400, NULL},
    {"TE empty", POST "Transfer-Encoding:\r\n\r\n" HIDDEN, 400, NULL},
    {"TE in HTTP/1.0", "POST /a HTTP/1.0\r\nHost: h\r\n" CHUNKED "\r\n0\r\n\r\n" HIDDEN, 400, NULL},
    // --- names that are nearly names ---
    {"space before the colon", POST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" HIDDEN, 400,
     NULL},
    {"tab before the colon", POST "Content-Length\t: 5\r\n\r\nabcde" HIDDEN, 400, NULL},
    {"space before the name", POST " Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" HIDDEN, 400,
     NULL},
    {"underscore", POST "Content_Length: 5\r\n\r\nabcde" HIDDEN, 400, NULL},
    {"underscore in TE", POST "Transfer_Encoding: chunked\r\n\r\n" HIDDEN, 400, NULL},
    {"NUL in a name", NULL, 400, NULL}, // written below
    {"no colon", POST "Content-Length 5\r\n\r\nabcde" HIDDEN, 400, NULL},
    {"empty name", POST ": 5\r\n\r\n" HIDDEN, 400, NULL},
    {"a name with a bracket", POST "X[a]: 5\r\n\r\n" HIDDEN, 400, NULL},
    // --- lines ---
    {"folded header", POST "X-A: b\r\n " CHUNKED "\r\n" HIDDEN, 400, NULL},
    {"folded with a tab", POST "Transfer-Encoding:\r\n\tchunked\r\n\r\n0\r\n\r\n" HIDDEN, 400,
     NULL},
    {"bare LF after a header", POST "X: y\n" CHUNKED "\r\n0\r\n\r\n" HIDDEN, 400, NULL},
    {"bare LF everywhere", "GET /a HTTP/1.1\nHost: h\n\n" HIDDEN, 400, NULL},
    {"bare LF ends the head", POST CL("0") "\n" HIDDEN, 400, NULL},
    {"bare CR in a value", POST "X: y\rTransfer-Encoding: chunked\r\n\r\n" HIDDEN, 400, NULL},
    {"bare CR in a name", POST "X\r: y\r\n\r\n" HIDDEN, 400, NULL},
    {"CR CR LF", POST CL("0") "\r\r\n\r\n" HIDDEN, 400, NULL},
    {"control character in a value",
     POST "X: a\x01"
          "b\r\n\r\n" HIDDEN,
     400, NULL},
    // --- the first line ---
    {"two spaces", "GET  /a HTTP/1.1\r\nHost: h\r\n\r\n" HIDDEN, 400, NULL},
    {"a tab", "GET\t/a HTTP/1.1\r\nHost: h\r\n\r\n" HIDDEN, 400, NULL},
    {"space at the end", "GET /a HTTP/1.1 \r\nHost: h\r\n\r\n" HIDDEN, 400, NULL},
    {"space in the target", "GET /a /b HTTP/1.1\r\nHost: h\r\n\r\n" HIDDEN, 400, NULL},
    {"no version", "GET /a\r\nHost: h\r\n\r\n" HIDDEN, 400, NULL},
    {"HTTP/1.2", "GET /a HTTP/1.2\r\nHost: h\r\n\r\n" HIDDEN, 505, NULL},
    {"HTTP/01.1", "GET /a HTTP/01.1\r\nHost: h\r\n\r\n" HIDDEN, 400, NULL},
    {"http/1.1", "GET /a http/1.1\r\nHost: h\r\n\r\n" HIDDEN, 400, NULL},
    {"HTTP/0.9", "GET /a HTTP/0.9\r\nHost: h\r\n\r\n" HIDDEN, 505, NULL},
    {"absolute-form", "GET http://other/a HTTP/1.1\r\nHost: h\r\n\r\n" HIDDEN, 400, NULL},
    {"authority-form", "CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n" HIDDEN, 400, NULL},
    {"asterisk-form", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n" HIDDEN, 400, NULL},
    {"a fragment", "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n" HIDDEN, 400, NULL},
    {"8-bit target", "GET /\xff HTTP/1.1\r\nHost: h\r\n\r\n" HIDDEN, 400, NULL},
    {"a method with a brace", "GET{ /a HTTP/1.1\r\nHost: h\r\n\r\n" HIDDEN, 400, NULL},
    {"two empty lines first", "\r\n\r\n" HIDDEN, 400, NULL},
    {"HTTP/2 preface", "PRJ * HTTP/2.0\r\n\r\n" HIDDEN, 505, NULL},
    // --- the host ---
    {"no Host", "GET /a HTTP/1.1\r\n\r\n" HIDDEN, 400, NULL},
    {"two Hosts", GET "Host: other\r\n\r\n" HIDDEN, 400, NULL},
    {"two equal Hosts", GET "Host: h\r\n\r\n" HIDDEN, 400, NULL},
    {"empty Host", "GET /a HTTP/1.1\r\nHost:\r\n\r\n" HIDDEN, 400, NULL},
    {"Host with a path", "GET /a HTTP/1.1\r\nHost: h/admin\r\n\r\n" HIDDEN, 400, NULL},
    {"Host with a user", "GET /a HTTP/1.1\r\nHost: a@h\r\n\r\n" HIDDEN, 400, NULL},
    {"Host list", "GET /a HTTP/1.1\r\nHost: h, other\r\n\r\n" HIDDEN, 400, NULL},
    {"Host with a space", "GET /a HTTP/1.1\r\nHost: h x\r\n\r\n" HIDDEN, 400, NULL},
    // --- connection headers ---
    {"Connection drops the length", POST CL("5") "Connection: content-length\r\n\r\nabcde" HIDDEN,
     400, NULL},
    {"Connection drops the host", GET "Connection: close, host\r\n\r\n" HIDDEN, 400, NULL},
    {"Expect something else", POST CL("5") "Expect: 200-ok\r\n\r\nabcde" HIDDEN, 417, NULL},
    // --- what is right, and reads in one way only ---
    {"body that looks like a request", POST CL("32") "\r\n" HIDDEN HIDDEN, 200,
     "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 32\r\n\r\n" HIDDEN HIDDEN},
    {"GET with a body", GET CL("32") "\r\n" HIDDEN HIDDEN, 200,
     "GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 32\r\n\r\n" HIDDEN HIDDEN},
    {"h2c upgrade",
     GET "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n"
         "HTTP2-Settings: A\r\n\r\n" HIDDEN,
     200, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n" HIDDEN},
    {"one empty line first", "\r\n" HIDDEN, 200, HIDDEN},
    {"long chunk extensions are dropped", POST CHUNKED "\r\n1;a=\"b\"\r\nx\r\n0;c\r\n\r\n", 200,
     "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"},
};

// Heads that are right, and bodies that turn out not to be: the application gets at most the head
// and a part, then a break, and nothing of what is hidden.
static const char *const BAD_CHUNKS[] = {
    "\r\n",
    "g\r\n",
    "-1\r\nx\r\n",
    "0x1\r\nx\r\n",
    " 1\r\nx\r\n",
    "1 \r\nx\r\n",
    "1\nx\r\n",
    "1\r\nxy\r\n",
    "1\r\nx\n",
    "1\r\nx\r\r\n",
    "1;\nx\r\n",
    "1;a\rb\r\nx",
    "ffffffffffffffff1\r\nx",
    "0\r\nX : y\r\n\r\n",
    "0\r\nX: y\n\n",
    "0\r\n X: y\r\n\r\n",
    "0\r\n\n",
    "1,\r\nx\r\n",
};

static size_t all_got(const struct rig *rig, struct buf *out) {
    for (size_t i = 0; i < rig->num_backs; i++) {
        struct span got = buf_span(&rig->backs[i].got);
        assert_true(buf_append(out, got.ptr, got.len));
    }
    return out->len;
}

static void run(const struct attack *attack, struct span bytes, size_t piece) {
    OWNED(rig_free) struct rig *rig = rig_new(&(struct rig_setup){.client = HTTP_VERSION_ANY});
    struct buf got = {0};
    char wanted[32];
    rig->piece = piece;
    rig->app = rig_app_ok;
    (void)rig_send(rig, bytes);
    (void)all_got(rig, &got);
    snprintf(wanted, sizeof(wanted), "HTTP/1.1 %d ", attack->status);
    struct span client = buf_span(&rig->client);
    bool refused = attack->status >= 400;
    bool right = client.len >= 13 && memcmp(client.ptr, wanted, 13) == 0 &&
                 span_equal_text(buf_span(&got), attack->app == NULL ? "" : attack->app) &&
                 http_edge_state(rig->edge) == (refused ? HTTP_EDGE_FINISHED : HTTP_EDGE_OPEN);
    if (!right) {
        fail_msg("%s, in pieces of %zu: client got %.60s, application got %.*s", attack->name,
                 piece, client.len == 0 ? "" : (const char *)client.ptr, (int)got.len,
                 got.len == 0 ? "" : (const char *)buf_span(&got).ptr);
    }
    buf_fini(&got);
}

static void test_attacks(void **state) {
    (void)state;
    static const char NUL_NAME[] = POST "X\0Y: 5\r\n\r\n" HIDDEN;
    static const size_t PIECES[] = {SIZE_MAX, 1, 2, 3, 7, 31};
    for (size_t i = 0; i < sizeof(ATTACKS) / sizeof(ATTACKS[0]); i++) {
        struct span bytes = ATTACKS[i].bytes == NULL ? span_of(NUL_NAME, sizeof(NUL_NAME) - 1)
                                                     : span_of_text(ATTACKS[i].bytes);
        for (size_t p = 0; p < sizeof(PIECES) / sizeof(PIECES[0]); p++) {
            run(&ATTACKS[i], bytes, PIECES[p]);
        }
    }
}

static void test_bad_chunks(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(BAD_CHUNKS) / sizeof(BAD_CHUNKS[0]); i++) {
        for (size_t piece = 1; piece < 40; piece += 13) {
            OWNED(rig_free)
            struct rig *rig = rig_new(&(struct rig_setup){.client = HTTP_VERSION_ANY});
            struct buf got = {0};
            char text[256];
            rig->piece = piece;
            snprintf(text, sizeof(text), POST CHUNKED "\r\n%s" HIDDEN, BAD_CHUNKS[i]);
            (void)rig_send_text(rig, text);
            (void)all_got(rig, &got);
            assert_true(buf_append(&got, "", 1));
            assert_null(strstr((const char *)buf_span(&got).ptr, "admin"));
            assert_null(strstr((const char *)buf_span(&got).ptr, "\r\n0\r\n")); // never whole
            assert_int_equal(rig->num_backs, 1);
            assert_null(rig->backs[0].back);
            assert_false(rig->backs[0].clean);
            assert_memory_equal(buf_span(&rig->client).ptr, "HTTP/1.1 400 ", 13);
            assert_int_equal(http_edge_state(rig->edge), HTTP_EDGE_FINISHED);
            buf_fini(&got);
        }
    }
}

// How a chunked body is cut anew depends on the pieces; where it ends does not.
static void test_chunks_that_look_like_requests(void **state) {
    (void)state;
    for (size_t piece = 1; piece < 200; piece += 9) {
        OWNED(rig_free) struct rig *rig = rig_new(&(struct rig_setup){.client = HTTP_VERSION_ANY});
        rig->app = rig_app_ok;
        rig->piece = piece;
        assert_int_equal(
            rig_send_text(rig, POST CHUNKED "\r\n20\r\n" HIDDEN "\r\n0\r\n\r\n" HIDDEN), 0);
        assert_int_equal(http_edge_num_requests(rig->edge), 2);
        static const char END[] = "\r\n0\r\n\r\n" HIDDEN;
        struct span got = buf_span(&rig->backs[0].got);
        assert_memory_equal(got.ptr + got.len - strlen(END), END, strlen(END));
    }
}

// An answer to nothing could be taken for the answer to what comes next.
static void test_answers_that_nobody_asked_for(void **state) {
    (void)state;
    OWNED(rig_free) struct rig *rig = rig_new(&(struct rig_setup){.client = HTTP_VERSION_ANY});
    static const char TWO[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
                              "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstole";
    (void)rig_send_text(rig, HIDDEN);
    rig_app_text(rig, 0, TWO);
    assert_null(rig->backs[0].back);
    assert_true(rig_client_got(rig, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    (void)rig_send_text(rig, HIDDEN);
    assert_int_equal(rig->num_backs, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attacks),
        cmocka_unit_test(test_bad_chunks),
        cmocka_unit_test(test_chunks_that_look_like_requests),
        cmocka_unit_test(test_answers_that_nobody_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
