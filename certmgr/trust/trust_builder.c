#include "certmgr/trust/trust_builder.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "base/clock.h"

#define SUFFIX_LEN 4 // bytes of the SHA-256 that tell two certificates of one name apart

struct trust_builder {
    struct trust_set *set;
    size_t cap_entries, cap_problems;
    void *by_digest; // trees of struct trust_entry, which the set owns
    void *by_alias;
    unsigned refuse;
    int64_t now;
    const struct trust_place *place;
    size_t num_taken;     // of this place
    size_t first_problem; // of this place
    bool said_too_many;
};

static int compare_digests(const void *a, const void *b) {
    const struct trust_entry *left = a, *right = b;
    return memcmp(left->cert->sha256, right->cert->sha256, TRUST_CERT_SHA256_LEN);
}

static int compare_aliases(const void *a, const void *b) {
    const struct trust_entry *left = a, *right = b;
    return strcasecmp(left->alias, right->alias);
}

static void forget(void *node UNUSED) {
}

struct trust_builder *trust_builder_new(unsigned refuse, int64_t now) {
    OWNED(trust_builder_free) struct trust_builder *builder = calloc(1, sizeof(*builder));
    if (builder == NULL || (builder->set = trust_set_new()) == NULL) {
        return NULL;
    }
    builder->refuse = refuse;
    builder->now = now;
    return take(&builder);
}

void trust_builder_free(struct trust_builder *builder) {
    if (builder == NULL) {
        return;
    }
    tdestroy(builder->by_digest, forget);
    tdestroy(builder->by_alias, forget);
    trust_set_unref(builder->set);
    free(builder);
}

void trust_builder_begin(struct trust_builder *builder, const struct trust_place *place) {
    builder->place = place;
    builder->num_taken = 0;
    builder->first_problem = builder->set->num_problems;
}

size_t trust_builder_end(struct trust_builder *builder) {
    struct trust_set *set = builder->set;
    for (size_t i = builder->first_problem; i < set->num_problems; i++) {
        set->problems[i].is_whole = builder->num_taken == 0;
    }
    builder->place = NULL;
    return builder->num_taken;
}

// --- problems ---

bool trust_builder_say(struct trust_builder *builder, const char *sentence) {
    struct trust_set *set = builder->set;
    if (set->num_problems >= TRUST_BUILDER_PROBLEMS_MAX) {
        set->num_unsaid++;
        return true;
    }
    if (set->num_problems == builder->cap_problems) {
        size_t cap = builder->cap_problems == 0 ? 16 : 2 * builder->cap_problems;
        struct trust_problem *grown = reallocarray(set->problems, cap, sizeof(*grown));
        if (grown == NULL) {
            return false;
        }
        set->problems = grown;
        builder->cap_problems = cap;
    }
    struct trust_problem *problem = &set->problems[set->num_problems];
    *problem = (struct trust_problem){.place = strdup(builder->place->source),
                                      .sentence = strdup(sentence)};
    set->num_problems++;
    return problem->place != NULL && problem->sentence != NULL;
}

// "CN=x: it has expired (2020-01-01T00:00:00Z): refused by trustStore.policy"
static bool say_refused(struct trust_builder *builder, const struct trust_cert *cert,
                        unsigned refused) {
    char sentence[TRUST_CERT_NAME_MAX + 256];
    char when[CLOCK_TEXT_MAX] = "";
    enum trust_finding first = (enum trust_finding)(refused & -refused);
    if (first == TRUST_EXPIRED || first == TRUST_NOT_YET_VALID) {
        clock_format((first == TRUST_EXPIRED ? cert->not_after : cert->not_before) * 1000, false,
                     when);
    }
    (void)snprintf(sentence, sizeof(sentence), "%s: %s%s%s; refused by trustStore.policy.%s",
                   cert->subject, trust_cert_finding_sentence(first), when[0] == '\0' ? "" : ", ",
                   when, trust_cert_finding_name(first));
    return trust_builder_say(builder, sentence);
}

// --- aliases ---

