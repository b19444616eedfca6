/* SPDX-License-Identifier: MIT */
/*
 * The store module's instance and its thread. See store.h.
 */
#include "control/change/store.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "control/api/jobs.h"
#include "control/api/json.h"
#include "control/api/resident.h"

#define RETRY_SECONDS 5u

#define STORE_SPACES_MAX 64u /* as many as there are bits in `unread` */

enum store_state { STORE_NONE, STORE_OK, STORE_READ_ONLY, STORE_FAILED };

/* Outlives generations. */
struct store_instance {
    struct resident *resident;
    /* store thread */
    bool created, open;
    void *data;
};

struct store {
    struct loop *loop;
    struct jobs jobs;
    char *spaces[STORE_SPACES_MAX]; /* what is read */
    size_t space_count;
    uint64_t unread;                 /* those that could not be read when they were added, by bit */
    struct store_instance *instance; /* the newest; NULL: none. Its hooks are the store thread's */
    enum store_state state;          /* as the last job said */
    char detail[512];
    bool loaded; /* what is kept has been read */
    unsigned retry_in;
    bool trying;
    bool stopped; /* nothing is taken any more */
    store_load_fn load;
    void (*late)(void *arg);
    void *load_arg;
};

/* ---- batches ---- */

/* Takes ownership of key and value. */
static void put(struct store_batch *batch, const char *space, char *key, char *value)
{
    if ((batch->count & (batch->count - 1)) == 0) { /* full: the room is a power of two */
        size_t room = batch->count > 0 ? 2 * batch->count : 1;
        batch->items = base_realloc(batch->items, room * sizeof(*batch->items));
    }
    batch->items[batch->count++] = (struct store_item){base_strdup(space), key, value};
}

void store_put(struct store_batch *batch, const char *space, const char *key, const char *value)
{
    put(batch, space, base_strdup(key), value != NULL ? base_strdup(value) : NULL);
}

void store_put_json(struct store_batch *batch, const char *space, const char *key,
                    const cJSON *value)
{
    put(batch, space, base_strdup(key), value != NULL ? json_print(value) : NULL);
}

void store_batch_free(struct store_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        free(batch->items[i].space);
        free(batch->items[i].key);
        free(batch->items[i].value);
    }
    free(batch->items);
    *batch = (struct store_batch){NULL, 0};
}

/* ---- instances ---- */

static const struct use *store_use(const struct generation *generation)
{
    for (size_t i = 0; i < generation->plan->modules.count; i++) {
        if (module_has_kind(generation->plan->modules.items[i]->module, MODULE_STORE)) {
            return generation->plan->modules.items[i];
        }
    }
    return NULL;
}

static void instance_free(struct store_instance *instance)
{
    resident_free(&instance->resident);
    free(instance);
}

/* NULL: the generation has no store, or it could not be configured. */
static struct store_instance *instance_new(const struct generation *generation)
{
    const struct use *use = store_use(generation);
    struct resident *resident = use != NULL ? resident_new(use, generation->plan, NULL) : NULL;

    if (resident == NULL) {
        return NULL;
    }
    struct store_instance *instance = base_zalloc(sizeof(*instance));
    instance->resident = resident;
    return instance;
}

static const struct weir_store *ops_of(const struct store_instance *instance)
{
    return &instance->resident->module->store;
}

static struct weir_context *context_of(struct store_instance *instance)
{
    return &instance->resident->context.base;
}

/* ---- on the store thread ---- */

struct store_job {
    struct job job;
    struct store *store;
    struct store_instance *instance;
    struct store_instance *old; /* to be closed first */
    struct store_batch batch;
    store_done_fn fn;
    void *arg;
    bool scan;                                  /* what is kept is wanted */
    bool early;                                 /* something that is kept is not known yet */
    const char *more;                           /* or of this space alone; NULL: none */
    void (*read)(void *arg, const char *space); /* it has been, as far as it could be */
    struct store_batch loaded;                  /* what was read */
    size_t space_count; /* of the store, when the job began: others may be added meanwhile */
    const char *space;
    enum store_state state;
    char detail[512]; /* why it is not OK, or a note */
    char error[512];  /* of the commit; empty: none */
};

