#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include <openssl/ssl.h>

#include "agent/tls/session_cache.h"

static SSL_CTX *ctx;

static int start(void **state) {
    ctx = SSL_CTX_new(TLS_with_buffers_method());
    *state = session_cache_new();
    return ctx != NULL && *state != NULL ? 0 : 1;
}

static int finish(void **state) {
    session_cache_free(*state);
    session_cache_free(NULL);
    SSL_CTX_free(ctx);
    return 0;
}

static void make_key(uint8_t key[SESSION_CACHE_KEY_LEN], int number) {
    memset(key, 0, SESSION_CACHE_KEY_LEN);
    key[0] = (uint8_t)number;
    key[1] = (uint8_t)(number >> 8);
}

static SSL_SESSION *put(struct session_cache *cache, int number) {
    uint8_t key[SESSION_CACHE_KEY_LEN];
    make_key(key, number);
    SSL_SESSION *session = SSL_SESSION_new(ctx);
    assert_non_null(session);
    session_cache_put(cache, key, session);
    return session;
}

// The session is freed: the pointer only says which one it was.
static SSL_SESSION *get(struct session_cache *cache, int number) {
    uint8_t key[SESSION_CACHE_KEY_LEN];
    make_key(key, number);
    SSL_SESSION *session = session_cache_take(cache, key);
    SSL_SESSION_free(session);
    return session;
}

static void the_newest_comes_first_and_once(void **state) {
    SSL_SESSION *first = put(*state, 1);
    SSL_SESSION *second = put(*state, 1);
    assert_ptr_equal(get(*state, 1), second);
    assert_ptr_equal(get(*state, 1), first);
    assert_null(get(*state, 1));
    assert_null(get(*state, 2));
}

static void one_endpoint_does_not_fill_it(void **state) {
    put(*state, 2);
    for (int i = 0; i < 5000; i++) {
        put(*state, 1);
    }
    assert_non_null(get(*state, 2));
    int num = 0;
    while (get(*state, 1) != NULL) {
        num++;
    }
    assert_int_equal(num, SESSION_CACHE_PER_KEY_MAX);
}

static void it_is_bounded(void **state) {
    for (int i = 0; i < SESSION_CACHE_MAX + 10; i++) {
        put(*state, i);
    }
    int num = 0;
    for (int i = 0; i < SESSION_CACHE_MAX + 10; i++) {
        bool there = get(*state, i) != NULL;
        assert_true(there == (i >= 10)); // the oldest went
        num += there;
    }
    assert_int_equal(num, SESSION_CACHE_MAX);
}

static void every_field_is_in_the_key(void **state) {
    (void)state;
    struct netaddr a = {.family = NETADDR_V4, .ip = {10, 0, 0, 1}, .port = 443};
    struct netaddr b = a;
    b.port = 444;
    struct netaddr c = a;
    c.scope = 3;
    struct netaddr d = a;
    d.family = NETADDR_V6;
    char ab[] = "ab", a1[] = "a", bc[] = "bc", c1[] = "c", none[] = "";
    char *one[] = {ab, c1}, *two[] = {a1, bc}, *empty[] = {none};
    const struct session_endpoint endpoints[] = {
        {.use = 0, .addr = &a},
        {.use = 1, .addr = &a},
        {.use = 0, .addr = &b},
        {.use = 0, .addr = &c},
        {.use = 0, .addr = &d},
        {.use = 0, .addr = &a, .server_name = ""},
        {.use = 0, .addr = &a, .server_name = "ab"},
        {.use = 0, .addr = &a, .peers = one, .num_peers = 2},
        {.use = 0, .addr = &a, .peers = two, .num_peers = 2},
        {.use = 0, .addr = &a, .peers = one, .num_peers = 1},
        {.use = 0, .addr = &a, .peers = empty, .num_peers = 1},
        {.use = 0, .addr = &a, .server_name = "ab", .peers = one, .num_peers = 1},
    };
    enum { NUM = sizeof(endpoints) / sizeof(endpoints[0]) };
    uint8_t keys[NUM][SESSION_CACHE_KEY_LEN];
    for (size_t i = 0; i < NUM; i++) {
        session_cache_key(&endpoints[i], keys[i]);
        for (size_t j = 0; j < i; j++) {
            assert_memory_not_equal(keys[i], keys[j], SESSION_CACHE_KEY_LEN);
        }
        uint8_t again[SESSION_CACHE_KEY_LEN];
        session_cache_key(&endpoints[i], again);
        assert_memory_equal(keys[i], again, SESSION_CACHE_KEY_LEN);
    }
}

static void *use_it(void *cache) {
    for (int i = 0; i < 2000; i++) {
        put(cache, i % 7);
        (void)get(cache, (i + 3) % 7);
    }
    return NULL;
}

static void threads_share_it(void **state) {
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, use_it, *state), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_newest_comes_first_and_once, start, finish),
        cmocka_unit_test_setup_teardown(one_endpoint_does_not_fill_it, start, finish),
        cmocka_unit_test_setup_teardown(it_is_bounded, start, finish),
        cmocka_unit_test(every_field_is_in_the_key),
        cmocka_unit_test_setup_teardown(threads_share_it, start, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