void trust_builder_stem(const char *path, char out[TRUST_BUILDER_STEM_MAX + 1]) {
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    const char *dot = strrchr(name, '.');
    size_t len = dot == NULL || dot == name ? strlen(name) : (size_t)(dot - name);
    if (len > TRUST_BUILDER_STEM_MAX) {
        len = TRUST_BUILDER_STEM_MAX;
        while (len > 0 && (name[len] & 0xc0) == 0x80) {
            len--;
        }
    }
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)name[i];
        out[i] = c < ' ' || c == 0x7f || c == '/' ? '_' : name[i];
    }
    out[len] = '\0';
    if (len == 0 || strcmp(out, ".") == 0 || strcmp(out, "..") == 0) {
        memcpy(out, "_", 2);
    }
}

static bool is_ascii(const char *text) {
    while (*text > 0) {
        text++;
    }
    return *text == '\0';
}

static bool is_taken(struct trust_builder *builder, const char *alias) {
    struct trust_entry key = {.alias = (char *)(uintptr_t)alias}; // only compared
    return tfind(&key, &builder->by_alias, compare_aliases) != NULL;
}

static char *stem_of(const struct trust_builder *builder, const struct trust_cert *cert) {
    char stem[TRUST_BUILDER_STEM_MAX + 1];
    char *text = NULL;
    int len;
    if (builder->place->stem == NULL) {
        // Behind a dot that is cut off again, so that a dot in the name is none of an extension.
        char named[TRUST_CERT_NAME_MAX + 2];
        (void)snprintf(named, sizeof(named), "%s.", cert->common_name);
        for (char *c = named; *c != '\0'; c++) {
            *c = *c == '/' ? '_' : *c;
        }
        trust_builder_stem(named, stem);
        len = asprintf(&text, "%s: %s", trust_origin_name(builder->place->origin), stem);
    } else if (builder->num_taken == 0) {
        len = asprintf(&text, "%s", builder->place->stem);
    } else {
        len = asprintf(&text, "%s-%zu", builder->place->stem, builder->num_taken);
    }
    return len < 0 ? NULL : text;
}

// A taken alias gets a part of the SHA-256 behind it, as much as it takes. So does one with other
// characters than ASCII: Java folds letter case by Unicode's rules, and of two aliases that it
// takes for one the first is lost.
static char *make_alias(struct trust_builder *builder, const struct trust_cert *cert) {
    char *stem = stem_of(builder, cert);
    if (stem == NULL || (is_ascii(stem) && !is_taken(builder, stem))) {
        return stem;
    }
    char *alias = NULL;
    for (size_t len = SUFFIX_LEN; len <= TRUST_CERT_SHA256_LEN; len *= 2) {
        char hex[2 * TRUST_CERT_SHA256_LEN + 1];
        trust_cert_hex(cert->sha256, len, hex);
        free(alias);
        if (asprintf(&alias, "%s-%s", stem, hex) < 0) {
            alias = NULL;
            break;
        }
        if (!is_taken(builder, alias)) {
            break;
        }
    }
    free(stem);
    return alias;
}

// Whether it is another alias than the name of the place gives by itself.
static bool is_renamed(const struct trust_builder *builder, const char *alias) {
    const char *stem = builder->place->stem;
    return stem != NULL && alias != NULL && builder->num_taken == 0 && is_ascii(stem) &&
           strcmp(alias, stem) != 0;
}

// --- entries ---

static struct trust_entry *find_same(struct trust_builder *builder, struct trust_cert *cert) {
    struct trust_entry key = {.cert = cert};
    void *found = tfind(&key, &builder->by_digest, compare_digests);
    return found == NULL ? NULL : *(struct trust_entry **)found;
}

static bool grow(struct trust_builder *builder) {
    struct trust_set *set = builder->set;
    if (set->num_entries < builder->cap_entries) {
        return true;
    }
    size_t cap = builder->cap_entries == 0 ? 256 : 2 * builder->cap_entries;
    struct trust_entry **grown = reallocarray(set->entries, cap, sizeof(struct trust_entry *));
    if (grown == NULL) {
        return false;
    }
    set->entries = grown;
    builder->cap_entries = cap;
    return true;
}

