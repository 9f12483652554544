// `pavise trust`: writes the trust store, shows and changes what it is made of, and starts a
// command that uses it.
#ifndef AGENT_COMMAND_TRUST_H
#define AGENT_COMMAND_TRUST_H

// argv[0] is "trust". Returns the exit code: 0 done, 1 the input is wrong (of sync: no store could
// be written), 2 usage, 3 the system refused; of run: the command's own, 126 and 127 as shells say
// when it cannot be started.
int trust_run(int argc, char **argv);

#endif
