#include "agent/net/proxy_v2.h"

#include <string.h>

static const uint8_t SIGNATURE[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                      0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};
enum { VERSION_LOCAL = 0x20, VERSION_PROXY = 0x21, TCP4 = 0x11, TCP6 = 0x21 };
enum { TYPE_ALPN = 0x01, TYPE_AUTHORITY = 0x02, TYPE_SSL = 0x20, TYPE_IDENTITY = 0xe0 };
enum { SSL_VERSION = 0x21, SSL_CN = 0x22, SSL_CIPHER = 0x23 };
enum { CLIENT_SSL = 1, CLIENT_CERT_CONN = 2, CLIENT_CERT_SESS = 4 };

#define LEN_4 12
#define LEN_6 36

static size_t get_u16(const uint8_t *at) {
    return (size_t)at[0] << 8 | at[1];
}

size_t proxy_v2_length(const uint8_t fixed[PROXY_V2_FIXED]) {
    if (memcmp(fixed, SIGNATURE, sizeof(SIGNATURE)) != 0) {
        return 0;
    }
    size_t len = PROXY_V2_FIXED + get_u16(fixed + 14);
    return len <= PROXY_V2_MAX ? len : 0;
}

static void get_addresses(const uint8_t *at, size_t ip_len, struct proxy_v2_source *out) {
    uint8_t family = (uint8_t)(ip_len == 4 ? NETADDR_V4 : NETADDR_V6);
    out->source = (struct netaddr){.family = family, .port = (uint16_t)get_u16(at + 2 * ip_len)};
    out->destination =
        (struct netaddr){.family = family, .port = (uint16_t)get_u16(at + 2 * ip_len + 2)};
    memcpy(out->source.ip, at, ip_len);
    memcpy(out->destination.ip, at + ip_len, ip_len);
}

// The rest of the header is type-length-value; what it says is not looked at, but it has to be one.
static bool skip_tlvs(struct span rest) {
    while (rest.len > 0) {
        if (rest.len < 3 || rest.len - 3 < get_u16(rest.ptr + 1)) {
            return false;
        }
        rest = span_after(rest, 3 + get_u16(rest.ptr + 1));
    }
    return true;
}

bool proxy_v2_parse(struct span header, struct proxy_v2_source *out) {
    *out = (struct proxy_v2_source){0};
    if (header.len < PROXY_V2_FIXED || proxy_v2_length(header.ptr) != header.len) {
        return false;
    }
    uint8_t command = header.ptr[12];
    uint8_t family = header.ptr[13];
    struct span rest = span_after(header, PROXY_V2_FIXED);
    if (command == VERSION_LOCAL) {
        out->is_local = true;
        return true;
    }
    size_t need = family == TCP4 ? LEN_4 : LEN_6;
    if (command != VERSION_PROXY || (family != TCP4 && family != TCP6) || rest.len < need ||
        !skip_tlvs(span_after(rest, need))) {
        return false;
    }
    get_addresses(rest.ptr, family == TCP4 ? 4 : 16, out);
    return out->source.port != 0;
}

// --- writing

static bool put_u16(struct buf *out, size_t value) {
    uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};
    return value <= UINT16_MAX && buf_append(out, bytes, sizeof(bytes));
}

static bool put_tlv(struct buf *out, uint8_t type, struct span value) {
    return value.len == 0 || (buf_append(out, &type, 1) && put_u16(out, value.len) &&
                              buf_append(out, value.ptr, value.len));
}

static bool put_text(struct buf *out, uint8_t type, const char *text) {
    return put_tlv(out, type, span_of_text(text));
}

static bool put_ssl(struct buf *out, const struct proxy_v2_tls *tls) {
    struct buf inner = {0};
    bool has_cert = tls->common_name != NULL;
    uint8_t head[5] = {0}; // the client's flags; verify: zero is success
    head[0] = (uint8_t)(CLIENT_SSL | (has_cert ? CLIENT_CERT_CONN | CLIENT_CERT_SESS : 0));
    if (!has_cert) {
        head[4] = 1; // nothing was verified
    }
    bool ok =
        buf_append(&inner, head, sizeof(head)) && put_text(&inner, SSL_VERSION, tls->version) &&
        put_text(&inner, SSL_CIPHER, tls->cipher) && put_text(&inner, SSL_CN, tls->common_name) &&
        put_tlv(out, TYPE_SSL, buf_span(&inner));
    buf_fini(&inner);
    return ok;
}

static bool put_tls(struct buf *out, const struct proxy_v2_tls *tls) {
    return put_tlv(out, TYPE_ALPN, tls->alpn) && put_text(out, TYPE_AUTHORITY, tls->server_name) &&
           put_text(out, TYPE_IDENTITY, tls->identity) && put_ssl(out, tls);
}

// One header has one family: where the two ends differ, IPv4 is written as mapped into IPv6.
static bool put_ip(struct buf *out, const struct netaddr *addr, bool v4) {
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    bool is_v4 = addr->family == NETADDR_V4;
    return (v4 || !is_v4 || buf_append(out, mapped, sizeof(mapped))) &&
           buf_append(out, addr->ip, is_v4 ? 4 : 16);
}

bool proxy_v2_render(const struct netaddr *source, const struct netaddr *destination,
                     const struct proxy_v2_tls *tls, struct buf *out) {
    struct buf body = {0};
    bool v4 = source->family == NETADDR_V4 && destination->family == NETADDR_V4;
    bool ok = source->family != NETADDR_NONE && destination->family != NETADDR_NONE &&
              put_ip(&body, source, v4) && put_ip(&body, destination, v4) &&
              put_u16(&body, source->port) && put_u16(&body, destination->port) &&
              (tls == NULL || put_tls(&body, tls));
    uint8_t kind[2] = {VERSION_PROXY, v4 ? TCP4 : TCP6};
    struct span rest = buf_span(&body);
    ok = ok && rest.len <= PROXY_V2_MAX - PROXY_V2_FIXED &&
         buf_append(out, SIGNATURE, sizeof(SIGNATURE)) && buf_append(out, kind, sizeof(kind)) &&
         put_u16(out, rest.len) && buf_append(out, rest.ptr, rest.len);
    buf_fini(&body);
    return ok;
}
