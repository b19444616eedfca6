/* SPDX-License-Identifier: MIT */
/*
 * The registry, and a module's way from a name to a checked, loaded copy.
 */
#include "module/module.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "module/blame.h"
#include "module/call.h"
#include "module/module_abi.h"
#include "module/module_library.h"
#include "option/option_value.h"

#define NAME_MAX_LEN 63u

struct module_registry {
    struct list modules;
    struct list metrics; /* struct metric.link */
    unsigned loops;
    uint64_t last_number;
    struct call_stack *stacks; /* one a loop */
    struct module_alarm alarm;
    const struct blame_book *blame; /* NULL: nobody is in quarantine */
    bool (*instead)(void *arg, const char *name, const uint8_t identity[32],
                    struct module_instead *out); /* NULL: nobody is asked */
    void *instead_arg;
};

struct module_registry *module_registry_new(unsigned loops)
{
    struct module_registry *registry = base_zalloc(sizeof(*registry));
    list_init(&registry->modules);
    list_init(&registry->metrics);
    registry->loops = loops;
    registry->stacks = base_zalloc_lines(loops * sizeof(*registry->stacks));
    for (unsigned i = 0; i + 1 < loops; i++) {
        registry->stacks[i].worker = true;
    }
    call_clock_begin();
    return registry;
}

struct call_stack *module_calls(const struct module_registry *registry, unsigned loop)
{
    return &registry->stacks[loop];
}

void module_registry_on_alarm(struct module_registry *registry, void (*fn)(void *arg), void *arg)
{
    registry->alarm = (struct module_alarm){fn, arg};
}

void module_registry_set_blame(struct module_registry *registry, const struct blame_book *book)
{
    registry->blame = book;
}

void module_registry_on_file(struct module_registry *registry,
                             bool (*fn)(void *arg, const char *name, const uint8_t identity[32],
                                        struct module_instead *out),
                             void *arg)
{
    registry->instead = fn;
    registry->instead_arg = arg;
}

void module_registry_free(struct module_registry **registry)
{
    if (*registry == NULL) {
        return;
    }
    ASSERT(list_empty(&(*registry)->modules) && list_empty(&(*registry)->metrics));
    free((*registry)->stacks);
    free(*registry);
    *registry = NULL;
}

const struct module *module_next(const struct module_registry *registry, const struct module *after)
{
    const struct list *link = after != NULL ? after->link.next : registry->modules.next;
    return link != &registry->modules ? container_of(link, const struct module, link) : NULL;
}

/* ---- references ---- */

struct module *module_ref(struct module *module)
{
    module->refs++;
    return module;
}

/* Of a module that was never loaded whole, too. */
static void destroy(struct module *module)
{
    list_remove(&module->link);
    module_context_end(&module->load_context);
    for (uint32_t i = 0; i < module->metric_count; i++) {
        metric_unref(module->metrics[i]);
    }
    free(module->metrics);
    for (unsigned i = 0; i < module->loops; i++) {
        for (unsigned hook = 0; hook < MODULE_HOOKS; hook++) {
            free(module->meters[i].hooks[hook]);
        }
    }
    free(module->meters);
    library_close(&module->library);
    free(module->quarantine);
    free(module->name);
    free(module->path);
    free(module);
}

void module_unref(struct module **module)
{
    struct module *given = *module;

    *module = NULL;
    if (given == NULL) {
        return;
    }
    ASSERT(given->refs > 0);
    if (--given->refs == 0) {
        log_write(WEIR_LOG_DEBUG, "module", "%s %s is unloaded", given->name,
                  given->descriptor.version);
        destroy(given);
    }
}

/* ---- files ---- */

static bool is_legal_name(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len <= NAME_MAX_LEN &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == len;
}

/* There is no such file: says so, with the nearest that there is. */
static void tell_missing(const char *module_dir, const char *name, const char *path,
                         struct place place, struct mistakes *mistakes)
{
    char *best = library_nearest(module_dir, "", name);

    if (best != NULL) {
        mistakes_add(mistakes, place, "module \"%s\": there is no %s; did you mean \"%s\"?", name,
                     path, best);
    } else {
        mistakes_add(mistakes, place,
                     "module \"%s\": there is no %s; install the module, or set module_dir", name,
                     path);
    }
    free(best);
}

static void make_meters(struct module_registry *registry, struct module *module)
{
    module->loops = registry->loops;
    module->alarm = &registry->alarm;
    module->meters = base_zalloc_lines(registry->loops * sizeof(*module->meters));
    for (unsigned i = 0; i < registry->loops; i++) {
        module->meters[i].module = module;
        module->meters[i].stack = &registry->stacks[i];
    }
}

static struct module *find_loaded(const struct module_registry *registry, const char *name,
                                  const uint8_t identity[32], bool quarantined)
{
    list_each(link, &registry->modules)
    {
        struct module *module = container_of(link, struct module, link);
        if (strcmp(module->name, name) == 0 && memcmp(module->identity, identity, 32) == 0 &&
            (module->quarantine != NULL) == quarantined) {
            return module;
        }
    }
    return NULL;
}

