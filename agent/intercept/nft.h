// Runs the nft program, the only way the redirect rules reach the kernel. It is looked for in PATH,
// then in /usr/sbin and /sbin. Blocks until the program has ended; one call at a time.
#ifndef AGENT_INTERCEPT_NFT_H
#define AGENT_INTERCEPT_NFT_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"
#include "base/span.h"

// Loads `rules` as one transaction: all of it or nothing. ERR_ENVIRONMENT when nft is missing, when
// the privilege (NET_ADMIN) is missing, or with nft's own words.
bool nft_load(struct span rules, struct err *err) MUST_USE;

enum nft_listing { NFT_LISTED, NFT_NO_TABLE, NFT_FAILED };

// Appends the table ("inet pavise") in force, with its counters. NFT_FAILED sets `err` as nft_load
// does.
enum nft_listing nft_list(const char *table, struct buf *out, struct err *err) MUST_USE;

#endif
