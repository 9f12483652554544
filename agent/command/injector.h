// `pavise injector`: the mutating webhook.
#ifndef AGENT_COMMAND_INJECTOR_H
#define AGENT_COMMAND_INJECTOR_H

// argv[0] is the sub-command's name; the exit code.
int injector_run(int argc, char **argv);

#endif
