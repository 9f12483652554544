// Which sidecar is behind the address of a Kubernetes Service: the address leads to one of many
// pods for each connection, and only for the application's port. So a sidecar that finds no tunnel
// port there asks on that port, by the question below, and the sidecar of the pod that gets the
// connection answers with the pod's own address, to which a tunnel leads. Pure: bytes in, bytes
// out. The answer is no more believed than an answer of DNS: whoever is there has to prove an
// identity.
#ifndef AGENT_MESH_WHEREABOUTS_H
#define AGENT_MESH_WHEREABOUTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/netaddr.h"
#include "base/span.h"

enum { WHEREABOUTS_QUESTION_LEN = 16, WHEREABOUTS_ANSWER_MAX = NETADDR_TEXT_MAX };

// What is asked: it begins like no protocol that is known to begin with its client.
struct span whereabouts_question(void);
// Whether `bytes`, the first that came, begin with the question. One that came in part is none: it
// fits into any segment.
bool whereabouts_is_question(struct span bytes);

// The answer: ADDRESS:PORT and a newline. Its length.
size_t whereabouts_answer(const struct netaddr *pod, char out[WHEREABOUTS_ANSWER_MAX]);

enum whereabouts { WHEREABOUTS_INCOMPLETE, WHEREABOUTS_KNOWN, WHEREABOUTS_NONSENSE };
// Nonsense: too long, not an address with a port, or one that is nowhere (unspecified, loopback,
// IPv6 with a scope). Nothing may follow the newline.
enum whereabouts whereabouts_parse(struct span answer, struct netaddr *pod);

#endif