static void take_metrics(struct module_registry *registry, struct module *module)
{
    const struct weir_metrics *table = module->descriptor.metrics;

    module->metric_count = table != NULL ? table->count : 0;
    module->metrics = base_zalloc((module->metric_count + 1) * sizeof(*module->metrics));
    for (uint32_t i = 0; i < module->metric_count; i++) {
        module->metrics[i] =
            metric_get(&registry->metrics, registry->loops, module->name, &table->rows[i]);
    }
}

/* ---- quarantine ---- */

/* Kinds and options stay; nothing is left that could be called. */
static void drop_hooks(struct module *module)
{
    struct weir_module *descriptor = &module->descriptor;

    descriptor->load = NULL;
    descriptor->conf_create = NULL;
    descriptor->conf_free = NULL;
    descriptor->worker_start = NULL;
    descriptor->worker_stop = NULL;
    memset(&module->router, 0, sizeof(module->router));
    memset(&module->balancer, 0, sizeof(module->balancer));
    memset(&module->sticky, 0, sizeof(module->sticky));
    memset(&module->health, 0, sizeof(module->health));
    memset(&module->filter, 0, sizeof(module->filter));
    memset(&module->handler, 0, sizeof(module->handler));
    memset(&module->logger, 0, sizeof(module->logger));
    memset(&module->store, 0, sizeof(module->store));
    memset(&module->control, 0, sizeof(module->control));
}

/* To be opened runs code of the file's: constructors, and `load`. */
static bool died_while_loaded(const struct blame *blame)
{
    bool died = false;

    for (unsigned i = 0; i < blame->count; i++) {
        died |= strcmp(blame->faults[i].hook, module_hook_name(HOOK_LOAD)) == 0;
    }
    return died;
}

static bool has_prefix_of(const struct module *module, enum module_kind kind)
{
    char prefix[32];

    module_full_name(kind, (struct weir_str){NULL, 0}, prefix, sizeof(prefix));
    return strncmp(module->name, prefix, strlen(prefix)) == 0;
}

/* Of a file that is not opened. Any module may be a filter; a block that uses it as one says so. */
static void make_shell(struct module *module)
{
    struct weir_module *descriptor = &module->descriptor;

    module->shell = module->sees_requests = true;
    descriptor->name = module->name;
    descriptor->version = descriptor->license = "";
    descriptor->summary = "It is not loaded, as Weir has died of that";
    descriptor->filter = &module->filter;
    descriptor->balancer = has_prefix_of(module, MODULE_BALANCER) ? &module->balancer : NULL;
    descriptor->sticky = has_prefix_of(module, MODULE_STICKY) ? &module->sticky : NULL;
    descriptor->router = has_prefix_of(module, MODULE_ROUTER) ? &module->router : NULL;
    descriptor->store = has_prefix_of(module, MODULE_STORE) ? &module->store : NULL;
}

/* ---- loading ---- */

/* From a descriptor to a module that has run its load hook. */
static bool accept(struct module_registry *registry, struct module *module,
                   const struct weir_module *given, char *error)
{
    if (!module_abi_accept(module, given, error, LIBRARY_ERROR_SIZE)) {
        return false;
    }
    take_metrics(registry, module);
    module->sees_requests = module->filter.on_request != NULL;
    if (module->quarantine != NULL) {
        drop_hooks(module);
    }
    if (module->descriptor.load != NULL) {
        struct call *call = call_begin(&module->load_context, HOOK_LOAD);
        enum weir_status status = module->descriptor.load(&module->load_context.base);
        call_end(call);
        if (status != WEIR_OK) {
            snprintf(error, LIBRARY_ERROR_SIZE,
                     "its load hook failed with status %d; what it logged says why", (int)status);
            return false;
        }
    }
    return true;
}

static bool find_entry(const struct module *module, weir_module_entry_fn *entry, char *error)
{
    void *symbol = library_symbol(module->library, WEIR_MODULE_ENTRY);

    if (symbol == NULL) {
        snprintf(error, LIBRARY_ERROR_SIZE,
                 "it exports no %s: it is no module of Weir, or lacks WEIR_MODULE(...)",
                 WEIR_MODULE_ENTRY);
        return false;
    }
    memcpy(entry, &symbol, sizeof(*entry)); /* ISO C has no cast from object to function */
    return true;
}

/* What the file does when it is opened is noted as a part of its load, for whoever asks what the
 * program died of. */
static bool open_library(struct module_registry *registry, struct module *module,
                         const struct library_image *image, char *error)
{
    const struct weir_module *given = NULL;
    weir_module_entry_fn entry = NULL;
    struct call *call = call_begin(&module->load_context, HOOK_LOAD);

    module->library = library_open(image, module->name, error);
    bool found = module->library != NULL && find_entry(module, &entry, error);
    given = found ? entry() : NULL;
    call_cancel(call);
    return found && accept(registry, module, given, error);
}

