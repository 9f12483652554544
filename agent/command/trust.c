#include "agent/command/trust.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "agent/command/trust_internal.h"
#include "agent/command/trust_text.h"
#include "agent/status/escape.h"
#include "agent/status/render_trust.h"
#include "agent/trust/trust_sync.h"
#include "agent/trust/trust_users.h"
#include "base/clock.h"
#include "base/text.h"
#include "certmgr/trust/trust_gather.h"

enum { EXIT_GOOD = 0, EXIT_INPUT = 1, EXIT_USAGE = 2 };

static const char usage[] =
    "usage: pavise trust sync --config FILE [-o json]\n"
    "       pavise trust list --config FILE [--all] [--long] [-o json]\n"
    "       pavise trust show NAME --config FILE [-o json]\n"
    "       pavise trust add CERTIFICATES --config FILE [--name NAME]\n"
    "       pavise trust remove NAME --config FILE\n"
    "       pavise trust refs NAME --config FILE [-o json]\n"
    "       pavise trust run --config FILE -- COMMAND...\n"
    "sync writes the store that trustStore describes and ends; list says what is in it (--all: "
    "with\n"
    "the public roots, --long: with all that is known of each), show says it of one, by name or "
    "by\n"
    "the beginning of a SHA-1 or SHA-256; add and remove change the first directory of\n"
    "trustStore.sources; refs says what uses a certificate; run starts a command with the\n"
    "environment set.\n";

void trust_warn(const char *format, ...) {
    char sentence[ERR_MSG_MAX + 4096];
    struct buf clean = {0};
    va_list args;
    va_start(args, format);
    (void)vsnprintf(sentence, sizeof(sentence), format, args);
    va_end(args);
    if (escape_plain(&clean, sentence)) {
        fprintf(stderr, "pavise trust: %.*s\n", (int)clean.len,
                clean.len == 0 ? "" : (const char *)buf_span(&clean).ptr);
    }
    buf_fini(&clean);
}

// --- the verbs that show ---

static void start_view(const struct trust_scene *scene, struct trust_view *view) {
    const struct trust_options *options = trust_plan_options(scene->plan);
    const char *roots = trust_gather_public_path(options);
    text_copy(view->output, sizeof(view->output), options->output);
    text_copy(view->public_roots, sizeof(view->public_roots), roots);
    view->checked_ms = clock_wall_ms();
}

static void set_state(struct trust_view *view, const struct trust_store_state *state) {
    view->generation = state->generation;
    view->written_ms = state->written_ms;
    view->state = state->generation == 0 ? TRUST_STATE_PENDING : TRUST_STATE_WRITTEN;
}

bool trust_look(const struct trust_scene *scene, struct trust_view *view, struct err *err) {
    const struct trust_options *options = trust_plan_options(scene->plan);
    struct trust_store_state state;
    trust_plan_peek(scene->plan);
    view->set = trust_gather(options, NULL, clock_wall_s(), err);
    if (view->set == NULL) {
        return false;
    }
    start_view(scene, view);
    trust_store_read(options->output, &state);
    set_state(view, &state);
    return trust_users_find("/proc", view) || ERR_NO_MEMORY(err, "looking at processes");
}

static void warn_of(const struct trust_set *set) {
    for (size_t i = 0; i < set->num_problems; i++) {
        const struct trust_problem *problem = &set->problems[i];
        // The first words are Azure Spring's.
        trust_warn("warning: %s%s: %s",
                   problem->is_whole ? "Unable to load certificate from: " : "", problem->place,
                   problem->sentence);
    }
    if (set->num_unsaid > 0) {
        trust_warn("warning: and %zu more", set->num_unsaid);
    }
}

