// `pavise inject` and `pavise uninject`: rewrite Kubernetes manifests. The result goes to standard
// output, what was done to standard error.
#ifndef AGENT_COMMAND_INJECT_H
#define AGENT_COMMAND_INJECT_H

// argv[0] is the sub-command's name; the exit code.
int inject_run(int argc, char **argv);
int inject_undo_run(int argc, char **argv);

#endif
