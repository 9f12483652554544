#include "authority/listen_names.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

static void add_ip(struct certificate_names *names, const struct netaddr *ip) {
    for (size_t i = 0; i < names->num_ips; i++) {
        if (netaddr_ip_equal(&names->ip[i], ip)) {
            return;
        }
    }
    if (names->num_ips < CERTIFICATE_NAMES_MAX) {
        names->ip[names->num_ips++] = *ip;
    }
}

static void add_interfaces(struct certificate_names *names) {
    struct ifaddrs *all = NULL;
    if (getifaddrs(&all) != 0) {
        return;
    }
    for (const struct ifaddrs *it = all; it != NULL; it = it->ifa_next) {
        struct sockaddr_storage sa = {0};
        struct netaddr ip;
        if (it->ifa_addr == NULL) {
            continue;
        }
        bool is_v4 = it->ifa_addr->sa_family == AF_INET;
        bool is_v6 = it->ifa_addr->sa_family == AF_INET6;
        memcpy(&sa, it->ifa_addr,
               is_v4   ? sizeof(struct sockaddr_in)
               : is_v6 ? sizeof(struct sockaddr_in6)
                       : sizeof(sa.ss_family));
        if (netaddr_from_sockaddr(&ip, &sa)) {
            add_ip(names, &ip);
        }
    }
    freeifaddrs(all);
}

static bool is_dns_name(const char *text) {
    size_t len = strlen(text);
    return len > 0 && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                   ".-") == len;
}

void listen_names_load(const struct netaddr *listen, struct listen_names *out) {
    *out = (struct listen_names){0};
    struct certificate_names *names = &out->names;
    bool is_any = netaddr_is_any(listen);
    if (is_any) {
        add_interfaces(names);
    } else {
        add_ip(names, listen);
    }
    if (is_any || netaddr_is_loopback(listen)) {
        names->dns[names->num_dns++] = "localhost";
    }
    if (!netaddr_is_loopback(listen) && gethostname(out->host, sizeof(out->host) - 1) == 0 &&
        is_dns_name(out->host)) {
        names->dns[names->num_dns++] = out->host;
    }
}
