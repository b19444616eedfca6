/* SPDX-License-Identifier: MIT */
/*
 * What the files that build a plan tell each other; nobody else includes it. Control thread. What
 * they allocate is in the plan's arena; mistakes go to build.mistakes, and building goes on, so
 * that one run tells them all.
 */
#ifndef PROXY_PLAN_BUILD_H
#define PROXY_PLAN_BUILD_H

#include "proxy/plan/plan.h"

/* One build, from start to end. */
struct build {
    const struct plan_input *input;
    struct plan *plan; /* the one that is made */
    struct mistakes *mistakes;
    struct table routes; /* struct route_plan.by_name */
    /* Whom root would become at the next start, and has not; else empty. */
    struct weir_str next_user;
};

/* ---- tools (build_tools.c) ---- */

/* One without anything in it, of the base's configuration; NULL: it is to be a base itself. */
struct plan *build_plan(const struct plan_input *input, struct plan *base);

/* Zeroed, in the plan's arena; never NULL. */
void *build_alloc(struct build *b, size_t len);

/* What is addressed by its name: in a URL's path, and as POOL/SERVER. `kind` for the message. */
void build_check_name(struct build *b, struct place place, const char *kind, struct weir_str name);

/* Where a field of a conf struct was set. */
struct place build_place_of(struct build *b, const void *field);

/* The same, as TLS asks for it; `arg` is the struct build. */
struct place build_place_for_tls(void *arg, const void *field);

bool build_is_block(const struct conf_node *node, const char *name);
size_t build_count_blocks(const struct conf_node *parent, const char *name);

void build_list_append(struct build *b, struct use_list *list, struct use *use);

/* Fills the targets with what the block says, as conf_fill_block does. */
void build_fill(struct build *b, const struct conf_node *block, uint32_t context,
                const struct conf_target *targets, size_t count, const char *const *known,
                bool defaults);

/* ---- global settings (build_global.c) ---- */

/* Checks them, those that a start alone sets as the next start would; then these become as the
 * process was started with. */
void build_globals(struct build *b);
/* What root may tells nothing of what the user may that root is to become: another process tries
 * it. Last, adds mistakes that have not been told. */
void build_try_start(struct build *b, const char *path);

/* Whether the start gives that folder to the user that it becomes. */
bool build_is_given(const struct build *b, const char *folder);

/* ---- modules and uses (build_uses.c) ---- */

/* A module block: loads the module, fills its options. */
void build_module(struct build *b, const struct conf_node *node);

/* The use of a module in a `balance`, `sticky`, `health`, `filter` or `handler` block, whose
 * options are those of the module block so far. NULL: a mistake. */
struct use *build_begin_use(struct build *b, const struct conf_node *node, enum module_kind kind,
                            struct weir_str pool);

/* Fills what the block says: options of the module's, and `count` kinds of the host's own. */
void build_fill_use(struct build *b, struct use *use, uint32_t context,
                    const struct conf_target *own, size_t count);

/* Both in one; `own` is filled with the host's options of such a block, where it has any (options
 * NULL: none). NULL: a mistake. */
struct use *build_use(struct build *b, const struct conf_node *node, enum module_kind kind,
                      uint32_t context, struct weir_str pool, struct conf_target own);

/* Gives the uses of pools and listeners their names; needs all plans. */
void build_name_uses(struct build *b);

/* Likewise the filters that stand in one block: `where` is its kind, `name` its title. */
void build_name_filters(struct build *b, const struct use_list *filters, const char *where,
                        struct weir_str name);

/* ---- modules look at their blocks (build_check.c) ---- */

/* Checks where the program's log goes. */
void build_check_log(struct build *b);

/* Calls conf_create; that may make routes, whose filters are uses at the end of plan.uses. */
void build_check_use(struct build *b, struct use *use);

/* ---- pools (build_pools.c) and listeners (build_listeners.c) ---- */

/* A block becomes the plan, which is zeroed. */
void build_pool(struct build *b, struct pool_plan *plan, const struct conf_node *node);
/* The servers that the plan has just now: what the files say, with names in their place, and with
 * what was changed at run time laid over it. `tls`: the context towards them; NULL: made if one is
 * needed. */
void build_pool_servers(struct build *b, struct pool_plan *plan, SSL_CTX *tls);
void build_listener(struct build *b, struct listener_plan *plan, const struct conf_node *node);

/* All listeners' addresses: each once, and one that can be listened on. Needs all plans. */
void build_check_binds(struct build *b);

#endif
