/* SPDX-License-Identifier: MIT */
/*
 * Loaded modules. A module's file is read, and loaded from a private copy, so that the file on
 * disk can be replaced under a running program: the same contents are loaded once and shared by
 * generations, other contents are loaded beside. The last reference unloads.
 *
 * Thread: control thread; workers only read a module that their generation holds.
 */
#ifndef MODULE_MODULE_H
#define MODULE_MODULE_H

#include <weir/weir.h>

#include "base/list.h"
#include "base/mistakes.h"
#include "module/context.h"
#include "module/metrics.h"

struct blame;
struct blame_book;
struct call_meter;
struct call_stack;
struct module_library;
struct module_registry;

enum module_kind {
    MODULE_ROUTER,
    MODULE_BALANCER,
    MODULE_STICKY,
    MODULE_HEALTH,
    MODULE_FILTER,
    MODULE_HANDLER,
    MODULE_LOGGER,
    MODULE_STORE,
    MODULE_CONTROL,
};
#define MODULE_KIND_COUNT (MODULE_CONTROL + 1)

/* What is called when a block of a module is out. */
struct module_alarm {
    void (*fn)(void *arg); /* NULL: nothing */
    void *arg;
};

/* One loaded copy. Everything may be read; module.c writes, but for generation, meters and
 * guards. */
struct module {
    /* The descriptor as this host knows it: hooks that an older module lacks are NULL, the
     * kinds' tables are those below, and no text is NULL. */
    struct weir_module descriptor;
    struct weir_router router;
    struct weir_balancer balancer;
    struct weir_sticky sticky;
    struct weir_health health;
    struct weir_filter filter;
    struct weir_handler handler;
    struct weir_logger logger;
    struct weir_store store;
    struct weir_control control;
    /* Of the rows of descriptor.metrics, by index; NULL: it has none. */
    struct metric **metrics;
    uint32_t metric_count;

    uint64_t number; /* of this copy, and of no other as long as the process lives */
    char *name;
    char *path;                /* of the file that was copied */
    uint8_t identity[32];      /* SHA-256 of the file */
    unsigned refs;             /* one a generation, as long as each loads a module once */
    uint64_t generation;       /* the newest that was in force with it; 0: none yet */
    struct call_meter *meters; /* one a loop; see call.h. NULL: a test */
    struct list guards;        /* struct guard.link; control thread */
    /* It is in quarantine: all its hooks are NULL, in whatever kinds it has. NULL: it is not. */
    struct blame *quarantine;
    /* Likewise, and its file is not open: kinds by its name, and filter in any case. */
    bool shell;
    bool sees_requests; /* it is a filter with on_request */

    struct list link;                 /* in the registry */
    unsigned loops;                   /* of `meters` */
    const struct module_alarm *alarm; /* NULL: nobody hears of it */
    struct module_library *library;
    struct module_context load_context;
};

/* Knows what is loaded, and keeps the modules' metrics, to which `loops` loops add: workers, and
 * the control thread, the last. */
struct module_registry *module_registry_new(unsigned loops);
/* All references must have been given back. */
void module_registry_free(struct module_registry **registry);

/* The module of that name in the folder `module_dir`, with a reference for the caller. NULL: a
 * mistake at `place` says why. */
struct module *module_load(struct module_registry *registry, const char *module_dir,
                           const char *name, const struct weir_host *host, struct place place,
                           struct mistakes *mistakes);
/* Likewise from that file, whatever its name is. */
struct module *module_load_file(struct module_registry *registry, const char *path,
                                const char *name, const struct weir_host *host, struct place place,
                                struct mistakes *mistakes);
/* Another file that module_load takes for the module's own while that has the contents `identity`.
 */
struct module_instead {
    char *path; /* the caller frees it */
    uint8_t identity[32];
};
/* Who is asked for such a file. false: there is none. */
void module_registry_on_file(struct module_registry *registry,
                             bool (*fn)(void *arg, const char *name, const uint8_t identity[32],
                                        struct module_instead *out),
                             void *arg);
/* The identity that a copy of the file would have. false: it cannot be read. */
bool module_identify(const char *path, uint8_t identity[32]);
/* Writes the copy's file to `path`, durably. false: errno says why. */
bool module_write(const struct module *module, const char *path);
struct module *module_ref(struct module *module);
/* Gives the reference back and nulls it; NULL is legal. */
void module_unref(struct module **module);

/* What a loop calls now; lives as long as the registry. */
struct call_stack *module_calls(const struct module_registry *registry, unsigned loop);

/* What is in quarantine by the book (blame.h) is loaded without its hooks. The book lasts. */
void module_registry_set_blame(struct module_registry *registry, const struct blame_book *book);

/* What is called when a block of a module is out (guard.h): on any loop. */
void module_registry_on_alarm(struct module_registry *registry, void (*fn)(void *arg), void *arg);

/* Walks over what is loaded, in the order of loading: NULL gives the first, the last gives NULL. */
const struct module *module_next(const struct module_registry *registry,
                                 const struct module *after);

/* ---- kinds and names (module_kind.c) ---- */

bool module_has_kind(const struct module *module, enum module_kind kind);
/* "router", "balancer", ... */
const char *module_kind_name(enum module_kind kind);
/* The block that names such a module: "balance", "sticky", "health", "filter", "handler"; NULL: the
 * module block alone does. */
const char *module_kind_block(enum module_kind kind);
/* The file's name for `balance "least_conn"`: "balance_least_conn". */
void module_full_name(enum module_kind kind, struct weir_str title, char *out, size_t size);

/* The module, among a generation's `enabled` ones, that `BLOCK "title"` names. NULL: a mistake
 * at `place` says which module block is missing, that there is no such module in the folder
 * `module_dir`, or that it is not of that kind. */
struct module *module_find(const char *module_dir, struct module *const *enabled, size_t count,
                           enum module_kind kind, struct weir_str title, struct place place,
                           struct mistakes *mistakes);

#endif
