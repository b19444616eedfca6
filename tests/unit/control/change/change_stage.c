/* SPDX-License-Identifier: MIT */
/* A stage for changes. See change_stage.h. */
#include "change_stage.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- the pool ---- */

static void make_url(struct weir_url *url, char *text)
{
    size_t len = strlen(text);
    const char *host = strstr(text, "//") + 2;
    const char *port = strchr(host, ':') + 1;
    *url = (struct weir_url){.text = {text, len},
                             .scheme = {text, 4},
                             .host = {host, (size_t)(port - 1 - host)},
                             .port = (uint16_t)atoi(port)};
}

static void drop_servers(struct stage *stage)
{
    for (size_t i = 0; i < stage->plan.server_count; i++) {
        server_unref(&stage->servers[i]);
    }
    stage->plan.server_count = 0;
    memset(stage->by_id, 0, sizeof(stage->by_id));
}

/* The pool's servers as the settings say: those that stay are the same. */
static void lay(struct stage *stage)
{
    struct weir_str name = stage->settings.name;

    stage->settings.servers = (struct weir_list){stage->files, ARRAY_COUNT(stage->files)};
    overlay_adjust(stage->changes.overlay, &stage->arena, &stage->settings);
    const struct server_settings *settings = stage->settings.servers.items;
    struct server *servers[STAGE_SERVERS_MAX];
    size_t count = stage->settings.servers.count;
    ck_assert_uint_le(count, STAGE_SERVERS_MAX);
    for (size_t i = 0; i < count; i++) {
        const struct weir_url *url = &settings[i].url;
        servers[i] = server_find(name, settings[i].id, url, STR(""));
        if (servers[i] == NULL) {
            servers[i] = server_new(name, settings[i].id, url, 1);
        }
        server_set_weight(servers[i], (uint32_t)settings[i].weight);
        servers[i]->max_connections = (uint32_t)settings[i].max_connections;
        servers[i]->backup = settings[i].backup;
    }
    drop_servers(stage);
    for (size_t i = 0; i < count; i++) {
        size_t slot = servers[i]->id & stage->plan.by_id_mask;
        while (stage->by_id[slot] != NULL) {
            slot = (slot + 1) & stage->plan.by_id_mask;
        }
        stage->servers[i] = stage->by_id[slot] = servers[i];
        stage->places[slot] = (uint32_t)i;
    }
    stage->plan.server_count = count;
    overlay_set_states(stage->changes.overlay, &stage->generation);
}

struct server *stage_server(const struct stage *stage, const char *id)
{
    size_t index = 0;
    return pool_plan_named(&stage->plan, str_from(id), &index);
}

/* ---- the owner ---- */

static void refresh(void *arg, struct server *server)
{
    struct stage *stage = arg;
    (void)server;
    stage->refreshed++;
}

/* The generation is the one that there is: only its servers change, when it is committed. */
static struct generation *derive(void *arg, const struct plan_swap *swap, struct mistakes *mistakes)
{
    struct stage *stage = arg;

    ck_assert_ptr_null(swap);
    stage->derived++;
    if (stage->derive_error != NULL) {
        mistakes_add(mistakes, (struct place){NULL, 0}, "%s", stage->derive_error);
        return NULL;
    }
    return &stage->generation;
}

void stage_ready(struct stage *stage)
{
    void (*done)(void *arg, const char *error) = stage->done;

    if (stage->apply_error != NULL) {
        stage->done = NULL;
        done(stage->arg, stage->apply_error);
    } else {
        stage->gate(stage->arg);
    }
}

static void apply(void *arg, struct generation *generation, void (*gate)(void *gate_arg),
                  void (*done)(void *gate_arg, const char *error), void *gate_arg)
{
    struct stage *stage = arg;

    ck_assert_ptr_eq(generation, &stage->generation);
    ck_assert(stage->done == NULL); /* one at a time */
    stage->applied++;
    stage->gate = gate;
    stage->done = done;
    stage->arg = gate_arg;
}

static void pass(void *arg, const char *error)
{
    struct stage *stage = arg;
    void (*done)(void *arg, const char *error) = stage->done;

    stage->done = NULL;
    if (error == NULL) {
        lay(stage);
    }
    done(stage->arg, error);
}

static void rebuild(void *arg, bool overlay)
{
    struct stage *stage = arg;
    (void)overlay;
    stage->rebuilds++;
    changes_rebuilt(&stage->changes);
}

