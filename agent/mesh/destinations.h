// What is remembered of each destination address's membership in the mesh: pinned (it has proven an
// identity; never downgraded while pinned), a Service's (pinned too), plaintext (it did not answer
// and may be passed), or unreachable (it did not answer; asked again soon). Shared by all workers
// behind one mutex, touched once per new connection and per handshake, never on the relay path.
// Bounded: the entries that end soonest give way, pinned ones last.
#ifndef AGENT_MESH_DESTINATIONS_H
#define AGENT_MESH_DESTINATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/observe/view.h"
#include "base/netaddr.h"
#include "base/own.h"
#include "certmgr/spiffe_id.h"

#define DESTINATIONS_MAX 65536

enum destination_state {
    DESTINATION_UNKNOWN,     // never asked, or forgotten: try the tunnel port
    DESTINATION_PINNED,      // in the mesh: tunnel or refuse
    DESTINATION_PLAINTEXT,   // not in the mesh at the last try, and plaintext is allowed
    DESTINATION_UNREACHABLE, // not in the mesh at the last try: refuse without trying again
    DESTINATION_SERVICE,     // sidecars are behind it: ask which one, or refuse
};

// Sidecars have been there: a tunnel or a refusal, and never plaintext, until it ends.
bool destinations_is_pin(enum destination_state state);

struct destinations;

struct destinations *destinations_new(void) MUST_USE;
void destinations_free(struct destinations *destinations);
OWN_DEFINE(struct destinations, destinations_free)

// Times are wall-clock milliseconds. The port of `addr` is not looked at.
enum destination_state destinations_look_up(struct destinations *destinations,
                                            const struct netaddr *addr, int64_t now_ms);
// A handshake with a valid identity ended: pins, or renews the pin, for `pin_for_ms`.
void destinations_pin(struct destinations *destinations, const struct netaddr *addr,
                      const struct spiffe_id *peer, int64_t now_ms, int64_t pin_for_ms);
// A sidecar behind `addr` has said where it is: as good as a pin, for `for_ms`.
void destinations_note_service(struct destinations *destinations, const struct netaddr *addr,
                               int64_t now_ms, int64_t for_ms);
// The tunnel port did not answer. Never replaces a pin that has not ended.
struct destination_miss {
    bool plaintext; // may be passed in plain text meanwhile
    const char *why;
    int64_t for_ms; // how long this is believed
};
void destinations_miss(struct destinations *destinations, const struct netaddr *addr,
                       const struct destination_miss *miss, int64_t now_ms);
// POST /destinations/forget: false when nothing is remembered.
bool destinations_forget(struct destinations *destinations, const struct netaddr *addr);
// Grows with each pin that is made, changes its identity or is forgotten; not with renewals.
uint64_t destinations_pin_changes(struct destinations *destinations);
// Appends what is remembered and has not ended.
void destinations_render(struct destinations *destinations, struct view *out, int64_t now_ms);

#endif