// In Azure Spring's words, but the certificate is loaded.
static bool say_renamed(struct trust_builder *builder, const struct trust_entry *entry) {
    char sentence[2 * TRUST_BUILDER_STEM_MAX + 256];
    (void)snprintf(sentence, sizeof(sentence),
                   "Cannot load certificates with the same alias in specific path: %s is taken by "
                   "another certificate, so this one is %s",
                   builder->place->stem, entry->alias);
    return trust_builder_say(builder, sentence);
}

static bool insert(struct trust_builder *builder, struct trust_cert *owned, unsigned findings) {
    OWNED(trust_cert_free) struct trust_cert *cert = owned;
    struct trust_entry *entry = grow(builder) ? calloc(1, sizeof(*entry)) : NULL;
    if (entry == NULL) {
        return false;
    }
    const struct trust_place *place = builder->place;
    entry->alias = make_alias(builder, cert);
    entry->source = strdup(place->source);
    entry->cert = take(&cert);
    entry->origin = place->origin;
    entry->is_public = place->origin == TRUST_PUBLIC;
    entry->is_loaded = place->is_loaded;
    entry->findings = findings;
    builder->set->entries[builder->set->num_entries++] = entry;
    bool renamed = is_renamed(builder, entry->alias);
    builder->num_taken++;
    return entry->alias != NULL && entry->source != NULL &&
           (!renamed || say_renamed(builder, entry)) &&
           tsearch(entry, &builder->by_digest, compare_digests) != NULL &&
           tsearch(entry, &builder->by_alias, compare_aliases) != NULL;
}

// The certificate is there already: one entry, however many places it has.
static bool note_again(struct trust_builder *builder, struct trust_entry *entry) {
    const struct trust_place *place = builder->place;
    entry->is_public = entry->is_public || place->origin == TRUST_PUBLIC;
    entry->is_loaded = entry->is_loaded || place->is_loaded;
    builder->num_taken++;
    if (place->origin == TRUST_PUBLIC || entry->num_also_in == TRUST_SET_ALSO_MAX ||
        strcmp(place->source, entry->source) == 0) {
        return true;
    }
    entry->also_in[entry->num_also_in] = strdup(place->source);
    return entry->also_in[entry->num_also_in] != NULL && ++entry->num_also_in > 0;
}

static bool refuse_more(struct trust_builder *builder) {
    if (builder->said_too_many) {
        builder->set->num_unsaid++;
        return true;
    }
    char sentence[96];
    builder->said_too_many = true;
    (void)snprintf(sentence, sizeof(sentence), "left out: a store has at most %d certificates",
                   TRUST_BUILDER_CERTS_MAX);
    return trust_builder_say(builder, sentence);
}

bool trust_builder_add(struct trust_builder *builder, struct trust_cert *owned) {
    OWNED(trust_cert_free) struct trust_cert *cert = owned;
    CHECK(builder->place != NULL);
    int64_t change = trust_cert_next_change(cert, builder->now);
    if (change < builder->set->next_change && builder->place->origin != TRUST_PUBLIC) {
        builder->set->next_change = change;
    }
    struct trust_entry *same = find_same(builder, cert);
    if (same != NULL) {
        return note_again(builder, same);
    }
    bool is_public = builder->place->origin == TRUST_PUBLIC;
    unsigned findings = trust_cert_findings(cert, builder->now);
    unsigned refused = is_public ? 0 : findings & builder->refuse;
    if (refused != 0) {
        return say_refused(builder, cert, refused);
    }
    if (builder->set->num_entries >= TRUST_BUILDER_CERTS_MAX) {
        return refuse_more(builder);
    }
    return insert(builder, take(&cert), findings);
}

static int compare_entries(const void *a, const void *b) {
    return compare_digests(*(const void *const *)a, *(const void *const *)b);
}

struct trust_set *trust_builder_finish(struct trust_builder *owned) {
    OWNED(trust_builder_free) struct trust_builder *builder = owned;
    struct trust_set *set = builder->set;
    if (set->num_entries > 0) {
        qsort(set->entries, set->num_entries, sizeof(struct trust_entry *), compare_entries);
    }
    return take(&builder->set);
}
