// `pavise agent`: runs the sidecar.
#ifndef AGENT_COMMAND_AGENT_H
#define AGENT_COMMAND_AGENT_H

// argv[0] is "agent". The process's exit code.
int agent_run(int argc, char **argv);

#endif
