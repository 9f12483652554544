// The version of this program.
#ifndef AGENT_STATUS_VERSION_H
#define AGENT_STATUS_VERSION_H

#define PAVISE_VERSION "0.1.0"

#endif
