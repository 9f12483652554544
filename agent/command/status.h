// `pavise status`: asks the local status port and prints the answer for people.
#ifndef AGENT_COMMAND_STATUS_H
#define AGENT_COMMAND_STATUS_H

// argv[0] is "status". Returns the exit code: 0 done (--ready: ready), 1 the agent is not ready or
// refuses the question, 2 usage, 3 nobody answers there.
int status_run(int argc, char **argv);

#endif
