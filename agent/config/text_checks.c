#include "agent/config/text_checks.h"

#include <string.h>

#include "base/netaddr.h"
#include "certmgr/endpoint.h"
#include "certmgr/spiffe_id.h"

#define DNS_NAME_MAX 253
#define DNS_LABEL_MAX 63
#define INTERFACE_MAX 15
#define FILE_NAME_MAX 128
#define LABEL_MAX 64
#define PASSWORD_MIN 6
#define PASSWORD_MAX 64
#define PEM_TEXT_MAX 65536
#define PATH_TEXT_MAX 4095
#define RESOURCE_MAX 2048
#define PORT_DIGITS_MAX 5
#define PORT_MAX 65535
#define REQUEST_PATH_MAX 4096
#define DEL 0x7f

static bool is_digit(uint8_t c) {
    return c >= '0' && c <= '9';
}

static bool is_alnum(uint8_t c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_dns_label(struct span label) {
    if (label.len == 0 || label.len > DNS_LABEL_MAX || label.ptr[0] == '-' ||
        label.ptr[label.len - 1] == '-') {
        return false;
    }
    for (size_t i = 0; i < label.len; i++) {
        if (!is_alnum(label.ptr[i]) && label.ptr[i] != '-') {
            return false;
        }
    }
    return true;
}

static bool is_number(struct span label) {
    for (size_t i = 0; i < label.len; i++) {
        if (!is_digit(label.ptr[i])) {
            return false;
        }
    }
    return label.len > 0;
}

bool text_checks_dns_name(struct span text, struct err *err) {
    if (text.len > DNS_NAME_MAX) {
        return ERR_SET(err, ERR_INPUT, "it is longer than a DNS name can be");
    }
    struct span rest = text;
    for (;;) {
        const uint8_t *dot = rest.len == 0 ? NULL : memchr(rest.ptr, '.', rest.len);
        struct span label = dot == NULL ? rest : span_of(rest.ptr, (size_t)(dot - rest.ptr));
        if (!is_dns_label(label)) {
            return ERR_SET(err, ERR_INPUT, "it is not a DNS name");
        }
        if (dot == NULL) {
            return !is_number(label) ||
                   ERR_SET(err, ERR_INPUT, "it is not a DNS name (IP addresses are not verified)");
        }
        rest = span_after(rest, label.len + 1);
    }
}

bool text_checks_spiffe_id(struct span text, struct err *err) {
    struct spiffe_id id;
    return spiffe_id_parse(&id, text, err);
}

bool text_checks_path(struct span text, struct err *err) {
    if (text.len == 0 || text.ptr[0] != '/') {
        return ERR_SET(err, ERR_INPUT, "it is not an absolute path");
    }
    return text.len <= PATH_TEXT_MAX || ERR_SET(err, ERR_INPUT, "it is longer than a path can be");
}

bool text_checks_plain_path(struct span text, struct err *err) {
    bool ok = text_checks_path(text, err);
    for (size_t i = 0; ok && i < text.len; i++) {
        uint8_t c = text.ptr[i];
        ok = (is_alnum(c) || strchr("/._-+@=,%", c) != NULL) ||
             ERR_SET(err, ERR_INPUT,
                     "it has a character that shells and variables would take for something else");
    }
    return ok;
}

bool text_checks_file_name(struct span text, struct err *err) {
    bool ok = text.len > 0 && text.len <= FILE_NAME_MAX && text.ptr[0] != '.';
    for (size_t i = 0; ok && i < text.len; i++) {
        ok = is_alnum(text.ptr[i]) || strchr("._-", text.ptr[i]) != NULL;
    }
    return ok || ERR_SET(err, ERR_INPUT,
                         "it is not a name (1-%d of A-Z a-z 0-9 . _ -, not beginning with a dot)",
                         FILE_NAME_MAX);
}

bool text_checks_public_roots(struct span text, struct err *err) {
    return span_equal_text(text, "system") || span_equal_text(text, "none") ||
           text_checks_path(text, NULL) ||
           ERR_SET(err, ERR_INPUT, "it is neither system nor none nor an absolute path");
}

bool text_checks_password(struct span text, struct err *err) {
    bool ok = text.len >= PASSWORD_MIN && text.len <= PASSWORD_MAX;
    for (size_t i = 0; ok && i < text.len; i++) {
        ok = text.ptr[i] >= ' ' && text.ptr[i] < 0x7f;
    }
    return ok || ERR_SET(err, ERR_INPUT, "it must have %d to %d printable ASCII characters",
                         PASSWORD_MIN, PASSWORD_MAX);
}

bool text_checks_pem(struct span text, struct err *err) {
    static const char begin[] = "-----BEGIN ";
    if (text.len > PEM_TEXT_MAX) {
        return ERR_SET(err, ERR_INPUT, "it is longer than %d bytes", PEM_TEXT_MAX);
    }
    return (text.len > 0 && memmem(text.ptr, text.len, begin, strlen(begin)) != NULL) ||
           ERR_SET(err, ERR_INPUT, "it is not PEM; write it behind `pem: |`, indented");
}

bool text_checks_interface(struct span text, struct err *err) {
    bool ok = text.len > 0 && text.len <= INTERFACE_MAX && !span_equal_text(text, ".") &&
              !span_equal_text(text, "..");
    for (size_t i = 0; ok && i < text.len; i++) {
        uint8_t c = text.ptr[i];
        ok = is_alnum(c) || c == '.' || c == '_' || c == '-';
    }
    return ok || ERR_SET(err, ERR_INPUT,
                         "it is not the name of a network interface (1-15 of A-Z a-z 0-9 . _ -)");
}

bool text_checks_container(struct span text, struct err *err) {
    bool ok =
        text.len > 0 && text.len < LABEL_MAX && text.ptr[0] != '-' && text.ptr[text.len - 1] != '-';
    for (size_t i = 0; ok && i < text.len; i++) {
        uint8_t c = text.ptr[i];
        ok = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    }
    return ok || ERR_SET(err, ERR_INPUT, "it is not the name of a container (1-63 of a-z 0-9 -)");
}

bool text_checks_request_path(struct span text, struct err *err) {
    bool ok = text.len > 0 && text.len <= REQUEST_PATH_MAX && text.ptr[0] == '/';
    for (size_t i = 0; ok && i < text.len; i++) {
        ok = text.ptr[i] > ' ' && text.ptr[i] < DEL;
    }
    return ok ||
           ERR_SET(err, ERR_INPUT, "it is not a path that a request can ask for, like /healthz");
}

// RFC 9110 section 5.6.2: a token.
static bool is_token(uint8_t c) {
    return is_alnum(c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

bool text_checks_header(struct span text, struct err *err) {
    size_t name_len = 0;
    while (name_len < text.len && is_token(text.ptr[name_len])) {
        name_len++;
    }
    bool ok = name_len > 0 && name_len < text.len && text.ptr[name_len] == ':' &&
              text.len <= REQUEST_PATH_MAX;
    for (size_t i = name_len; ok && i < text.len; i++) {
        ok = (text.ptr[i] >= ' ' && text.ptr[i] != DEL) || text.ptr[i] == '\t';
    }
    return ok || ERR_SET(err, ERR_INPUT, "it is not a header, like \"Name: value\"");
}

bool text_checks_label(struct span text, struct err *err) {
    return (text.len > 0 && text.len <= LABEL_MAX) ||
           ERR_SET(err, ERR_INPUT, "it must have 1 to %d bytes", LABEL_MAX);
}

bool text_checks_resource(struct span text, struct err *err) {
    return (text.len > 0 && text.len <= RESOURCE_MAX) ||
           ERR_SET(err, ERR_INPUT, "it must have 1 to %d bytes", RESOURCE_MAX);
}

bool text_checks_host(struct span text, struct err *err) {
    struct netaddr addr;
    if (netaddr_parse_ip(&addr, text, NULL)) {
        return true;
    }
    return text_checks_dns_name(text, NULL) ||
           ERR_SET(err, ERR_INPUT, "it is neither a DNS name nor an IP address");
}

static bool is_port(struct span text) {
    unsigned port = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (!is_digit(text.ptr[i]) || i >= PORT_DIGITS_MAX) {
            return false;
        }
        port = port * 10 + (text.ptr[i] - (unsigned)'0');
    }
    return port >= 1 && port <= PORT_MAX && text.ptr[0] != '0';
}

bool text_checks_host_port(struct span text, struct err *err) {
    struct netaddr addr;
    if (netaddr_parse(&addr, text, NULL)) {
        return true;
    }
    const uint8_t *colon = text.len == 0 ? NULL : memchr(text.ptr, ':', text.len);
    if (colon == NULL) {
        return ERR_SET(err, ERR_INPUT, "it has no port: HOST:PORT");
    }
    size_t host_len = (size_t)(colon - text.ptr);
    if (!text_checks_dns_name(span_of(text.ptr, host_len), NULL)) {
        return ERR_SET(err, ERR_INPUT, "its host is neither a DNS name nor an IP address");
    }
    return is_port(span_after(text, host_len + 1)) ||
           ERR_SET(err, ERR_INPUT, "its port is not a number from 1 to 65535");
}

bool text_checks_audit_address(struct span text, struct err *err) {
    bool is_unix = text.len >= 5 && memcmp(text.ptr, "unix:", 5) == 0;
    return is_unix ? endpoint_check(text, err) : text_checks_host_port(text, err);
}

bool text_checks_server_name(struct span text, struct err *err) {
    bool any = span_equal_text(text, "*");
    bool wild = text.len > 2 && text.ptr[0] == '*' && text.ptr[1] == '.';
    return any || text_checks_dns_name(wild ? span_after(text, 2) : text, NULL) ||
           ERR_SET(err, ERR_INPUT, "it is neither a DNS name, nor \"*.\" and one, nor \"*\"");
}

static bool is_variable(struct span name) {
    bool ok = name.len > 0 && !is_digit(name.ptr[0]);
    for (size_t i = 0; ok && i < name.len; i++) {
        ok = is_alnum(name.ptr[i]) || name.ptr[i] == '_';
    }
    return ok;
}

bool text_checks_secret_ref(struct span text, struct err *err) {
    bool env = text.len > 4 && memcmp(text.ptr, "env:", 4) == 0;
    bool file = text.len > 5 && memcmp(text.ptr, "file:", 5) == 0;
    return (env && is_variable(span_after(text, 4))) ||
           (file && text_checks_path(span_after(text, 5), NULL)) ||
           ERR_SET(err, ERR_INPUT, "a passphrase is named by env:NAME or file:/PATH, not given");
}
