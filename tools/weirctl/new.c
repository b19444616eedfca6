/* SPDX-License-Identifier: MIT */
/*
 * A module of one's own: a template of the SDK with its name filled in. Templates are whole modules
 * under names of their own, which are replaced in their files and in the files' names.
 */
#include "command.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "confscan.h"

/* A template: what is in its folder, and, where it has no build files of its own, those of the
 * first one. `prefix` is what modules' names of that kind begin with. */
static const struct template
{
    const char *kind, *language, *prefix;
    const char *folder;
    const char *name; /* without the prefix */
    bool builds;      /* has its own Makefile, README.md and the like */
}
templates[] = {
    {"balancer", "c", "balance_", "template", "two_choices", true},
    {"balancer", "c++", "balance_", "templates/balancer-c++", "least_time", true},
    {"balancer", "rust", "balance_", "templates/balancer-rust", "least_time", true},
    {"filter", "c", "", "templates/filter", "field_stamp", false},
    {"router", "c", "route_", "templates/router", "host_table", false},
    {"sticky", "c", "sticky_", "templates/sticky", "server_hint", false},
    {"health", "c", "health_", "templates/health", "line_probe", false},
    {"logger", "c", "", "templates/logger", "slow_requests", false},
    {"handler", "c", "", "templates/handler", "hello_page", false},
};

static const char *const build_files[] = {"Makefile", "Makefile.am", "README.md", "configure.ac"};

/* Replaced in texts, in that order. */
struct word {
    const char *from, *to;
};
#define WORDS_MAX 6

/* What is being made. */
struct making {
    const struct template *template;
    struct text root;   /* folder of the templates */
    struct text module; /* its name */
    const char *folder; /* as given */
    struct word words[WORDS_MAX];
    char *names[64]; /* of files that were written */
    size_t count;
};

void each_template(void (*visit)(void *arg, const char *kind, const char *language), void *arg)
{
    for (size_t i = 0; i < COUNT(templates); i++) {
        visit(arg, templates[i].kind, templates[i].language);
    }
}

/* ---- what is asked for ---- */

static void list_known(struct text *out, bool languages, const char *kind)
{
    for (size_t i = 0; i < COUNT(templates); i++) {
        bool shown = languages ? strcmp(templates[i].kind, kind) == 0
                               : strcmp(templates[i].language, "c") == 0;
        if (shown) {
            text_printf(out, "%s%s", out->len > 0 ? ", " : "",
                        languages ? templates[i].language : templates[i].kind);
        }
    }
}

/* The kind that a name says by its beginning; NULL: none. */
static const struct template *template_of_name(const char *name)
{
    for (size_t i = 0; i < COUNT(templates); i++) {
        size_t len = strlen(templates[i].prefix);
        if (len > 0 && strncmp(name, templates[i].prefix, len) == 0) {
            return &templates[i];
        }
    }
    return NULL;
}

static enum outcome find_template(struct call *call, const char *name, struct making *making)
{
    const struct template *named = template_of_name(name);
    const char *kind = call_option(call, "kind");
    const char *language = call_option(call, "language");
    struct text known = {0};
    bool kind_known = false;

    if (kind == NULL && named != NULL) {
        kind = named->kind;
    }
    language = language != NULL ? language : "c";
    for (size_t i = 0; kind != NULL && i < COUNT(templates) && making->template == NULL; i++) {
        bool same = strcmp(templates[i].kind, kind) == 0;
        kind_known = kind_known || same;
        if (same && strcmp(templates[i].language, language) == 0) {
            making->template = &templates[i];
        }
    }
    enum outcome outcome = DONE;
    list_known(&known, kind_known, kind);
    if (kind == NULL) {
        outcome = call_misused(call, "say its kind by --kind: %s", text_get(&known));
    } else if (!kind_known) {
        outcome = call_misused(call, "there is no template of the kind \"%s\"; there are %s", kind,
                               text_get(&known));
    } else if (making->template == NULL) {
        outcome = call_misused(call, "there is no template of a %s in \"%s\"; there are %s", kind,
                               language, text_get(&known));
    } else if (named != NULL && strcmp(named->kind, kind) != 0) {
        outcome = call_misused(call, "%s is the name of a %s; a %s is called %sNAME", name,
                               named->kind, kind, making->template->prefix);
    }
    text_clear(&known);
    return outcome;
}

