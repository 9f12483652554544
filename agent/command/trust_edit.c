// `pavise trust add` and `remove`: files in the first directory of trustStore.sources.
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/command/trust_internal.h"
#include "base/file.h"
#include "certmgr/pem.h"
#include "certmgr/trust/trust_builder.h"
#include "certmgr/trust/trust_input.h"

#define PATH_TEXT_MAX 4400
#define FILE_MODE 0644

static const char *find_directory(const struct trust_scene *scene, struct err *err) {
    const struct string_list *sources = &scene->config->trust_store.sources;
    for (size_t i = 0; i < sources->num; i++) {
        struct stat st;
        if (stat(sources->items[i], &st) == 0 && S_ISDIR(st.st_mode)) {
            return sources->items[i];
        }
    }
    ERR_SET(err, ERR_INPUT, "trustStore.sources names no directory that is there");
    return NULL;
}

// Finds the file whose name without its extension is NAME. False when there is none or memory is
// short; `path` is then what a new one would be called.
static bool find_file(const char *directory, const char *name, char path[PATH_TEXT_MAX]) {
    DIR *stream = opendir(directory);
    bool found = false;
    const struct dirent *entry;
    while (stream != NULL && !found && (entry = readdir(stream)) != NULL) {
        char stem[TRUST_BUILDER_STEM_MAX + 1];
        trust_builder_stem(entry->d_name, stem);
        if (entry->d_name[0] != '.' &&
            (strcasecmp(stem, name) == 0 || strcmp(entry->d_name, name) == 0)) {
            (void)snprintf(path, PATH_TEXT_MAX, "%s/%s", directory, entry->d_name);
            found = true;
        }
    }
    if (stream != NULL) {
        (void)closedir(stream);
    }
    if (!found) {
        (void)snprintf(path, PATH_TEXT_MAX, "%s/%s.pem", directory, name);
    }
    return found;
}

// --- add ---

struct copy {
    const char *path;
    struct buf pem;
    size_t num;
};

static bool copy_certificate(void *arg, struct trust_cert *owned, size_t index UNUSED) {
    OWNED(trust_cert_free) struct trust_cert *cert = owned;
    struct copy *copy = arg;
    copy->num++;
    return pem_render("CERTIFICATE", span_of(cert->der, cert->der_len), &copy->pem);
}

static bool warn_of_problem(void *arg, const char *sentence) {
    const struct copy *copy = arg;
    trust_warn("warning: %s: %s", copy->path, sentence);
    return true;
}

static bool read_certificates(struct copy *copy, struct err *err) {
    struct buf text = {0};
    const struct trust_input_sink sink = {
        .arg = copy, .certificate = copy_certificate, .problem = warn_of_problem};
    bool ok = file_read(copy->path, TRUST_INPUT_MAX, &text, err) &&
              (trust_input_parse(buf_span(&text), &sink) || ERR_NO_MEMORY(err, "reading"));
    buf_clear_secret(&text);
    return ok &&
           (copy->num > 0 ||
            ERR_SET(err, ERR_INPUT, "%s holds no certificate, so nothing was added", copy->path));
}

static bool is_file_name(const char *name) {
    return name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL &&
           strlen(name) <= TRUST_BUILDER_STEM_MAX;
}

static bool write_copy(const struct trust_scene *scene, struct copy *copy, const char *name,
                       struct err *err) {
    char path[PATH_TEXT_MAX];
    const char *directory = find_directory(scene, err);
    if (directory == NULL) {
        return false;
    }
    if (find_file(directory, name, path)) {
        return ERR_SET(err, ERR_INPUT, "there is %s already; pavise trust remove %s takes it away",
                       path, name);
    }
    return file_write_atomic(path, buf_span(&copy->pem), FILE_MODE, err) &&
           (buf_printf(scene->out, "added %s: %zu certificate%s\n", path, copy->num,
                       copy->num == 1 ? "" : "s") ||
            ERR_NO_MEMORY(err, "printing"));
}

bool trust_add(const struct trust_scene *scene, struct err *err) {
    struct copy copy = {.path = scene->arguments->operands[0]};
    char stem[TRUST_BUILDER_STEM_MAX + 1];
    trust_builder_stem(copy.path, stem);
    const char *name = scene->arguments->name == NULL ? stem : scene->arguments->name;
    if (!is_file_name(name)) {
        return ERR_SET(err, ERR_INPUT, "\"%s\" cannot be a certificate's name; say --name NAME",
                       name);
    }
    bool ok = read_certificates(&copy, err) && write_copy(scene, &copy, name, err);
    buf_fini(&copy.pem);
    return ok;
}

// --- remove ---

static bool is_configured(const struct config_trust_store *store, const char *name) {
    for (size_t i = 0; i < store->num_certificates; i++) {
        if (strcasecmp(store->certificates[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

bool trust_remove(const struct trust_scene *scene, struct err *err) {
    const char *name = scene->arguments->operands[0];
    char path[PATH_TEXT_MAX];
    if (is_configured(&scene->config->trust_store, name)) {
        return ERR_SET(err, ERR_INPUT,
                       "%s stands in trustStore.certificates; remove it from the configuration",
                       name);
    }
    const char *directory = find_directory(scene, err);
    if (directory == NULL) {
        return false;
    }
    if (!find_file(directory, name, path)) {
        return ERR_SET(err, ERR_INPUT, "there is no file of that name in %s: %s", directory, name);
    }
    if (unlink(path) != 0) {
        return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "cannot remove %s", path);
    }
    return buf_printf(scene->out, "removed %s\n", path) || ERR_NO_MEMORY(err, "printing");
}
