/* SPDX-License-Identifier: MIT */
/*
 * The descriptor: what Weir refuses before it runs a module's code.
 */
#include "fake.h"

#include "option/metric_table.h"
#include "option/option_table.h"

/* What a descriptor, a kind and a hook must at least reach to. */
#define REACHES(size, type, member) ((size) >= offsetof(type, member) + sizeof(((type *)0)->member))

static bool refuse(char *error, size_t error_size, const char *format, ...) WEIR_PRINTF(3, 4);
static bool refuse(char *error, size_t error_size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(error, error_size, format, args);
    va_end(args);
    return false;
}

void fake_copy_sized(void *to, size_t size, const void *from)
{
    uint32_t there;
    memcpy(&there, from, sizeof(there));
    memset(to, 0, size);
    memcpy(to, from, there < size ? there : size);
}

static bool name_is_legal(const char *name)
{
    size_t len = name != NULL ? strlen(name) : 0;
    if (len == 0 || len > 63) {
        return false;
    }
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == len;
}

static bool check_abi(const struct weir_module *module, char *error, size_t error_size)
{
    if (module == NULL) {
        return refuse(error, error_size, "weir_module_entry returned no descriptor");
    }
    if (!REACHES(module->size, struct weir_module, abi_minor)) {
        return refuse(error, error_size,
                      "the descriptor says that it has %u bytes, too few for any", module->size);
    }
    if (module->abi_major != WEIR_ABI_MAJOR || module->abi_minor > WEIR_ABI_MINOR) {
        return refuse(
            error, error_size,
            "built for ABI %u.%u; this Weir has ABI %u.%u, and takes modules from %u.0 on",
            module->abi_major, module->abi_minor, WEIR_ABI_MAJOR, WEIR_ABI_MINOR, WEIR_ABI_MAJOR);
    }
    if (!REACHES(module->size, struct weir_module, summary)) {
        return refuse(error, error_size, "the descriptor has %u bytes, too few for its ABI",
                      module->size);
    }
    return true;
}

/* Whether the copied table of a kind has the hook that the kind cannot be without. */
#define HAS_HOOK(to, from, hook) \
    ((from) == NULL || (fake_copy_sized(&(to), sizeof(to), (from)), (to).hook != NULL))

static bool check_hooks(const struct weir_module *module, char *error, size_t error_size)
{
    union {
        struct weir_router router;
        struct weir_balancer balancer;
        struct weir_sticky sticky;
        struct weir_health health;
        struct weir_filter filter;
        struct weir_handler handler;
        struct weir_logger logger;
        struct weir_store store;
    } copy;
    const char *missing = NULL;

    if (!HAS_HOOK(copy.router, module->router, route)) {
        missing = "router lacks its mandatory hook `route`";
    } else if (!HAS_HOOK(copy.balancer, module->balancer, pick) && copy.balancer.cost == NULL &&
               !(copy.balancer.flags & WEIR_BALANCER_TURNS)) {
        missing = "balancer lacks its mandatory hook `pick` or `cost`";
    } else if (module->balancer != NULL && copy.balancer.pick != NULL &&
               (copy.balancer.cost != NULL || (copy.balancer.flags & WEIR_BALANCER_TURNS))) {
        missing = "balancer has both `pick` and a ranking by the host (`cost` or turns)";
    } else if (module->balancer != NULL && (copy.balancer.slot_size > WEIR_SLOT_SIZE_MAX ||
                                            copy.balancer.instance_size > WEIR_INSTANCE_SIZE_MAX)) {
        missing = "balancer's slot_size or instance_size is above what Weir gives";
    } else if (!HAS_HOOK(copy.sticky, module->sticky, lookup)) {
        missing = "sticky lacks its mandatory hook `lookup`";
    } else if (!HAS_HOOK(copy.health, module->health, request) &&
               !HAS_HOOK(copy.health, module->health, on_outcomes)) {
        missing = "health has neither `request` nor `on_outcomes`";
    } else if (!HAS_HOOK(copy.filter, module->filter, on_request) &&
               copy.filter.on_response == NULL) {
        missing = "filter has neither `on_request` nor `on_response`";
    } else if (!HAS_HOOK(copy.handler, module->handler, on_request)) {
        missing = "handler lacks its mandatory hook `on_request`";
    } else if (!HAS_HOOK(copy.logger, module->logger, log)) {
        missing = "logger lacks its mandatory hook `log`";
    } else if (!HAS_HOOK(copy.store, module->store, commit) ||
               (module->store != NULL && copy.store.scan == NULL)) {
        missing = "store lacks a mandatory hook (`commit`, `scan`)";
    }
    return missing == NULL || refuse(error, error_size, "%s: its %s", module->name, missing);
}

