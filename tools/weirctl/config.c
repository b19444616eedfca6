/* SPDX-License-Identifier: MIT */
/*
 * Configuration: check, reload, export.
 */
#include "command.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

void print_restart(const cJSON *answer)
{
    const cJSON *each = NULL;

    cJSON_ArrayForEach(each, json_at(answer, "restart_needed"))
    {
        print_fact("restart", "%s", json_string(each));
    }
}

enum outcome run_check(struct call *call)
{
    struct answer answer;
    enum outcome outcome = api_call(&call->api, "POST", "/config/check", NULL, &answer);

    if (outcome == DONE) {
        bool good = json_true(answer.json, "ok");
        outcome = good ? DONE : REFUSED;
        if (!call_printed(call, &answer)) {
            complain_all(json_at(answer.json, "mistakes"), "");
            print_restart(answer.json);
            puts(good ? "configuration OK" : "configuration refused");
        }
    }
    answer_clear(&answer);
    return outcome;
}

static void tell_contradiction(const cJSON *one)
{
    const char *pool = json_text(one, "pool", "?"), *server = json_text(one, "server", "?");
    const char *field = json_text(one, "field", "?");

    if (strcmp(field, "pool") == 0 || strcmp(field, "server") == 0) {
        print_fact("kept", "%s/%s: a change of it; the files have no such %s any more", pool,
                   server, field);
        return;
    }
    char *file = cJSON_PrintUnformatted(json_at(one, "file"));
    char *runtime = cJSON_PrintUnformatted(json_at(one, "runtime"));
    print_fact("kept", "%s/%s: %s stays %s, the files say %s", pool, server, field,
               runtime != NULL ? runtime : "?", file != NULL ? file : "?");
    cJSON_free(file);
    cJSON_free(runtime);
}

static void tell_reload(const struct call *call, const struct answer *answer)
{
    const cJSON *each = NULL;

    (void)call;
    print_fact("reloaded", "generation %.0f", json_number(answer->json, "generation"));
    print_restart(answer->json);
    cJSON_ArrayForEach(each, json_at(answer->json, "settled"))
    {
        print_fact("the files'", "%s: what was changed of it at run time stands in them now",
                   json_string(each));
    }
    cJSON_ArrayForEach(each, json_at(answer->json, "contradictions"))
    {
        tell_contradiction(each);
    }
}

enum outcome run_reload(struct call *call)
{
    return call_send(call, "POST", NULL, tell_reload, "/config/reload");
}

/* ---- export ---- */

/* The part of `path` below the folder of the first file; NULL: it is not below. */
static const char *below(const char *path, const char *first)
{
    const char *slash = strrchr(first, '/');
    size_t len = slash != NULL ? (size_t)(slash - first) + 1 : 0;

    if (strncmp(path, first, len) != 0) {
        return NULL;
    }
    path += len;
    for (const char *part = path; *part != '\0'; part += strcspn(part, "/"), part += *part == '/') {
        size_t part_len = strcspn(part, "/");
        if (part_len == 0 || (part_len <= 2 && strncmp(part, "..", part_len) == 0)) {
            return NULL;
        }
    }
    return *path != '\0' ? path : NULL;
}

/* Makes the folders of a path below `folder`. */
static bool make_folders(char *path, size_t from)
{
    for (char *slash = strchr(path + from, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        bool good = mkdir(path, 0755) == 0 || errno == EEXIST;
        *slash = '/';
        if (!good) {
            return false;
        }
    }
    return true;
}

static enum outcome write_files(const struct call *call, const cJSON *files)
{
    const char *folder = call->words[0];
    bool replace = call_option(call, "force") != NULL;
    const cJSON *each = NULL;
    const char *first = json_text(cJSON_GetArrayItem(files, 0), "path", "");
    enum outcome outcome = DONE;

    if (mkdir(folder, 0750) != 0 && errno != EEXIST) {
        complain("%s: %s", folder, strerror(errno));
        return REFUSED;
    }
    cJSON_ArrayForEach(each, files)
    {
        const char *given = json_text(each, "path", "");
        const char *name = below(given, first);
        struct text path = {0};
        if (name == NULL) {
            complain("%s is not below the folder of %s: left out", given, first);
            outcome = REFUSED;
            continue;
        }
        text_printf(&path, "%s/%s", folder, name);
        if (!make_folders(path.data, strlen(folder) + 1) ||
            !write_file(path.data, json_text(each, "text", ""), 0640, replace)) {
            complain("%s: %s%s", path.data, strerror(errno),
                     errno == EEXIST ? "; --force replaces it" : "");
            outcome = REFUSED;
        } else {
            print_fact("wrote", "%s", path.data);
        }
        text_clear(&path);
    }
    return outcome;
}

enum outcome run_export(struct call *call)
{
    struct answer answer;
    const cJSON *each = NULL;
    const char *path = call->count > 0 ? "/config/export?elsewhere=1" : "/config/export";
    enum outcome outcome = api_call(&call->api, "GET", path, NULL, &answer);

    if (outcome == DONE && call->count > 0) {
        outcome = write_files(call, json_at(answer.json, "files"));
    } else if (outcome == DONE && !call_printed(call, &answer)) {
        cJSON_ArrayForEach(each, json_at(answer.json, "files"))
        {
            const char *text = json_text(each, "text", "");
            size_t len = strlen(text);
            printf("# ---- %s ----\n%s%s", json_text(each, "path", "?"), text,
                   len > 0 && text[len - 1] != '\n' ? "\n" : "");
        }
    }
    answer_clear(&answer);
    return outcome;
}
