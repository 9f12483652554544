// A client's bytes on an HTTP/1.1 port, in one piece and byte by byte: the application must get the
// same, and http-parser, which knows nothing of ours, must find whole requests in it. The second
// half of the input, after the last 0xff, is what the application answers.
#include <string.h>

#include <http_parser.h>

#include "base/check.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/http/edge_rig.h"

static const char *const SKIP[] = {"^/open"};

static struct rig *new_rig(size_t piece) {
    static const struct http_path_rule path = {.path = "/api"};
    static const struct http_rule rules[] = {
        {.path_prefix = "/v1", .strip_prefix = true, .paths = &path, .num_paths = 1},
        {.path_prefix = "/"},
    };
    static const struct http_policy_setup policy = {
        .rules = rules, .num_rules = 2, .skip_mtls = SKIP, .num_skip_mtls = 1};
    struct rig *rig = rig_new(&(struct rig_setup){.policy = &policy, .client = HTTP_VERSION_1});
    rig->piece = piece;
    return rig;
}

static int count(http_parser *parser) {
    *(size_t *)parser->data += 1;
    return 0;
}

// Before an upgrade only: what follows 101 is no HTTP.
static void check_requests(struct span got) {
    static const http_parser_settings SETTINGS = {.on_message_complete = count};
    size_t num = 0;
    http_parser parser;
    http_parser_init(&parser, HTTP_REQUEST);
    parser.data = &num;
    (void)http_parser_execute(&parser, &SETTINGS, (const char *)got.ptr, got.len);
    enum http_errno error = HTTP_PARSER_ERRNO(&parser);
    // Methods that it has never heard of; names that only begin like Transfer-Encoding, which it
    // takes for that.
    CHECK(error == HPE_OK || error == HPE_INVALID_METHOD || error == HPE_INVALID_TRANSFER_ENCODING);
    static const char CLAIM[] = "x-ssl-client-";
    for (size_t i = 0; i + sizeof(CLAIM) < got.len; i++) {
        CHECK(num == 0 || got.ptr[i] != '\n' ||
              strncasecmp((const char *)got.ptr + i + 1, CLAIM, sizeof(CLAIM) - 1) != 0 ||
              memmem(got.ptr, i, "\r\n\r\n", 4) != NULL); // a body may say what it likes
    }
}

static void answer(struct rig *rig, struct span bytes) {
    for (size_t i = 0; i < rig->num_backs; i++) {
        if (rig->backs[i].back != NULL && bytes.len > 0) {
            size_t taken = http_back_receive(rig->backs[i].back, bytes);
            CHECK(taken <= bytes.len);
            rig_pump(rig);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *mark = size == 0 ? NULL : memrchr(data, 0xff, size);
    size_t len = mark == NULL ? size : (size_t)(mark - data);
    OWNED(rig_free) struct rig *whole = new_rig(SIZE_MAX);
    OWNED(rig_free) struct rig *bytewise = new_rig(1);
    if (mark == NULL) {
        whole->app = rig_app_ok;
        bytewise->app = rig_app_ok;
    }
    (void)rig_send(whole, span_of(data, len));
    (void)rig_send(bytewise, span_of(data, len));
    CHECK(http_edge_state(whole->edge) == http_edge_state(bytewise->edge));
    CHECK(http_edge_num_requests(whole->edge) == http_edge_num_requests(bytewise->edge));
    CHECK(whole->num_backs == bytewise->num_backs && whole->status == bytewise->status);
    for (size_t i = 0; i < whole->num_backs; i++) {
        check_requests(buf_span(&bytewise->backs[i].got));
    }
    if (mark != NULL) {
        answer(whole, span_of(mark + 1, size - len - 1));
        http_edge_end(whole->edge);
        rig_pump(whole);
    }
    return 0;
}
