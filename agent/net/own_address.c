#include "agent/net/own_address.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define READ_EVERY_MS 1000
// While the kernel cannot be asked (descriptors are short), the last answer serves this long.
#define KEEP_MS 60000

struct own_addresses {
    struct netaddr *ips; // port 0
    size_t num;
    bool tried;
    int64_t tried_at_ms; // the last time that the kernel was asked
    int64_t read_at_ms;  // the last time that it answered
};

struct own_addresses *own_addresses_new(void) {
    return calloc(1, sizeof(struct own_addresses));
}

void own_addresses_free(struct own_addresses *own) {
    if (own != NULL) {
        free(own->ips);
        free(own);
    }
}

static bool address_of(const struct ifaddrs *entry, struct netaddr *out) {
    struct sockaddr_storage sa = {0};
    if (entry->ifa_addr == NULL) {
        return false;
    }
    // Other families (AF_PACKET) have other sizes: only these two are copied.
    if (entry->ifa_addr->sa_family == AF_INET) {
        memcpy(&sa, entry->ifa_addr, sizeof(struct sockaddr_in));
    } else if (entry->ifa_addr->sa_family == AF_INET6) {
        memcpy(&sa, entry->ifa_addr, sizeof(struct sockaddr_in6));
    }
    return netaddr_from_sockaddr(out, &sa);
}

// The addresses of all interfaces. NULL: no answer, or memory is short.
static struct netaddr *read_addresses(size_t *out_num) {
    struct ifaddrs *entries;
    if (getifaddrs(&entries) != 0) {
        return NULL;
    }
    size_t most = 1; // never an empty allocation, whose result may be NULL
    for (const struct ifaddrs *entry = entries; entry != NULL; entry = entry->ifa_next) {
        most++;
    }
    size_t num = 0;
    struct netaddr *ips = calloc(most, sizeof *ips);
    for (const struct ifaddrs *entry = entries; ips != NULL && entry != NULL;
         entry = entry->ifa_next) {
        num += address_of(entry, &ips[num]);
    }
    freeifaddrs(entries);
    *out_num = num;
    return ips;
}

// An old list is replaced also when it has the address asked for: an address that was taken away
// may be another host's by now.
static void refresh(struct own_addresses *own, int64_t now_ms) {
    if (own->tried && now_ms - own->tried_at_ms < READ_EVERY_MS) {
        return;
    }
    own->tried = true;
    own->tried_at_ms = now_ms;
    size_t num = 0;
    struct netaddr *ips = read_addresses(&num);
    if (ips == NULL && own->ips != NULL && now_ms - own->read_at_ms < KEEP_MS) {
        return;
    }
    free(own->ips);
    own->ips = ips;
    own->num = num;
    own->read_at_ms = now_ms;
}

bool own_addresses_contains(struct own_addresses *own, const struct netaddr *addr, int64_t now_ms) {
    if (netaddr_is_loopback(addr)) {
        return true;
    }
    refresh(own, now_ms);
    for (size_t i = 0; i < own->num; i++) {
        if (netaddr_ip_equal(&own->ips[i], addr)) {
            return true;
        }
    }
    return false;
}
