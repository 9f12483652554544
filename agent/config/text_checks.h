// What the texts of a configuration may look like: pure checks, one sentence on error.
#ifndef AGENT_CONFIG_TEXT_CHECKS_H
#define AGENT_CONFIG_TEXT_CHECKS_H

#include <stdbool.h>

#include "base/err.h"
#include "base/own.h"
#include "base/span.h"

// A DNS host name: labels of letters, digits and inner hyphens; no wildcard, no final dot, no IP.
bool text_checks_dns_name(struct span text, struct err *err) MUST_USE;
bool text_checks_spiffe_id(struct span text, struct err *err) MUST_USE;
// An absolute path.
bool text_checks_path(struct span text, struct err *err) MUST_USE;
// An absolute path that means itself in a shell, in a list with colons and in an ini file.
bool text_checks_plain_path(struct span text, struct err *err) MUST_USE;
// A name that can be a file's: 1-128 of [A-Za-z0-9._-], no dot first.
bool text_checks_file_name(struct span text, struct err *err) MUST_USE;
// "system", "none" or an absolute path.
bool text_checks_public_roots(struct span text, struct err *err) MUST_USE;
// 6-64 printable ASCII characters: what a Java key store takes.
bool text_checks_password(struct span text, struct err *err) MUST_USE;
// At most 65536 bytes, and some block in it begins like PEM.
bool text_checks_pem(struct span text, struct err *err) MUST_USE;
// A network interface's name: 1-15 bytes of [A-Za-z0-9._-]; it ends up in a rule set.
bool text_checks_interface(struct span text, struct err *err) MUST_USE;
// A name for people: 1-64 bytes.
bool text_checks_label(struct span text, struct err *err) MUST_USE;
// The name of an SDS secret: 1-2048 bytes; it may be a SPIFFE ID.
bool text_checks_resource(struct span text, struct err *err) MUST_USE;
// A container's name: 1-63 of a-z 0-9 and inner hyphens; it becomes part of a path.
bool text_checks_container(struct span text, struct err *err) MUST_USE;
// What a request line asks for: '/' and printable ASCII without blanks.
bool text_checks_request_path(struct span text, struct err *err) MUST_USE;
// "Name: value": one header of a request, without line breaks.
bool text_checks_header(struct span text, struct err *err) MUST_USE;
// A DNS name or an IP address, without brackets or port.
bool text_checks_host(struct span text, struct err *err) MUST_USE;
// A DNS name, "*." and one, or "*": what a client may ask for by SNI.
bool text_checks_server_name(struct span text, struct err *err) MUST_USE;
// "env:NAME" or "file:PATH": where a secret is, never the secret itself.
bool text_checks_secret_ref(struct span text, struct err *err) MUST_USE;
// "name:port", "1.2.3.4:port" or "[::1]:port".
bool text_checks_host_port(struct span text, struct err *err) MUST_USE;
// The same, or "unix:///PATH".
bool text_checks_audit_address(struct span text, struct err *err) MUST_USE;

#endif
