/* SPDX-License-Identifier: MIT */
/*
 * Shared by the files that build a plan; private to them. Control thread. Allocations are in the
 * plan's arena; mistakes go to build.mistakes and building goes on, so one run reports them all.
 */
#ifndef PROXY_PLAN_BUILD_H
#define PROXY_PLAN_BUILD_H

#include "proxy/plan/plan.h"

/* One build, from start to end. */
struct build {
    const struct plan_input *input;
    struct plan *plan; /* the one being built */
    struct mistakes *mistakes;
    struct table routes; /* struct route_plan.by_name */
    bool swaps;          /* a copy is swapped: routes are those of the plan before */
    /* The user that a start as root would switch to, where this process has not; else empty. */
    struct weir_str next_user;
};

/* ---- tools (build_tools.c) ---- */

/* An empty plan with the base's configuration; NULL: it becomes a base itself. */
struct plan *build_plan(const struct plan_input *input, struct plan *base);

/* Zeroed, in the plan's arena; never NULL. */
void *build_alloc(struct build *b, size_t len);

/* Checks a name that is used in URL paths and as POOL/SERVER. `kind` for the message. */
void build_check_name(struct build *b, struct place place, const char *kind, struct weir_str name);

/* Where a field of a conf struct was set. */
struct place build_place_of(struct build *b, const void *field);

/* The same as a callback for TLS; `arg` is the struct build. */
struct place build_place_for_tls(void *arg, const void *field);

bool build_is_block(const struct conf_node *node, const char *name);
size_t build_count_blocks(const struct conf_node *parent, const char *name);

/* `items` with room for one more, in the arena; it doubles where it is full. The old array is freed
 * with the plan. */
void *build_grow(struct build *b, void *items, size_t count, size_t size);
void build_list_append(struct build *b, struct use_list *list, struct use *use);

/* Fills the targets from the block, as conf_fill_block does. */
void build_fill(struct build *b, const struct conf_node *block, uint32_t context,
                const struct conf_target *targets, size_t count, const char *const *known,
                bool defaults);

/* ---- global settings (build_global.c) ---- */

/* Checks the global settings, including those that only a start can apply; the latter are then set
 * back to what this process started with. */
void build_globals(struct build *b);
/* Root's rights say nothing about those of the user it will become: another process tries. Called
 * last; adds mistakes not reported yet. */
void build_try_start(struct build *b, const char *path);

/* Whether the start gives that folder to the user it switches to. */
bool build_is_given(const struct build *b, const char *folder);

/* ---- modules and uses (build_uses.c) ---- */

/* A module block: loads the module, fills its options. */
void build_module(struct build *b, const struct conf_node *node);
/* A use at the end of plan.uses. */
struct use *build_new_use(struct build *b, struct module *module, enum module_kind kind,
                          const struct conf_node *block);
/* The options of a module block's use, by the table of its module. */
void build_fill_module(struct build *b, struct use *use);
/* Those of another block's use: first a copy of the module block's. */
void build_inherit(struct build *b, struct use *use);

/* The use of a module in a `balance`, `sticky`, `health`, `filter` or `handler` block, with the
 * module block's options as defaults. NULL: a mistake. */
struct use *build_begin_use(struct build *b, const struct conf_node *node, enum module_kind kind,
                            struct weir_str pool);

/* Fills options from the block: the module's, and `count` kinds of the host's own. */
void build_fill_use(struct build *b, struct use *use, uint32_t context,
                    const struct conf_target *own, size_t count);

/* Both in one; `own` gets the host's options of such a block (options NULL: none). NULL: a
 * mistake. */
struct use *build_use(struct build *b, const struct conf_node *node, enum module_kind kind,
                      uint32_t context, struct weir_str pool, struct conf_target own);

/* Names the uses of pools and listeners; needs all plans. */
void build_name_uses(struct build *b);

/* Gives the use its guard: that of an equal one that is in force, or a new one. */
void build_guard(struct build *b, struct use *use);

/* Likewise for the filters of one block: `where` is its kind, `name` its title. */
void build_name_filters(struct build *b, const struct use_list *filters, const char *where,
                        struct weir_str name);

/* ---- modules look at their blocks (build_check.c) ---- */

/* Checks the program's log target. */
void build_check_log(struct build *b);

/* Calls conf_create; that may make routes, whose filters are uses at the end of plan.uses. */
void build_check_use(struct build *b, struct use *use);

/* ---- another copy of a module (build_swap.c) ---- */

/* Swaps the copy in a plan that is derived, all but that. */
void build_swap(struct build *b, const struct plan_swap *swap);

/* ---- pools (build_pools.c) and listeners (build_listeners.c) ---- */

/* Turns a block into the plan, which is zeroed. */
void build_pool(struct build *b, struct pool_plan *plan, const struct conf_node *node);
/* The servers that the plan has now: those of the files, with names resolved and run-time changes
 * applied. `tls`: the context towards them; NULL: created if needed. */
void build_pool_servers(struct build *b, struct pool_plan *plan, SSL_CTX *tls);
void build_listener(struct build *b, struct listener_plan *plan, const struct conf_node *node);

/* Checks all listeners' addresses: each used once, and one that can be listened on. Needs all
 * plans. */
void build_check_binds(struct build *b);

#endif