static bool visit(void *arg, struct weir_str key, struct weir_str value)
{
    struct store_job *job = arg;
    put(&job->loaded, job->space, base_strndup(key.ptr, key.len),
        base_strndup(value.len > 0 ? value.ptr : "", value.len));
    return true;
}

static bool read_space(struct store_job *job, const char *space)
{
    struct store_instance *instance = job->instance;
    const struct weir_str all = {"", 0};

    job->space = space;
    return ops_of(instance)->scan(context_of(instance), instance->data, str_from(space), all, false,
                                  0, visit, job) == WEIR_OK;
}

static bool read_all(struct store_job *job)
{
    for (size_t i = 0; i < job->space_count; i++) {
        if (!read_space(job, job->store->spaces[i])) {
            return false;
        }
    }
    return true;
}

static void close_instance(struct store_instance *instance)
{
    if (instance->created && ops_of(instance)->destroy != NULL) {
        ops_of(instance)->destroy(context_of(instance), instance->data);
    }
    instance->created = instance->open = false;
}

static bool create_instance(struct store_job *job)
{
    struct store_instance *instance = job->instance;
    const struct weir_store *ops = ops_of(instance);

    if (!instance->created) {
        instance->data = instance->resident->prepared;
        if (ops->create != NULL &&
            ops->create(context_of(instance), instance->resident->conf,
                        instance->resident->prepared, &instance->data) != WEIR_OK) {
            job->state = STORE_FAILED;
            snprintf(job->detail, sizeof(job->detail), "module \"%s\": create failed",
                     instance->resident->module->name);
            return false;
        }
        instance->created = true;
    }
    return true;
}

static void cannot_read(struct store_job *job)
{
    job->state = STORE_FAILED;
    job->instance->open = false;
    snprintf(job->detail, sizeof(job->detail), "what it keeps cannot be read; see the log");
}

/* Opens the instance if it is not open. */
static void open_instance(struct store_job *job)
{
    struct store_instance *instance = job->instance;
    const struct weir_store *ops = ops_of(instance);
    enum weir_status status = WEIR_OK;

    job->state = STORE_OK;
    if (instance->open || !create_instance(job)) {
        return;
    }
    if (ops->open != NULL) {
        status = ops->open(context_of(instance), instance->data, job->detail, sizeof(job->detail));
    }
    if (status != WEIR_OK && status != WEIR_DECLINED) {
        job->state = STORE_FAILED;
        return;
    }
    job->state = status == WEIR_OK ? STORE_OK : STORE_READ_ONLY;
    instance->open = status == WEIR_OK; /* one for reading is tried again */
    if (job->scan && !read_all(job)) {
        cannot_read(job);
    }
}

static void commit_batch(struct store_job *job)
{
    struct store_instance *instance = job->instance;
    struct weir_store_change *changes = base_zalloc(sizeof(*changes) * (job->batch.count + 1));

    for (size_t i = 0; i < job->batch.count; i++) {
        const struct store_item *item = &job->batch.items[i];
        changes[i] = (struct weir_store_change){.size = sizeof(*changes),
                                                .remove = item->value == NULL,
                                                .space = str_from(item->space),
                                                .key = str_from(item->key),
                                                .value = str_from(item->value)};
    }
    if (ops_of(instance)->commit(context_of(instance), instance->data, changes, job->batch.count,
                                 job->error, sizeof(job->error)) != WEIR_OK &&
        job->error[0] == '\0') {
        snprintf(job->error, sizeof(job->error), "module \"%s\" did not say why",
                 instance->resident->module->name);
    }
    free(changes);
}

static void store_job_run(struct job *base)
{
    struct store_job *job = container_of(base, struct store_job, job);

    if (job->old != NULL) {
        close_instance(job->old);
    }
    if (job->instance != NULL) {
        open_instance(job);
        if (job->more != NULL && job->state != STORE_FAILED && !read_space(job, job->more)) {
            cannot_read(job);
        }
        if (job->fn != NULL && job->state == STORE_OK && !job->scan && !job->early) {
            commit_batch(job);
        } else if (job->fn != NULL) {
            snprintf(job->error, sizeof(job->error), "%s",
                     job->detail[0] != '\0' ? job->detail : "it was opened just now; try again");
        }
    }
}

/* ---- back on the control thread ---- */

static void read_more(struct store *store, const char *space,
                      void (*read)(void *arg, const char *space));

