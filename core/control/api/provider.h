/* SPDX-License-Identifier: MIT */
/*
 * Modules of the kind `control` (see weir/control.h): their instances, the operations that they add
 * to the table, the data that they keep, and their hooks for the plane. Control thread.
 *
 * An instance lives as long as module and block stay the same, and until its last operation or work
 * has ended. Data is kept here, not in the instances, so a new one finds it.
 */
#ifndef CONTROL_API_PROVIDER_H
#define CONTROL_API_PROVIDER_H

#include <cjson/cJSON.h>
#include <weir/control.h>

#include "base/list.h"
#include "control/api/command.h"
#include "net/loop.h"

struct generation;
struct plane;
struct resident;

struct provider {
    struct list link;
    struct providers *all;
    struct resident *resident;
    const struct weir_control *ops;
    void *instance;
    struct command *commands; /* a copy of its rows, terminated */
    bool ready;    /* its space is loaded: the instance exists, and its rows are in the table */
    bool left;     /* no configuration has it any more; freed with the last of `refs` */
    unsigned refs; /* running operations and work */
    struct task destruction;
};

struct providers {
    struct plane *plane;
    struct list list; /* struct provider.link */
    cJSON *kept;      /* text, by space and key */
    cJSON *documents; /* everything that weir_control_openapi has returned */
    /* Set before the start. Loads a space: its data follows by providers_keep, then
     * providers_ready. */
    void (*load)(struct plane *plane, const char *space);
};

void providers_init(struct providers *providers, struct plane *plane);
/* Nothing is running any more. */
void providers_end(struct providers *providers);

/* The modules of the generation add their operations, others take theirs away. */
void providers_adopt(struct providers *providers, const struct generation *generation);
/* The space is loaded completely. */
void providers_ready(struct providers *providers, const char *space);
/* New files have come into force. */
void providers_reloaded(struct providers *providers);
/* Once a second, which is a monotonic clock's. */
void providers_second(struct providers *providers, uint64_t second, uint64_t wall_ms);

/* Sets the value of a key in a space and tells its module; `value` NULL: none. */
void providers_keep(struct providers *providers, const char *space, const char *key,
                    const char *value);
/* NULL: nothing. */
const char *providers_kept(const struct providers *providers, const char *space, const char *key);

/* The next provider behind `after` (NULL: the first) that is ready, and has the hook at `offset` of
 * struct weir_control. NULL: there is none. */
struct provider *providers_next(const struct providers *providers, const struct provider *after,
                                size_t offset);
#define provider_with(providers, hook) \
    providers_next((providers), NULL, offsetof(struct weir_control, hook))
/* The owner of the space; NULL: not loaded. */
struct provider *provider_of_space(const struct providers *providers, const char *space);

struct weir_context *provider_context(const struct provider *provider);
/* Begins a call of one of its hooks; see call_end. */
struct call *provider_call(const struct provider *provider);
void provider_ref(struct provider *provider);
void provider_unref(struct provider *provider);

#endif