/* Names are those of files, of blocks and of C. */
static enum outcome take_name(struct call *call, const char *name, struct making *making)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
    const char *prefix = making->template->prefix;
    size_t len = strlen(prefix);

    if (*name < 'a' || *name > 'z' || strspn(name, letters) != strlen(name)) {
        return call_misused(call,
                            "\"%s\" is no module's name: lower-case letters, digits and _, "
                            "beginning with a letter",
                            name);
    }
    text_printf(&making->module, "%s%s", strncmp(name, prefix, len) == 0 ? "" : prefix, name);
    if (making->module.len == len) {
        return call_misused(call, "\"%s\" lacks a name behind it", name);
    }
    if (making->module.len > 63) {
        return call_misused(call, "a module's name has at most 63 letters, and %s has %zu",
                            text_get(&making->module), making->module.len);
    }
    making->folder = name;
    return DONE;
}

/* ---- where the templates are ---- */

static bool is_root(const struct making *making)
{
    struct text path = {0};
    text_printf(&path, "%s/%s", text_get(&making->root), making->template->folder);
    bool there = access(text_get(&path), R_OK | X_OK) == 0;
    text_clear(&path);
    return there;
}

/* Those of this installation, wherever it lies, or of the folder that this was built in. */
static bool find_root(struct making *making)
{
    static const char *const beside[] = {"/../share/weir", "/sdk"};
    char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);

    path[len > 0 ? len : 0] = '\0';
    char *slash = strrchr(path, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
    for (size_t i = 0; i < COUNT(beside) && slash != NULL; i++) {
        text_clear(&making->root);
        text_printf(&making->root, "%s%s", path, beside[i]);
        if (is_root(making)) {
            return true;
        }
    }
    text_clear(&making->root);
    text_puts(&making->root, WEIR_PKGDATADIR);
    if (!is_root(making)) {
        complain("no templates in %s: they are installed with the SDK", WEIR_PKGDATADIR);
        return false;
    }
    return true;
}

/* ---- copying ---- */

static void replace_words(const struct word *words, const char *from, struct text *to)
{
    while (*from != '\0') {
        const struct word *word = words;
        while (word->from != NULL && strncmp(from, word->from, strlen(word->from)) != 0) {
            word++;
        }
        if (word->from != NULL) {
            text_puts(to, word->to);
            from += strlen(word->from);
        } else {
            text_add(to, from++, 1);
        }
    }
}

