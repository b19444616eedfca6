/* SPDX-License-Identifier: MIT */
/*
 * Enabling and disabling a module: its file goes into conf.d or out of it, Weir checks the whole,
 * and takes it over; what Weir refuses is put back.
 */
#include "command.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "confscan.h"

#define OFF ".disabled"

/* A reversible step on files: `from` was renamed to `to`, or `to` was created. */
struct step {
    struct text from; /* empty: made */
    struct text to;
};

/* ---- the folder ---- */

/* conf.d of the Weir that runs, or of this installation where none does. */
static enum outcome find_folder(struct call *call, struct text *folder, bool *running)
{
    struct answer answer;
    const char *given = call_option(call, "conf-dir");
    const struct endpoint *endpoint = &call->api.endpoint;

    if (endpoint->host != NULL && strcmp(endpoint->host, "localhost") != 0 &&
        strcmp(endpoint->host, "127.0.0.1") != 0 && strcmp(endpoint->host, "::1") != 0) {
        return call_misused(call, "files are changed on the machine where Weir runs: use weirctl "
                                  "there");
    }
    enum outcome outcome = api_peek(&call->api, "/status", &answer);
    if (outcome == FORBIDDEN || outcome == REFUSED) {
        answer_clear(&answer);
        return api_call(&call->api, "GET", "/status", NULL, &answer);
    }
    *running = outcome == DONE;
    const char *file = json_text(answer.json, "config_file", WEIR_SYSCONFDIR "/weir.conf");
    const char *slash = strrchr(file, '/');
    if (given != NULL) {
        text_puts(folder, given);
    } else {
        text_add(folder, file, slash != NULL ? (size_t)(slash - file) : 0);
        text_puts(folder, slash != NULL ? "/conf.d" : "conf.d");
    }
    answer_clear(&answer);
    return DONE;
}

static bool has_ending(const char *name, const char *ending)
{
    size_t len = strlen(name);
    size_t ending_len = strlen(ending);
    return len > ending_len && strcmp(name + len - ending_len, ending) == 0;
}

/* Finds the file of `folder` with that ending that has the module's block; the path is in
 * `path`, empty where there is none. */
static enum conf_blocks find_file(const char *folder, const char *ending, const char *module,
                                  struct text *path)
{
    enum conf_blocks found = CONF_ABSENT;
    DIR *dir = opendir(folder);
    const struct dirent *entry = NULL;

    while (dir != NULL && found == CONF_ABSENT && (entry = readdir(dir)) != NULL) {
        struct text name = {0};
        text_printf(&name, "%s/%s", folder, entry->d_name);
        if (has_ending(entry->d_name, ending) &&
            (found = conf_scan_file(name.data, module)) != CONF_ABSENT) {
            text_puts(path, name.data);
        }
        text_clear(&name);
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return found;
}

/* ---- steps ---- */

static bool do_rename(struct step *step)
{
    if (access(step->to.data, F_OK) == 0) {
        errno = EEXIST;
    } else if (rename(step->from.data, step->to.data) == 0) {
        return true;
    }
    complain("%s to %s: %s", step->from.data, step->to.data, strerror(errno));
    return false;
}

static void take_back(struct step *step)
{
    int failed =
        step->from.len > 0 ? rename(step->to.data, step->from.data) : unlink(step->to.data);
    if (failed != 0) {
        complain("%s could not be put back: %s", step->to.data, strerror(errno));
    }
}

/* The two digits that sort a new file among similar modules. */
static const char *number_of(const char *module)
{
    static const char *const numbers[][2] = {
        {"store_", "05"},  {"route_", "20"},  {"balance_", "30"}, {"sticky_", "40"},
        {"health_", "50"}, {"filter_", "55"}, {"metrics_", "71"},
    };
    for (size_t i = 0; i < COUNT(numbers); i++) {
        if (strncmp(module, numbers[i][0], strlen(numbers[i][0])) == 0) {
            return numbers[i][1];
        }
    }
    return "60";
}

/* Puts the module's file into conf.d: the one that was disabled, else the one that came with Weir,
 * else a plain block. */
static bool put_file(const char *folder, const char *module, struct step *step)
{
    struct text sample = {0};
    struct text content = {0};

    if (find_file(folder, ".conf" OFF, module, &step->from) == CONF_ALONE) {
        text_add(&step->to, step->from.data, step->from.len - strlen(OFF));
        return do_rename(step);
    }
    text_clear(&step->from);
    if (find_file(WEIR_SAMPLEDIR, ".conf", module, &sample) == CONF_ALONE &&
        conf_read_file(sample.data, &content)) {
        text_printf(&step->to, "%s/%s", folder, strrchr(sample.data, '/') + 1);
    } else {
        text_printf(&step->to, "%s/%s-%s.conf", folder, number_of(module), module);
        text_printf(&content, "module \"%s\" {}\n", module);
    }
    mode_t mask = umask(022);
    umask(mask);
    bool good = write_file(step->to.data, text_get(&content), 0644 & ~mask, false);
    if (!good) {
        complain("%s: %s", step->to.data, strerror(errno));
    }
    text_clear(&sample);
    text_clear(&content);
    return good;
}

/* ---- the running Weir ---- */

/* Lets Weir check the files; what it refuses is taken back. Then reloads. */
static enum outcome apply(struct call *call, struct step *step, bool running)
{
    struct answer answer;

