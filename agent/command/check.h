// `pavise check --config FILE`: says whether a configuration file is good.
#ifndef AGENT_COMMAND_CHECK_H
#define AGENT_COMMAND_CHECK_H

// argv[0] is "check". Mistakes and warnings go to standard error as "file:line:col: sentence",
// "FILE: ok" to standard output. Returns the exit code: 0 good, 1 not good, 2 usage.
int check_run(int argc, char **argv);

#endif
