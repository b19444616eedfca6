/* SPDX-License-Identifier: MIT */
/*
 * Export: files that equal the running state. The texts as they were read, with changed servers
 * rewritten, added ones at the end of their pool, and removed ones taken out. For another folder,
 * relative paths are written in full; files that include each other keep their relative places.
 */
#include <stdlib.h>

#include <weir/json.h>

#include "control/api/config_text.h"
#include "control/api/show.h"
#include "control/change/overlay.h"
#include "control/change/changes.h"
#include "control/change/pool_part.h"

static char *server_text(const struct server *server)
{
    static const char *const states[] = {"", "  state = \"drain\"", "  state = \"maintenance\""};
    return base_printf("server \"%s\" { url = \"%.*s\"  weight = %u  max_requests = %u%s%s }",
                       server->name, STR_ARGS(server->url.text), (unsigned)server->weight,
                       (unsigned)server->max_connections, server->backup ? "  backup = on" : "",
                       states[server->admin]);
}

/* Removes the whole line if nothing else is on it. */
static void widen(const struct config_text *text, size_t *from, size_t *to)
{
    size_t start = *from, end = *to;
    while (start > 0 && strchr(" \t", text->text.ptr[start - 1]) != NULL) {
        start--;
    }
    while (end < text->text.len && strchr(" \t\r", text->text.ptr[end]) != NULL) {
        end++;
    }
    if ((start == 0 || text->text.ptr[start - 1] == '\n') && end < text->text.len &&
        text->text.ptr[end] == '\n') {
        *from = start;
        *to = end + 1;
    }
}

/* A block that DNS expands to several servers stays as it is. */
static bool is_name(const struct conf_node *node)
{
    for (const struct conf_node *child = node->children; child != NULL; child = child->next) {
        if (str_equal(child->name, STR("resolve")) && child->value_count > 0) {
            return !str_equal(child->values[0].text, STR("first"));
        }
    }
    return false;
}

static void edit_server(struct config_text *text, const struct pool_plan *plan,
                        const struct conf_node *node)
{
    const struct server_settings *settings = plan->settings->servers.items;
    size_t from = node->span.from, to = node->span.to;

    if (is_name(node)) {
        return;
    }
    for (size_t i = 0; i < plan->server_count; i++) {
        if (!settings[i].runtime && str_equal(settings[i].id, node->title.text)) {
            const struct server *server = plan->servers[i];
            if (server->weight != settings[i].file_weight ||
                server->max_connections != settings[i].file_max_connections ||
                server->admin != (uint32_t)settings[i].state) {
                config_text_replace(text, from, to, server_text(server));
            }
            return;
        }
    }
    widen(text, &from, &to);
    config_text_replace(text, from, to, base_strdup(""));
}

static void add_servers(struct config_text *text, const struct pool_plan *plan,
                        const struct conf_node *node)
{
    const struct server_settings *settings = plan->settings->servers.items;
    size_t brace = node->span.to - 1; /* new servers go before it, on lines of their own */
    size_t line = brace;
    while (line > node->span.from && strchr(" \t", text->text.ptr[line - 1]) != NULL) {
        line--;
    }
    const char *before = text->text.ptr[line - 1] == '\n' ? "" : "\n";
    for (size_t i = 0; i < plan->server_count; i++) {
        if (settings[i].runtime) {
            char *server = server_text(plan->servers[i]);
            config_text_replace(text, brace, brace, base_printf("%s    %s\n", before, server));
            free(server);
            before = "";
        }
    }
}

static bool is_in(const struct conf_node *node, const char *file)
{
    return node->place.file != NULL && strcmp(node->place.file, file) == 0;
}

/* ---- for another folder ---- */

static void name_in_full(struct config_text *text, const struct conf_node *node, const char *file)
{
    for (; node != NULL; node = node->next) {
        if (node->kind == CONF_BLOCK) {
            name_in_full(text, node->children, file);
            continue;
        }
        for (size_t i = 0; i < node->value_count && is_in(node, file); i++) {
            if (node->values[i].elsewhere.ptr != NULL) {
                config_text_set(text, node->values[i].span, node->values[i].elsewhere);
            }
        }
    }
}

/* The path without `.` and `..`, by its text alone. The caller frees it. */
static char *plain(const char *path)
{
    char *out = base_alloc(strlen(path) + 2);
    size_t len = 0;

    while (*path != '\0') {
        size_t part = strcspn(path, "/");
        bool up = part == 2 && memcmp(path, "..", 2) == 0;
        if (up) {
            while (len > 0 && out[--len] != '/') {}
        } else if (part > 0 && !(part == 1 && *path == '.')) {
            out[len++] = '/';
            memcpy(out + len, path, part);
            len += part;
        }
        path += part + (path[part] == '/');
    }
    out[len] = '\0';
    return out;
}

