// AES-GCM by Debian's libipsec-mb, which has code for CPUs with AVX-512 and VAES: about four times
// as fast as BoringSSL there for full records. Where the CPU lacks them, or the program was built
// for another architecture, there is none. PAVISE_AEAD=boringssl in the environment turns it off.
#ifndef AGENT_TLS_AEAD_WIDE_H
#define AGENT_TLS_AEAD_WIDE_H

#include "agent/tls/aead.h"

// NULL: not here. At the first call of the process the library has to do on known input what
// BoringSSL does, or is not used; so that is made only when there is bulk to move. It has no
// ChaCha20: aead_init fails then. Thread-safe.
const struct aead_ops *aead_wide(void);

#endif
