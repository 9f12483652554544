#include "agent/net/handed.h"

#include <stdlib.h>
#include <string.h>

#include "agent/net/socket.h"

struct one {
    int fd;
    struct netaddr addr;
    char *name;
};

struct handed {
    struct one *items;
    size_t num;
};

struct handed *handed_new(void) {
    return calloc(1, sizeof(struct handed));
}

void handed_free(struct handed *handed) {
    if (handed == NULL) {
        return;
    }
    for (size_t i = 0; i < handed->num; i++) {
        socket_close(handed->items[i].fd);
        free(handed->items[i].name);
    }
    free(handed->items);
    free(handed);
}

static bool append(struct handed *handed, struct one one) {
    struct one *items = reallocarray(handed->items, handed->num + 1, sizeof(*items));
    if (items == NULL || one.name == NULL) {
        handed->items = items == NULL ? handed->items : items;
        free(one.name);
        return false;
    }
    handed->items = items;
    items[handed->num++] = one;
    return true;
}

bool handed_add(struct handed *handed, int fd, const char *name, struct err *err) {
    struct one one = {.fd = fd};
    if (!socket_adopt(fd, &one.addr, err)) {
        socket_close(fd);
        return err_wrap(err, "the socket \"%s\" that was handed in", name);
    }
    one.name = strdup(name);
    if (!append(handed, one)) {
        socket_close(fd);
        return ERR_NO_MEMORY(err, "taking the sockets that were handed in");
    }
    return true;
}

int handed_take(struct handed *handed, const struct netaddr *addr) {
    for (size_t i = 0; handed != NULL && i < handed->num; i++) {
        if (netaddr_equal(&handed->items[i].addr, addr)) {
            int fd = handed->items[i].fd;
            free(handed->items[i].name);
            handed->num--;
            memmove(&handed->items[i], &handed->items[i + 1],
                    (handed->num - i) * sizeof(*handed->items));
            return fd;
        }
    }
    return -1;
}

size_t handed_num(const struct handed *handed) {
    return handed == NULL ? 0 : handed->num;
}

const struct netaddr *handed_address(const struct handed *handed, size_t i) {
    return &handed->items[i].addr;
}

const char *handed_name(const struct handed *handed, size_t i) {
    return handed->items[i].name;
}
