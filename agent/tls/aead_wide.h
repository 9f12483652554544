// AES-GCM by Debian's libipsec-mb, which has code for CPUs with AVX-512 and VAES: about four times
// as fast as BoringSSL there for full records. Where the CPU lacks them, or the program was built
// for another architecture, there is none. PAVISE_AEAD=boringssl in the environment turns it off.
#ifndef AGENT_TLS_AEAD_WIDE_H
#define AGENT_TLS_AEAD_WIDE_H

#include "agent/tls/aead.h"

// NULL: not here. The first call of the process costs half a millisecond and some megabytes, so it
// is made only when there is bulk to move: the library starts, and has to do on known input what
// BoringSSL does, or is not used. It has no ChaCha20: aead_init fails then. Thread-safe.
const struct aead_ops *aead_wide(void);

#endif
