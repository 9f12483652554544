// The subject that a client's certificate has to have: plain text, as a configuration says it.
#ifndef CERTMGR_SUBJECT_RULE_H
#define CERTMGR_SUBJECT_RULE_H

#include <stddef.h>

struct subject_rule {
    char *cn; // never NULL
    char *o;  // NULL: the certificate must have none; so with all that follow
    char *l;
    char *st;
    char *c;
    char **ou; // a set: any order
    size_t num_ou;
};

#endif
