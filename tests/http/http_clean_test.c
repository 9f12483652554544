#include "agent/http/http_clean.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void add(struct http_fields *fields, const char *name, const char *value) {
    assert_int_equal(http_fields_add(fields, span_of_text(name), span_of_text(value)),
                     HTTP_FIELDS_OK);
}

static enum http_clean_status clean(struct http_fields *fields, const struct http_fields *facts) {
    const char *why = NULL;
    enum http_clean_status status = http_clean_request(fields, facts, &why);
    assert_int_equal(status == HTTP_CLEAN_BAD, why != NULL);
    return status;
}

static const char *const CLAIMS[] = {
    "X-Ssl-Client-S-DN",       "x-ssl-client-s-dn",       "X_SSL_CLIENT_S_DN",
    "X-SSL_Client.S-Dn",       "X-Ssl-Client-Verify",     "X-Ssl-Client-Serial",
    "X-Forwarded-Client-Cert", "x_forwarded_client_cert", "X-FORWARDED-client_CERT",
    "X-Ssl-Client-Spiffe-Id",  "X-Ssl-Client-Sha256",     "x.ssl.client.fingerprint",
};

static void test_claims_of_the_client(void **state) {
    (void)state;
    struct http_fields facts = {.num = 0};
    add(&facts, "X-Ssl-Client-S-DN", "CN=real");
    for (size_t i = 0; i < sizeof(CLAIMS) / sizeof(CLAIMS[0]); i++) {
        struct http_fields fields = {.num = 0};
        struct http_fields trailers = {.num = 0};
        add(&fields, CLAIMS[i], "CN=forged");
        add(&fields, "Accept", "*/*");
        add(&fields, CLAIMS[i], "CN=forged");
        add(&trailers, CLAIMS[i], "CN=forged");
        add(&trailers, "Grpc-Status", "0");
        assert_int_equal(clean(&fields, &facts), HTTP_CLEAN_OK);
        assert_int_equal(fields.num, 2);
        assert_true(span_equal_text(http_fields_value(&fields, 0), "*/*"));
        assert_true(span_equal_text(http_fields_value(&fields, 1), "CN=real"));
        assert_int_equal(clean(&fields, NULL), HTTP_CLEAN_OK); // nobody vouches for it any more
        assert_int_equal(fields.num, 1);
        http_clean_trailers(&trailers);
        assert_int_equal(trailers.num, 1);
        assert_true(span_equal_text(http_fields_name(&trailers, 0), "Grpc-Status"));
        http_fields_fini(&fields);
        http_fields_fini(&trailers);
    }
    http_fields_fini(&facts);
}

// A client that names our header in Connection wants the next hop to drop it.
static void test_fields_of_the_connection(void **state) {
    (void)state;
    struct http_fields facts = {.num = 0}, fields = {.num = 0};
    add(&facts, "X-Ssl-Client-S-DN", "CN=real");
    add(&fields, ":path", "/");
    add(&fields, "Connection", "keep-alive, X-Ssl-Client-S-DN, x-hop, :path");
    add(&fields, "X-Hop", "1");
    add(&fields, "Keep-Alive", "timeout=5");
    add(&fields, "Proxy-Connection", "close");
    add(&fields, "Upgrade", "h2c");
    add(&fields, "HTTP2-Settings", "AAMAAABkAAQAAP__");
    add(&fields, "TE", "deflate, trailers");
    add(&fields, "Transfer-Encoding", "chunked");
    add(&fields, "Expect", "100-continue");
    add(&fields, "Cookie", "a=b");
    assert_int_equal(clean(&fields, &facts), HTTP_CLEAN_OK);
    static const char *const LEFT[][2] = {
        {":path", "/"}, {"Cookie", "a=b"}, {"te", "trailers"}, {"X-Ssl-Client-S-DN", "CN=real"}};
    assert_int_equal(fields.num, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_true(span_equal_text(http_fields_name(&fields, i), LEFT[i][0]));
        assert_true(span_equal_text(http_fields_value(&fields, i), LEFT[i][1]));
    }
    http_fields_fini(&fields);
    http_fields_fini(&facts);
}

static void test_look_alikes(void **state) {
    (void)state;
    static const char *const BAD[][2] = {
        {"Content_Length", "5"},
        {"content.length", "5"},
        {"Transfer_Encoding", "chunked"},
        {"Transfer-Encoding_", NULL},
        {"h_ost", NULL},
        {"Connection", "Content-Length"},
        {"Connection", "close, HOST"},
        {"Connection", "transfer-encoding"},
    };
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        struct http_fields fields = {.num = 0};
        add(&fields, BAD[i][0], BAD[i][1] == NULL ? "x" : BAD[i][1]);
        assert_int_equal(clean(&fields, NULL), BAD[i][1] == NULL ? HTTP_CLEAN_OK : HTTP_CLEAN_BAD);
        http_fields_fini(&fields);
    }
}

static void test_response(void **state) {
    (void)state;
    struct http_fields fields = {.num = 0};
    add(&fields, ":status", "200");
    add(&fields, "Connection", "close, x-hop");
    add(&fields, "X-Hop", "1");
    add(&fields, "Transfer-Encoding", "chunked");
    add(&fields, "Set-Cookie", "a");
    add(&fields, "Set-Cookie", "b");
    http_clean_response(&fields);
    assert_int_equal(fields.num, 3);
    assert_int_equal(http_fields_count(&fields, "set-cookie"), 2);
    http_fields_fini(&fields);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_claims_of_the_client),
        cmocka_unit_test(test_fields_of_the_connection),
        cmocka_unit_test(test_look_alikes),
        cmocka_unit_test(test_response),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
