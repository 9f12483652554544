// From the text of status.audit.address to a connected socket. Blocks no longer than the caller's
// patience.
#ifndef AGENT_AUDIT_AUDIT_TARGET_H
#define AGENT_AUDIT_AUDIT_TARGET_H

#include "base/err.h"
#include "certmgr/patience.h"

// "HOST:PORT", every address that the host has, or "unix:///PATH"; text_checks_audit_address has
// looked at it. A non-blocking stream socket; -1 with the sentence.
int audit_target_dial(const char *address, const struct patience *patience,
                      struct err *err) MUST_USE;

#endif