static void warn_of_findings(const struct trust_set *set) {
    for (size_t i = 0; i < set->num_entries; i++) {
        const struct trust_entry *entry = set->entries[i];
        for (unsigned bit = 0; entry->origin != TRUST_PUBLIC && bit < TRUST_FINDINGS; bit++) {
            enum trust_finding finding = (enum trust_finding)(1U << bit);
            if ((entry->findings & finding) != 0) {
                trust_warn("warning: %s: %s: %s", entry->source, entry->alias,
                           trust_cert_finding_sentence(finding));
            }
        }
    }
}

static struct render_trust_scope scope_of(const struct trust_scene *scene) {
    return (struct render_trust_scope){.all = scene->arguments->all, .rows_max = SIZE_MAX};
}

static bool print_list(const struct trust_scene *scene, const struct trust_view *view) {
    if (scene->arguments->json) {
        return render_trust_view(scene->out, view, scope_of(scene));
    }
    warn_of(view->set);
    bool all = scene->arguments->all;
    bool ok = scene->arguments->is_long ? trust_text_long(scene->out, view, all, clock_wall_ms())
                                        : trust_text_table(scene->out, view, all, clock_wall_ms());
    return ok && trust_text_summary(scene->out, view);
}

static bool trust_list(const struct trust_scene *scene, struct err *err) {
    struct trust_view view = {0};
    bool ok = trust_look(scene, &view, err) &&
              (print_list(scene, &view) || ERR_NO_MEMORY(err, "printing"));
    trust_view_fini(&view);
    return ok;
}

static bool print_entry(const struct trust_scene *scene, const struct trust_view *view,
                        struct err *err) {
    const char *name = scene->arguments->operands[0];
    const struct trust_entry *entry = trust_set_find(view->set, name);
    if (entry == NULL) {
        return ERR_SET(err, ERR_INPUT,
                       "there is no certificate \"%s\"; pavise trust list --all "
                       "says which there are",
                       name);
    }
    bool ok = scene->arguments->json ? render_trust_entry(scene->out, entry)
                                     : trust_text_entry(scene->out, entry, clock_wall_ms());
    return ok || ERR_NO_MEMORY(err, "printing");
}

static bool trust_show(const struct trust_scene *scene, struct err *err) {
    struct trust_view view = {0};
    bool ok = trust_look(scene, &view, err) && print_entry(scene, &view, err);
    trust_view_fini(&view);
    return ok;
}

// --- sync ---

static bool print_written(const struct trust_scene *scene, const struct trust_view *view,
                          bool changed) {
    if (scene->arguments->json) {
        return render_trust_view(scene->out, view, scope_of(scene));
    }
    return trust_text_loaded(scene->out, view->set) &&
           buf_printf(scene->out, "%s generation %llu in %s\n",
                      changed ? "wrote" : "unchanged:", (unsigned long long)view->generation,
                      view->output) &&
           trust_text_summary(scene->out, view);
}

bool trust_write(const struct trust_scene *scene, struct err *err) {
    const struct trust_plan_listener nobody = {0}; // what is missing is among the problems
    struct trust_sync_result result = {0};
    struct trust_view view = {0};
    trust_plan_refresh(scene->plan, clock_mono_ms(), -1, &nobody);
    if (!trust_sync(trust_plan_options(scene->plan), NULL, clock_wall_s(), &result, err)) {
        return false;
    }
    view.set = result.set;
    start_view(scene, &view);
    set_state(&view, &result.state);
    warn_of(view.set);
    warn_of_findings(view.set);
    bool ok = (trust_users_find("/proc", &view) && print_written(scene, &view, result.changed)) ||
              ERR_NO_MEMORY(err, "printing");
    trust_view_fini(&view);
    return ok;
}

// --- the command line ---

static const struct verb {
    const char *name;
    bool (*run)(const struct trust_scene *scene, struct err *err);
    int num_operands; // -1: one or more
} verbs[] = {
    {"sync", trust_write, 0}, {"list", trust_list, 0},     {"show", trust_show, 1},
    {"add", trust_add, 1},    {"remove", trust_remove, 1}, {"refs", trust_refs, 1},
    {"run", trust_exec, -1},
};

