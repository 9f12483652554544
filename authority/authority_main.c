// The authority as a program of its own, for its tests.
#include "authority/authority.h"

int main(int argc, char **argv) {
    return authority_run(argc, argv);
}