static bool is_written(const struct making *making, const char *name)
{
    for (size_t i = 0; i < making->count; i++) {
        if (strcmp(making->names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static bool copy_file(struct making *making, const char *folder, const char *name)
{
    struct text from = {0}, to = {0}, content = {0}, changed = {0}, own = {0};
    mode_t mask = umask(022);
    umask(mask);

    text_printf(&from, "%s/%s/%s", text_get(&making->root), folder, name);
    replace_words(making->words, name, &own);
    text_printf(&to, "%s/%s", making->folder, text_get(&own));
    bool good = making->count < COUNT(making->names) && conf_read_file(text_get(&from), &content);
    if (!good) {
        complain("%s: %s", text_get(&from), strerror(errno));
    } else {
        replace_words(making->words, text_get(&content), &changed);
        good = write_file(text_get(&to), text_get(&changed), 0666 & ~mask, false);
        if (good) {
            making->names[making->count++] = copy_string(text_get(&own));
        } else {
            complain("%s: %s", text_get(&to), strerror(errno));
        }
    }
    text_clear(&from);
    text_clear(&to);
    text_clear(&content);
    text_clear(&changed);
    text_clear(&own);
    return good;
}

static bool copy_folder(struct making *making)
{
    struct text path = {0};
    const struct dirent *entry = NULL;

    text_printf(&path, "%s/%s", text_get(&making->root), making->template->folder);
    DIR *dir = opendir(text_get(&path));
    bool good = dir != NULL;
    if (!good) {
        complain("%s: %s", text_get(&path), strerror(errno));
    }
    while (good && (entry = readdir(dir)) != NULL) {
        /* Editors leave .NAME and NAME~ behind. */
        size_t len = strlen(entry->d_name);
        if (entry->d_type != DT_DIR && entry->d_name[0] != '.' && entry->d_name[len - 1] != '~') {
            good = copy_file(making, making->template->folder, entry->d_name);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    for (size_t i = 0; good && !making->template->builds && i < COUNT(build_files); i++) {
        good = is_written(making, build_files[i]) ||
               copy_file(making, templates[0].folder, build_files[i]);
    }
    text_clear(&path);
    return good;
}

/* Takes back what was written. */
static void remove_all(const struct making *making)
{
    for (size_t i = 0; i < making->count; i++) {
        struct text path = {0};
        text_printf(&path, "%s/%s", making->folder, making->names[i]);
        unlink(text_get(&path));
        text_clear(&path);
    }
    rmdir(making->folder);
}

static enum outcome make(struct making *making)
{
    const struct template *first = &templates[0], *own = making->template;
    struct text names[3] = {{0}};
    const char *module = text_get(&making->module), *rest = module + strlen(own->prefix);

    text_printf(&names[0], "%s%s", own->prefix, own->name);
    text_printf(&names[1], "%s%s", first->prefix, first->name);
    text_printf(&names[2], "%s/rust", text_get(&making->root));
    const struct word words[WORDS_MAX] = {
        {text_get(&names[0]), module},
        {own->name, rest},
        {text_get(&names[1]), module},
        {first->name, rest},
        {"../../rust", text_get(&names[2])}, /* where Cargo.toml has the crate */
        {NULL, NULL},
    };
    memcpy(making->words, words, sizeof(words));
    bool good = mkdir(making->folder, 0777) == 0;
    if (!good) {
        complain("%s: %s", making->folder,
                 errno == EEXIST ? "there is one already; name another, or remove it"
                                 : strerror(errno));
    } else if (!(good = copy_folder(making))) {
        remove_all(making);
    }
    for (size_t i = 0; i < COUNT(names); i++) {
        text_clear(&names[i]);
    }
    return good ? DONE : REFUSED;
}

/* ---- the command ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void tell(const struct call *call, struct making *making)
{
    qsort(making->names, making->count, sizeof(making->names[0]), by_name);
    if (call->api.json) {
        cJSON *json = cJSON_CreateObject();
        cJSON_AddStringToObject(json, "module", text_get(&making->module));
        cJSON_AddStringToObject(json, "kind", making->template->kind);
        cJSON_AddStringToObject(json, "language", making->template->language);
        cJSON_AddStringToObject(json, "folder", making->folder);
        cJSON_AddItemToObject(
            json, "files",
            cJSON_CreateStringArray((const char *const *)making->names, (int)making->count));
        char *text = cJSON_PrintUnformatted(json);
        puts(text != NULL ? text : "{}");
        cJSON_free(text);
        cJSON_Delete(json);
        return;
    }
    for (size_t i = 0; i < making->count; i++) {
        printf("%s/%s\n", making->folder, making->names[i]);
    }
    printf("\nNow: cd %s && make && make check && weirctl module check ./%s.so\n", making->folder,
           text_get(&making->module));
}

enum outcome run_module_new(struct call *call)
{
    struct making making = {0};
    const char *name = call->words[0];

    enum outcome outcome = find_template(call, name, &making);
    if (outcome == DONE) {
        outcome = take_name(call, name, &making);
    }
    if (outcome == DONE && !find_root(&making)) {
        outcome = REFUSED;
    }
    if (outcome == DONE) {
        outcome = make(&making);
    }
    if (outcome == DONE) {
        tell(call, &making);
    }
    for (size_t i = 0; i < making.count; i++) {
        free(making.names[i]);
    }
    text_clear(&making.root);
    text_clear(&making.module);
    return outcome;
}