bool weir_test_validate(const struct weir_module *module, char *error, size_t error_size)
{
    struct weir_module copy;
    char reason[OPTION_ERROR_SIZE];

    if (!check_abi(module, error, error_size)) {
        return false;
    }
    fake_copy_sized(&copy, sizeof(copy), module);
    if (!name_is_legal(copy.name)) {
        return refuse(error, error_size,
                      "its name is not made of lower-case letters, digits and _ (at most 63)");
    }
    if (copy.version == NULL || copy.version[0] == '\0') {
        return refuse(error, error_size, "%s: it has no version", copy.name);
    }
    if (copy.router == NULL && copy.balancer == NULL && copy.sticky == NULL &&
        copy.health == NULL && copy.filter == NULL && copy.handler == NULL && copy.logger == NULL &&
        copy.store == NULL && copy.control == NULL) {
        return refuse(error, error_size, "%s: it is of no kind (router, balancer, ...)", copy.name);
    }
    if (!check_hooks(&copy, error, error_size)) {
        return false;
    }
    if (copy.options != NULL && !option_table_check(copy.options, reason, sizeof(reason))) {
        return refuse(error, error_size, "%s: %s", copy.name, reason);
    }
    if (copy.metrics != NULL && !metric_table_check(copy.metrics, reason, sizeof(reason))) {
        return refuse(error, error_size, "%s: %s", copy.name, reason);
    }
    return true;
}

#define FILL_KIND(host, index, member, label, where)                                             \
    do {                                                                                         \
        if ((host)->module.member != NULL) {                                                     \
            fake_copy_sized(&(host)->member, sizeof((host)->member), (host)->module.member);     \
            (host)->kinds[index] = (struct fake_kind){label, where, true, (host)->member.create, \
                                                      (host)->member.destroy};                   \
        }                                                                                        \
    } while (0)

void fake_kinds_fill(struct weir_test *host)
{
    FILL_KIND(host, WEIR_TEST_ROUTER, router, "the router instance", WEIR_CONTEXT_MODULE);
    FILL_KIND(host, WEIR_TEST_BALANCER, balancer, "the balancer instance", WEIR_CONTEXT_POOL);
    FILL_KIND(host, WEIR_TEST_STICKY, sticky, "the sticky instance", WEIR_CONTEXT_POOL);
    FILL_KIND(host, WEIR_TEST_HEALTH, health, "the health instance", WEIR_CONTEXT_POOL);
    FILL_KIND(host, WEIR_TEST_FILTER, filter, "the filter instance", WEIR_CONTEXT_POOL);
    FILL_KIND(host, WEIR_TEST_HANDLER, handler, "the handler instance", WEIR_CONTEXT_LISTENER);
    FILL_KIND(host, WEIR_TEST_LOGGER, logger, "the logger instance", WEIR_CONTEXT_MODULE);
    FILL_KIND(host, WEIR_TEST_STORE, store, "the store instance", WEIR_CONTEXT_MODULE);
    if (host->module.control != NULL) {
        fake_copy_sized(&host->control_kind, sizeof(host->control_kind), host->module.control);
        host->kinds[WEIR_TEST_CONTROL] =
            (struct fake_kind){"the control instance", WEIR_CONTEXT_MODULE, true,
                               host->control_kind.create, host->control_kind.destroy};
    }
}
