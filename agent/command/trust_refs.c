// `pavise trust refs`: what uses a certificate. A door to jansson.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "agent/command/trust_internal.h"
#include "agent/status/escape.h"
#include "agent/status/render_trust.h"

#define PLACE_MAX 512

// The configuration's texts that are a certificate's name, as a list of places.
struct search {
    const char *name;
    json_t *found;
    bool fine;
};

static void search_value(struct search *search, const json_t *value, const char *place);

static void search_object(struct search *search, const json_t *object, const char *place) {
    const char *key;
    json_t *child;
    json_object_foreach((json_t *)(uintptr_t)object, key, child) {
        char inner[PLACE_MAX];
        (void)snprintf(inner, sizeof(inner), "%s%s%s", place, place[0] == '\0' ? "" : ".", key);
        search_value(search, child, inner);
    }
}

static void search_value(struct search *search, const json_t *value, const char *place) {
    if (json_is_object(value)) {
        search_object(search, value, place);
        return;
    }
    for (size_t i = 0; json_is_array(value) && i < json_array_size(value); i++) {
        char inner[PLACE_MAX];
        (void)snprintf(inner, sizeof(inner), "%s[%zu]", place, i);
        search_value(search, json_array_get(value, i), inner);
    }
    if (json_is_string(value) && strcmp(json_string_value(value), search->name) == 0) {
        search->fine =
            json_array_append_new(search->found, json_string(place)) == 0 && search->fine;
    }
}

static bool search_configuration(const struct config *config, struct search *search) {
    struct buf text = {0};
    bool ok = config_render_json(config, &text);
    struct span bytes = buf_span(&text);
    json_t *root = ok ? json_loadb((const char *)bytes.ptr, bytes.len, 0, NULL) : NULL;
    if (root != NULL) {
        search_value(search, root, "");
    }
    json_decref(root);
    buf_fini(&text);
    return root != NULL && search->fine;
}

static json_t *list_outputs(const struct trust_view *view, const struct trust_entry *entry) {
    char names[RENDER_TRUST_OUTPUTS_MAX][300];
    size_t num = render_trust_outputs(entry, names);
    json_t *list = json_array();
    for (size_t i = 0; i < num; i++) {
        (void)json_array_append_new(list, json_sprintf("%s/%s", view->output, names[i]));
    }
    return list;
}

static json_t *list_processes(const struct trust_view *view) {
    json_t *list = json_array();
    for (size_t i = 0; i < view->num_processes; i++) {
        const struct trust_process_view *process = &view->processes[i];
        struct buf clean = {0};
        bool ok = escape_plain(&clean, process->command) && buf_append(&clean, "", 1);
        (void)json_array_append_new(list,
                                    json_sprintf("%d %s%s", (int)process->pid,
                                                 ok ? (const char *)buf_span(&clean).ptr : "",
                                                 process->needs_restart ? ", restart needed" : ""));
        buf_fini(&clean);
    }
    return list;
}

static bool print_lines(struct buf *out, const char *title, const json_t *list) {
    bool ok = true;
    for (size_t i = 0; ok && i < json_array_size(list); i++) {
        ok = buf_printf(out, "%-14s ", title) &&
             escape_plain(out, json_string_value(json_array_get(list, i))) &&
             buf_append_text(out, "\n");
    }
    return ok;
}

static bool print_refs(const struct trust_scene *scene, const json_t *refs) {
    if (!scene->arguments->json) {
        return print_lines(scene->out, "configuration", json_object_get(refs, "configuration")) &&
               print_lines(scene->out, "output", json_object_get(refs, "outputs")) &&
               print_lines(scene->out, "process", json_object_get(refs, "processes"));
    }
    char *text = json_dumps(refs, JSON_INDENT(2));
    bool ok =
        text != NULL && buf_append_text(scene->out, text) && buf_append_text(scene->out, "\n");
    free(text);
    return ok;
}

static bool find_refs(const struct trust_scene *scene, const struct trust_view *view,
                      struct err *err) {
    const char *name = scene->arguments->operands[0];
    const struct trust_entry *entry = trust_set_find(view->set, name);
    if (entry == NULL) {
        return ERR_SET(err, ERR_INPUT, "there is no certificate \"%s\"", name);
    }
    struct search search = {.name = entry->alias, .found = json_array(), .fine = true};
    bool ok = search_configuration(scene->config, &search);
    json_t *refs =
        json_pack("{s:s, s:o, s:o, s:o}", "name", entry->alias, "configuration", search.found,
                  "outputs", list_outputs(view, entry), "processes", list_processes(view));
    ok = ok && refs != NULL && print_refs(scene, refs);
    json_decref(refs);
    return ok || ERR_NO_MEMORY(err, "printing");
}

bool trust_refs(const struct trust_scene *scene, struct err *err) {
    struct trust_view view = {0};
    bool ok = trust_look(scene, &view, err) && find_refs(scene, &view, err);
    trust_view_fini(&view);
    return ok;
}
