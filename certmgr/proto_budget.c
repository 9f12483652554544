#include "certmgr/proto_budget.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

void *proto_budget_alloc(void *arg, size_t size) {
    struct proto_budget *budget = arg;
    if (size > budget->left) {
        return NULL;
    }
    void *mem = malloc(size);
    if (mem == NULL) {
        return NULL;
    }
    size_t usable = malloc_usable_size(mem);
    if (usable > budget->left) {
        free(mem);
        return NULL;
    }
    budget->left -= usable;
    return mem;
}

void proto_budget_free(void *arg, void *mem) {
    struct proto_budget *budget = arg;
    if (mem == NULL) {
        return;
    }
    size_t usable = malloc_usable_size(mem);
    budget->left += usable;
    explicit_bzero(mem, usable);
    free(mem);
}