static void give_loaded(struct store_job *job)
{
    struct store *store = job->store;
    bool give = (!store->loaded || job->more != NULL) &&
                (job->state == STORE_OK || job->state == STORE_READ_ONLY);

    for (size_t i = 0; give && i < job->loaded.count; i++) {
        const struct store_item *item = &job->loaded.items[i];
        store->load(store->load_arg, item->space, item->key, item->value);
    }
    store_batch_free(&job->loaded);
    store->loaded |= give && job->scan;
}

/* Spaces that could not be read are asked for again once the store is well. */
static void read_missed(const struct store_job *job)
{
    struct store *store = job->store;

    for (size_t i = 0; i < store->space_count; i++) {
        uint64_t bit = UINT64_C(1) << i;
        if (job->more == store->spaces[i]) {
            bool failed = job->state != STORE_OK && job->state != STORE_READ_ONLY;
            store->unread = failed ? store->unread | bit : store->unread & ~bit;
        } else if (job->more == NULL && job->state == STORE_OK && (store->unread & bit) != 0 &&
                   !store->stopped) {
            store->unread &= ~bit;
            read_more(store, store->spaces[i], NULL);
        }
    }
}

static void take_state(struct store_job *job)
{
    struct store *store = job->store;
    bool changed = store->state != job->state || strcmp(store->detail, job->detail) != 0;

    if (job->instance == NULL || job->instance != store->instance) {
        return;
    }
    store->state = job->state;
    snprintf(store->detail, sizeof(store->detail), "%s", job->detail);
    if (changed && job->state == STORE_OK && job->detail[0] != '\0') {
        log_write(WEIR_LOG_WARNING, "weir", "store: %s", job->detail);
    } else if (changed && job->state == STORE_READ_ONLY) {
        log_write(WEIR_LOG_WARNING, "weir",
                  "store: changes cannot be made: it can only be read: %s", job->detail);
    } else if (changed && job->state == STORE_FAILED) {
        log_write(WEIR_LOG_ERROR, "weir", "store: changes cannot be made, the files alone hold: %s",
                  job->detail);
    }
    store->retry_in = job->state == STORE_OK ? 0 : RETRY_SECONDS;
}

static void store_job_done(struct job *base)
{
    struct store_job *job = container_of(base, struct store_job, job);
    struct store *store = job->store;
    bool was_loaded = store->loaded;

    take_state(job);
    give_loaded(job);
    read_missed(job);
    if (job->scan) {
        store->trying = false;
    }
    if (job->old != NULL) {
        instance_free(job->old);
    }
    if (job->error[0] != '\0' && job->state == STORE_OK) {
        snprintf(store->detail, sizeof(store->detail), "the last change: %.480s", job->error);
        log_write(WEIR_LOG_ERROR, "weir", "store: a change was not kept: %s", job->error);
    }
    bool missed = job->scan && store->loaded && !store->stopped;
    for (size_t i = job->space_count; missed && i < store->space_count; i++) {
        read_more(store, store->spaces[i], NULL); /* was added meanwhile */
    }
    if (job->read != NULL) {
        job->read(store->load_arg, job->more);
    }
    if (!was_loaded && store->loaded && store->late != NULL) {
        store->late(store->load_arg);
    }
    if (job->fn != NULL) {
        job->fn(job->arg, job->error[0] != '\0' ? job->error : NULL);
    }
    store_batch_free(&job->batch);
    free(job);
}

/* On the store's thread, if there is a store. */
static void run_job(struct store *store, struct store_job *job)
{
    if (job->instance == NULL && job->old == NULL) {
        jobs_skip(&store->jobs, &job->job);
    } else if (!jobs_add(&store->jobs, &job->job)) {
        job->state = STORE_FAILED;
        snprintf(job->detail, sizeof(job->detail), "there is no thread for it");
        snprintf(job->error, sizeof(job->error), "there is no thread for the store");
        jobs_skip(&store->jobs, &job->job);
    }
}

static struct store_job *job_new(struct store *store)
{
    struct store_job *job = base_zalloc(sizeof(*job));
    job->job.run = store_job_run;
    job->job.done = store_job_done;
    job->store = store;
    job->instance = store->instance;
    job->space_count = store->space_count;
    job->state = STORE_NONE;
    return job;
}

