// Says when something that a trust store is made of may have changed: directories, the links in
// them, named files, the public roots. Like file_watch, it says "perhaps" often and "no" never for
// certain.
#ifndef AGENT_TRUST_TRUST_WATCH_H
#define AGENT_TRUST_TRUST_WATCH_H

#include <stdbool.h>

#include "base/own.h"
#include "certmgr/trust/trust_options.h"

#define TRUST_WATCH_PATHS_MAX 256 // directories and links that are followed

struct trust_watch;

struct trust_watch *trust_watch_new(void) MUST_USE;
void trust_watch_free(struct trust_watch *watch);
OWN_DEFINE(struct trust_watch, trust_watch_free)

// Before each reading: what changes afterwards is announced.
void trust_watch_follow(struct trust_watch *watch, const struct trust_options *options);
int trust_watch_fd(const struct trust_watch *watch); // readable when there is news; -1: never
bool trust_watch_drain(struct trust_watch *watch);   // true when there was news

#endif
