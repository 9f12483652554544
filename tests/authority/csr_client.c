#include "tests/authority/csr_client.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/netaddr.h"
#include "certmgr/tls_carrier.h"
#include "certmgr/tls_client.h"

#define WAIT_MS 20000

uint16_t csr_client_free_port(void) {
    struct sockaddr_storage sa;
    struct netaddr addr = {.family = NETADDR_V4, .ip = {127, 0, 0, 1}};
    socklen_t len = netaddr_to_sockaddr(&addr, &sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&sa, len) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&sa, &len) == 0 && netaddr_from_sockaddr(&addr, &sa));
    (void)close(fd);
    return addr.port;
}

struct grpc_unary_result csr_client_call(const struct csr_client *client, const char *method,
                                         const char *authorization, struct span request,
                                         struct buf *response) {
    const struct tls_client_options to = {.address = client->address,
                                          .roots_file = client->roots_file};
    const struct patience patience = {.cancel_fd = -1, .deadline_ms = clock_mono_ms() + WAIT_MS};
    const struct grpc_unary_metadata metadata = {"authorization", authorization};
    struct err err = {0};
    int fd = -1;
    struct tls_pump *pump = tls_client_connect(&to, &patience, &err);
    if (pump == NULL) {
        (void)fprintf(stderr, "csr_client: %s\n", err.msg);
    }
    CHECK(pump != NULL);
    OWNED(tls_carrier_free) struct tls_carrier *carrier = tls_carrier_new(pump, &fd, &err);
    CHECK(carrier != NULL);
    const struct grpc_unary_options options = {.fd = fd,
                                               .authority = client->address,
                                               .method = method,
                                               .metadata = &metadata,
                                               .num_metadata = authorization != NULL ? 1 : 0,
                                               .response_max = 1 << 20,
                                               .timeout_ms = WAIT_MS};
    OWNED(grpc_unary_free) struct grpc_unary *call = grpc_unary_start(&options, request, &err);
    CHECK(call != NULL);
    return grpc_unary_wait(call, response);
}