static struct module *load_image(struct module_registry *registry, const char *name,
                                 const char *path, const struct library_image *image,
                                 const struct weir_host *host, const struct blame *blame,
                                 char *error)
{
    struct module *module = base_zalloc(sizeof(*module));

    module->name = base_strdup(name);
    module->path = base_strdup(path);
    memcpy(module->identity, image->identity, sizeof(module->identity));
    list_init(&module->guards);
    make_meters(registry, module);
    module_context_init(&module->load_context, host, module, NULL);
    module->load_context.worker_index = module->load_context.worker_count = registry->loops - 1;
    if (blame != NULL) {
        module->quarantine = base_alloc(sizeof(*blame));
        *module->quarantine = *blame;
    }
    if (blame != NULL && died_while_loaded(blame)) {
        make_shell(module);
    } else if (!open_library(registry, module, image, error)) {
        destroy(module);
        return NULL;
    }
    module->refs = 1;
    module->number = ++registry->last_number;
    list_push_back(&registry->modules, &module->link);
    log_write(WEIR_LOG_DEBUG, "module", "%s %s is loaded from %s", module->name,
              module->descriptor.version, module->path);
    return module;
}

static void tell_unreadable(const char *name, const char *path, struct place place,
                            struct mistakes *mistakes)
{
    mistakes_add(mistakes, place, "module \"%s\": cannot read %s: %s", name, path, strerror(errno));
}

static bool check_name(const char *name, struct place place, struct mistakes *mistakes)
{
    char shown[80];

    if (is_legal_name(name)) {
        return true;
    }
    option_show(shown, sizeof(shown), name, strlen(name));
    mistakes_add(mistakes, place,
                 "%s is not a module's name, which is made of lower-case letters, digits and _",
                 shown);
    return false;
}

static struct module *get(struct module_registry *registry, const char *path, const char *name,
                          const struct library_image *image, const struct weir_host *host,
                          struct place place, struct mistakes *mistakes)
{
    const struct blame *blame =
        registry->blame != NULL ? blame_of(registry->blame, name, image->identity) : NULL;
    struct module *module = find_loaded(registry, name, image->identity, blame != NULL);
    char error[LIBRARY_ERROR_SIZE];

    if (module != NULL) {
        return module_ref(module);
    }
    module = load_image(registry, name, path, image, host, blame, error);
    if (module == NULL) {
        mistakes_add(mistakes, place, "module \"%s\": %s cannot be used: %s", name, path, error);
    }
    return module;
}

struct module *module_load_file(struct module_registry *registry, const char *path,
                                const char *name, const struct weir_host *host, struct place place,
                                struct mistakes *mistakes)
{
    struct library_image image;
    struct module *module = NULL;

    if (!library_image_read(&image, path)) {
        tell_unreadable(name, path, place, mistakes);
        return NULL;
    }
    module = get(registry, path, name, &image, host, place, mistakes);
    library_image_free(&image);
    return module;
}

static struct module *load_instead(struct module_registry *registry,
                                   const struct module_instead *instead, const char *name,
                                   const struct weir_host *host, struct place place,
                                   struct mistakes *mistakes)
{
    struct module *module = module_load_file(registry, instead->path, name, host, place, mistakes);

    if (module != NULL && memcmp(module->identity, instead->identity, 32) != 0) {
        mistakes_add(mistakes, place,
                     "module \"%s\": %s has other contents than the copy that was kept there", name,
                     instead->path);
        module_unref(&module);
    }
    return module;
}

struct module *module_load(struct module_registry *registry, const char *module_dir,
                           const char *name, const struct weir_host *host, struct place place,
                           struct mistakes *mistakes)
{
    struct module_instead instead = {NULL, {0}};
    struct library_image image;
    struct module *module = NULL;

    if (!check_name(name, place, mistakes)) {
        return NULL;
    }
    char *path = base_printf("%s/%s.so", module_dir, name);
    if (!library_image_read(&image, path)) {
        if (errno == ENOENT) {
            tell_missing(module_dir, name, path, place, mistakes);
        } else {
            tell_unreadable(name, path, place, mistakes);
        }
        free(path);
        return NULL;
    }
    if (registry->instead != NULL &&
        registry->instead(registry->instead_arg, name, image.identity, &instead)) {
        module = load_instead(registry, &instead, name, host, place, mistakes);
    } else {
        module = get(registry, path, name, &image, host, place, mistakes);
    }
    free(instead.path);
    library_image_free(&image);
    free(path);
    return module;
}

bool module_write(const struct module *module, const char *path)
{
    return library_write(module->library, path);
}

bool module_identify(const char *path, uint8_t identity[32])
{
    struct library_image image;

    if (!library_image_read(&image, path)) {
        return false;
    }
    memcpy(identity, image.identity, sizeof(image.identity));
    library_image_free(&image);
    return true;
}