/* The part of a path below the folder of `top`, both plain; NULL: not below. */
static const char *below(const char *path, const char *top)
{
    size_t len = (size_t)(strrchr(top, '/') - top) + 1;
    return strncmp(path, top, len) == 0 ? path + len : NULL;
}

/* Includes of exported files become relative; others become absolute. */
static void include_elsewhere(struct config_text *text, const struct conf_tree *tree,
                              const char *file)
{
    char *top = plain(tree->files[0]), *place = plain(file);
    const char *own = below(place, top);

    for (const struct conf_include *one = tree->includes; one != NULL; one = one->next) {
        char *path = plain(one->path);
        const char *inside = below(path, top);
        bool absolute = one->text.len > 0 && one->text.ptr[0] == '/';
        if (strcmp(one->place.file, file) == 0 && absolute && inside != NULL && own != NULL) {
            struct weir_buffer way = {NULL, 0, 0, false, false};
            for (const char *up = strchr(own, '/'); up != NULL; up = strchr(up + 1, '/')) {
                weir_buffer_text(&way, "../");
            }
            weir_buffer_text(&way, inside);
            config_text_set(text, one->span, weir_buffer_str(&way));
            weir_buffer_free(&way);
        } else if (strcmp(one->place.file, file) == 0 && !absolute && inside == NULL) {
            config_text_set(text, one->span, str_from(path));
        }
        free(path);
    }
    free(top);
    free(place);
}

static void edit_balance(struct config_text *text, const struct changes *changes,
                         const struct pool_plan *plan, const struct conf_node *node)
{
    char *set = pools_text(changes, plan->settings->name);

    if (set != NULL) {
        config_text_replace(text, node->span.from, node->span.to, set);
    }
}

static char *export_file(const struct changes *changes, size_t index, bool elsewhere)
{
    const struct generation *g = changes->plane.runtime->current;
    const char *file = g->plan->tree.files[index];
    struct config_text text;

    config_text_init(&text, g->plan->tree.texts[index]);
    for (const struct conf_node *node = g->plan->tree.root.children; node != NULL;
         node = node->next) {
        const struct pool_plan *plan = node->kind == CONF_BLOCK &&
                                               str_equal(node->name, STR("pool")) &&
                                               node->title.text.ptr != NULL
                                           ? plan_pool(g->plan, node->title.text)
                                           : NULL;
        for (const struct conf_node *child = plan != NULL ? node->children : NULL; child != NULL;
             child = child->next) {
            if (child->kind == CONF_BLOCK && str_equal(child->name, STR("server")) &&
                is_in(child, file)) {
                edit_server(&text, plan, child);
            }
            if (child->kind == CONF_BLOCK && str_equal(child->name, STR("balance")) &&
                is_in(child, file)) {
                edit_balance(&text, changes, plan, child);
            }
        }
        if (plan != NULL && is_in(node, file)) {
            add_servers(&text, plan, node);
        }
    }
    if (elsewhere) {
        name_in_full(&text, g->plan->tree.root.children, file);
        include_elsewhere(&text, &g->plan->tree, file);
    }
    return config_text_end(&text);
}

static void run_export(struct operation *operation)
{
    bool elsewhere = json_is_true(operation->query, "elsewhere");
    const struct generation *g = operation->plane->runtime->current;
    cJSON *answer = cJSON_CreateObject();
    cJSON *files = cJSON_AddArrayToObject(answer, "files");

    for (size_t i = 0; i < g->plan->tree.file_count; i++) {
        const char *path = g->plan->tree.files[i];
        char *full = elsewhere ? plain(path) : NULL;
        show_file(files, full != NULL ? full : path,
                  export_file(changes_of(operation), i, elsewhere));
        free(full);
    }
    operation_succeed(operation, 200, answer);
}

static const struct weir_argument export_query[] = {
    {"elsewhere", WEIR_ARGUMENT_BOOLEAN, false, 0, 0, NULL,
     "For another folder: relative paths are written in full."},
    WEIR_ARGUMENTS_END,
};

static const struct command commands[] = {
    READ_AS("config.export", ADMIN, "GET", "/config/export", NULL, export_query, "Files",
            run_export, "Files that describe the running state."),
    COMMANDS_END,
};

const struct change_part export_part = {.commands = commands};
