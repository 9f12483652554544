// `pavise intercept up|down|show`: puts in, removes, or prints the redirect rules of the network
// namespace it runs in. The rules stay when it ends; the agent need not run.
#ifndef AGENT_COMMAND_INTERCEPT_H
#define AGENT_COMMAND_INTERCEPT_H

// argv[0] is "intercept". Rules and what was done go to standard output, warnings and mistakes to
// standard error. Returns the exit code: 0 done; 1 the configuration is wrong, or show found no
// rules; 2 usage; 3 nft or the privilege is missing.
int intercept_run(int argc, char **argv);

#endif