static void reload(void *arg, struct operation *operation)
{
    struct stage *stage = arg;
    stage->reloads++;
    stage->reload = operation;
}

/* ---- the stage ---- */

void stage_init(struct stage *stage, const struct change_part *const *parts)
{
    static char a[] = "http://a:1", b[] = "http://b:1";
    const struct changes_owner owner = {.refresh = refresh,
                                        .derive = derive,
                                        .apply = apply,
                                        .pass = pass,
                                        .rebuild = rebuild,
                                        .reload = reload,
                                        .arg = stage};

    *stage = (struct stage){.settings = {.name = STR("web")}};
    arena_init(&stage->arena, NULL, 0);
    stage->files[0] = (struct server_settings){.id = STR("a"), .weight = 1, .file_weight = 1};
    stage->files[1] = (struct server_settings){.id = STR("b"), .weight = 2, .file_weight = 2};
    make_url(&stage->files[0].url, a);
    make_url(&stage->files[1].url, b);
    stage->settings.configured = (struct weir_list){stage->files, ARRAY_COUNT(stage->files)};
    stage->pool.name = (char *)(uintptr_t) "web";
    stage->plan = (struct pool_plan){.settings = &stage->settings,
                                     .pool = &stage->pool,
                                     .servers = stage->servers,
                                     .by_id = stage->by_id,
                                     .by_id_mask = ARRAY_COUNT(stage->by_id) - 1,
                                     .places = stage->places};
    stage->generation.id = 7;
    stage->generation.plan = &stage->whole;
    stage->whole.pools = &stage->plan;
    stage->whole.pool_count = 1;
    stage->generation.runtime = &stage->runtime;
    table_add(&stage->whole.pools_by_name, &stage->plan.by_name, table_hash(STR("web")));
    stage->worker.loop = loop_new(0);
    stage->runtime.current = &stage->generation;
    changes_init(&stage->changes, &stage->runtime, "weir.conf");
    for (; *parts != NULL; parts++) {
        changes_add_part(&stage->changes, *parts);
    }
    changes_start(&stage->changes, &stage->worker, &owner);
    changes_restore(&stage->changes, &stage->generation);
    lay(stage);
    changes_rebuilt(&stage->changes); /* the start is over */
}

void stage_settle(struct stage *stage)
{
    do {
        while (loop_settle(stage->worker.loop)) {}
        if (stage->done != NULL && !stage->hold) {
            stage_ready(stage);
        }
    } while (loop_settle(stage->worker.loop) || (stage->done != NULL && !stage->hold));
}

void stage_end(struct stage *stage)
{
    changes_end(&stage->changes);
    stage_settle(stage);
    drop_servers(stage);
    loop_free(&stage->worker.loop);
    table_end(&stage->whole.pools_by_name);
    arena_reset(&stage->arena);
}

static void answered(void *arg, const struct weir_control_answer *answer)
{
    struct answers *answers = arg;
    answers->count++;
    answers->status = answer->status;
    answers->journal = answer->journal;
    snprintf(answers->body, sizeof(answers->body), "%.*s", STR_ARGS(answer->body));
}

void stage_ask(struct stage *stage, struct answers *answers, const char *method, const char *path,
               const char *query, const char *body)
{
    struct weir_control_request call = {.size = sizeof(call),
                                        .method = str_from(method),
                                        .path = str_from(path),
                                        .query = str_from(query),
                                        .body = str_from(body),
                                        .caller = {.size = sizeof(struct weir_caller),
                                                   .role = WEIR_ROLE_ADMIN,
                                                   .author = STR("ann")}};
    plane_call(&stage->changes.plane, &call, answered, answers);
}

struct answers stage_do(struct stage *stage, const char *method, const char *path,
                        const char *query, const char *body)
{
    struct answers answers = {0};
    stage_ask(stage, &answers, method, path, query, body);
    stage_settle(stage);
    ck_assert_uint_eq(answers.count, 1);
    return answers;
}

uint64_t stage_last_entry(const struct stage *stage)
{
    const cJSON *entry = journal_older(stage->changes.journal, 0);
    return entry != NULL ? journal_id(entry) : 0;
}

bool stage_entry_is(const struct stage *stage, const char *key, const char *text)
{
    const cJSON *entry = overlay_at(stage->changes.overlay, key);
    cJSON *wanted = text != NULL ? cJSON_Parse(text) : NULL;
    bool is = text == NULL ? entry == NULL : cJSON_Compare(entry, wanted, true);

    cJSON_Delete(wanted);
    return is;
}