    if (!running) {
        complain("Weir does not run: weir -t checks the files");
        return DONE;
    }
    enum outcome outcome = api_call(&call->api, "POST", "/config/check", NULL, &answer);
    if (outcome == DONE && !json_true(answer.json, "ok")) {
        outcome = REFUSED;
        complain_all(json_at(answer.json, "mistakes"), "");
    }
    answer_clear(&answer);
    if (outcome != DONE) {
        complain("the files stay as they were");
        take_back(step);
        return outcome;
    }
    return call_option(call, "no-reload") != NULL ? DONE : run_reload(call);
}

static enum outcome finish(struct call *call, struct step *step, bool good, bool running,
                           const char *did)
{
    enum outcome outcome = REFUSED;

    if (good) {
        outcome = apply(call, step, running);
        if (outcome == DONE && !call->api.json) {
            print_fact(did, "%s", step->to.data);
        }
    }
    text_clear(&step->from);
    text_clear(&step->to);
    return outcome;
}

static bool is_name(const char *module)
{
    return *module != '\0' && strlen(module) < 64 &&
           strspn(module, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(module);
}

enum outcome run_module_enable(struct call *call)
{
    const char *module = call->words[0];
    struct text folder = {0};
    struct text path = {0};
    struct step step = {0};
    bool running = false;

    if (!is_name(module)) {
        return call_misused(call, "\"%s\" is no module's name", module);
    }
    enum outcome outcome = find_folder(call, &folder, &running);
    if (outcome == DONE && find_file(text_get(&folder), ".conf", module, &path) != CONF_ABSENT) {
        complain("%s is enabled already, by %s", module, path.data);
        outcome = REFUSED;
    }
    if (outcome == DONE) {
        bool good = put_file(text_get(&folder), module, &step);
        outcome = finish(call, &step, good, running, "enabled by");
    }
    text_clear(&folder);
    text_clear(&path);
    return outcome;
}

enum outcome run_module_disable(struct call *call)
{
    const char *module = call->words[0];
    struct text folder = {0};
    struct step step = {0};
    bool running = false;

    enum outcome outcome = find_folder(call, &folder, &running);
    if (outcome != DONE) {
        return outcome;
    }
    enum conf_blocks found = find_file(text_get(&folder), ".conf", module, &step.from);
    if (found == CONF_ALONE) {
        text_printf(&step.to, "%s" OFF, step.from.data);
        bool good = do_rename(&step);
        outcome = finish(call, &step, good, running, "disabled, to");
    } else if (found == CONF_AMONG_OTHERS) {
        complain(
            "%s says more than module \"%s\": take that block out by hand, then weirctl reload",
            step.from.data, module);
        outcome = REFUSED;
    } else {
        complain("no file of %s has a block module \"%s\"", text_get(&folder), module);
        outcome = REFUSED;
    }
    text_clear(&folder);
    text_clear(&step.from);
    text_clear(&step.to);
    return outcome;
}