static const struct verb *find_verb(const char *name) {
    for (size_t i = 0; name != NULL && i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(verbs[i].name, name) == 0) {
            return &verbs[i];
        }
    }
    return NULL;
}

static bool take_option(struct trust_arguments *out, int option) {
    switch (option) {
    case 'c':
        out->config_path = optarg;
        return true;
    case 'n':
        out->name = optarg;
        return true;
    case 'a':
        out->all = true;
        return true;
    case 'l':
        out->is_long = true;
        return true;
    case 'o':
        out->json = true;
        return strcmp(optarg, "json") == 0;
    case 'h':
        out->help = true;
        return true;
    default:
        return false;
    }
}

static const struct verb *parse_arguments(int argc, char **argv, struct trust_arguments *out) {
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"name", required_argument, NULL, 'n'},
        {"all", no_argument, NULL, 'a'},
        {"long", no_argument, NULL, 'l'},
        {"output", required_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const struct verb *verb = find_verb(argc > 1 ? argv[1] : NULL);
    out->help = argc > 1 && strcmp(argv[1], "--help") == 0;
    if (verb == NULL) {
        return NULL;
    }
    argc--;
    argv++; // the verb stands where a program's name would
    // Of `run`, what follows the first operand is the command's.
    const char *shorts = verb->num_operands < 0 ? "+o:" : "o:";
    int option;
    optind = 0; // start anew, whoever used getopt before
    opterr = 0;
    while ((option = getopt_long(argc, argv, shorts, options, NULL)) != -1) {
        if (!take_option(out, option)) {
            return NULL;
        }
    }
    out->verb = verb->name;
    out->operands = argv + optind;
    out->num_operands = argc - optind;
    bool fits =
        verb->num_operands < 0 ? out->num_operands > 0 : out->num_operands == verb->num_operands;
    return fits && out->config_path != NULL && !out->help ? verb : NULL;
}

static bool load(struct trust_scene *scene, struct err *err) {
    const char *path = scene->arguments->config_path;
    struct buf errors = {0}, warnings = {0};
    scene->config = config_load(path, &errors, &warnings);
    for (size_t i = 0; i < errors.len; i++) {
        (void)fputc(buf_span(&errors).ptr[i], stderr);
    }
    buf_fini(&errors);
    buf_fini(&warnings);
    if (scene->config == NULL) {
        return ERR_SET(err, ERR_INPUT, "the configuration %s has mistakes", path);
    }
    if (!scene->config->trust_store.is_set) {
        return ERR_SET(err, ERR_INPUT, "the configuration %s has no trustStore section", path);
    }
    scene->plan = trust_plan_new(scene->config);
    return scene->plan != NULL || ERR_NO_MEMORY(err, "starting");
}

static bool print(const struct buf *out) {
    struct span text = buf_span(out);
    return text.len == 0 ||
           (fwrite(text.ptr, 1, text.len, stdout) == text.len && fflush(stdout) == 0);
}

int trust_run(int argc, char **argv) {
    struct trust_arguments arguments = {0};
    struct buf out = {0};
    struct err err = {0};
    int exit_code = 0;
    struct trust_scene scene = {.arguments = &arguments, .out = &out, .exit_code = &exit_code};
    const struct verb *verb = parse_arguments(argc, argv, &arguments);
    if (verb == NULL) {
        fputs(usage, arguments.help ? stdout : stderr);
        return arguments.help ? EXIT_GOOD : EXIT_USAGE;
    }
    bool ok = load(&scene, &err) && verb->run(&scene, &err);
    trust_plan_free(scene.plan);
    config_unref(scene.config);
    if (!ok) {
        trust_warn("%s", err.msg);
    }
    ok = print(&out) && ok;
    buf_fini(&out);
    if (err.class != ERR_NONE) {
        return exit_code != 0 ? exit_code : err_exit_code(&err);
    }
    return ok ? EXIT_GOOD : EXIT_INPUT;
}