static void read_more(struct store *store, const char *space,
                      void (*read)(void *arg, const char *space))
{
    struct store_job *job = job_new(store);
    job->more = space;
    job->read = read;
    run_job(store, job);
}

bool store_add_space(struct store *store, const char *space,
                     void (*read)(void *arg, const char *space))
{
    for (size_t i = 0; i < store->space_count; i++) {
        if (strcmp(store->spaces[i], space) == 0) {
            return false;
        }
    }
    if (store->space_count == STORE_SPACES_MAX) {
        log_write(WEIR_LOG_ERROR, "weir", "store: more than %u spaces; \"%s\" is not read",
                  STORE_SPACES_MAX, space);
        return false;
    }
    char *copy = store->spaces[store->space_count++] = base_strdup(space);
    if (!store->loaded || store->instance == NULL || store->stopped) {
        return false;
    }
    read_more(store, copy, read);
    return true;
}

bool store_open(struct store *store, const struct generation *generation, store_load_fn load,
                void (*late)(void *arg), void *arg)
{
    store->load = load;
    store->load_arg = arg;
    store->instance = instance_new(generation);
    if (store->instance == NULL) {
        store->loaded = true;
        return store_use(generation) == NULL;
    }
    struct store_job *job = job_new(store);
    job->scan = true;
    run_job(store, job);
    jobs_wait(&store->jobs);
    while (loop_settle(store->loop)) {} /* which does not run yet: what the job brings */
    store->late = late;
    return store->state == STORE_OK;
}

void store_adopt(struct store *store, const struct generation *generation)
{
    const struct use *use = store_use(generation);
    struct store_instance *old = store->instance;

    if (store->stopped || (use == NULL && old == NULL) ||
        (use != NULL && old != NULL && resident_is(old->resident, use))) {
        return;
    }
    store->instance = instance_new(generation);
    if (store->instance == NULL) {
        store->state = STORE_NONE;
    }
    struct store_job *job = job_new(store);
    job->old = old;
    run_job(store, job);
}

void store_commit(struct store *store, struct store_batch *batch, store_done_fn fn, void *arg)
{
    ASSERT(!store->stopped); /* nobody would answer */
    struct store_job *job = job_new(store);
    job->batch = *batch;
    *batch = (struct store_batch){NULL, 0};
    job->fn = fn;
    job->arg = arg;
    job->scan = !store->loaded;
    job->early = store->unread != 0;
    run_job(store, job);
}

void store_tick(struct store *store)
{
    if (store->instance == NULL || store->retry_in == 0 || --store->retry_in > 0) {
        return;
    }
    if (store->trying) {
        store->retry_in = 1;
        return;
    }
    struct store_job *job = job_new(store);
    job->scan = !store->loaded;
    store->trying = job->scan;
    run_job(store, job);
}

/* ---- the rest ---- */

struct store *store_new(struct loop *loop)
{
    struct store *store = base_zalloc(sizeof(*store));
    store->loop = loop;
    jobs_init(&store->jobs, loop);
    return store;
}

void store_stop(struct store *store)
{
    store->stopped = true;
    jobs_stop(&store->jobs);
}

void store_free(struct store **store)
{
    struct store *s = *store;
    *store = NULL;
    store_stop(s);
    if (s->instance != NULL) {
        close_instance(s->instance); /* its thread has ended */
        instance_free(s->instance);
    }
    for (size_t k = 0; k < s->space_count; k++) {
        free(s->spaces[k]);
    }
    free(s);
}

bool store_is_loaded(const struct store *store)
{
    return store->loaded;
}

bool store_is_well(const struct store *store)
{
    return store->state == STORE_OK || store->state == STORE_NONE;
}

cJSON *store_json(const struct store *store)
{
    static const char *const words[] = {"none", "ok", "read_only", "failed"};
    cJSON *object = cJSON_CreateObject();
    const char *name = store->instance != NULL ? store->instance->resident->module->name : NULL;

    if (name != NULL && strncmp(name, "store_", 6) == 0) {
        name += 6;
    }
    json_set(object, "kind", name);
    json_set(object, "state", words[store->state]);
    json_set(object, "detail",
             name != NULL ? store->detail : "no store module: changes are not kept");
    return object;
}
