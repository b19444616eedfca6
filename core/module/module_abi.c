/* SPDX-License-Identifier: MIT */
/*
 * Descriptor checks. A module's struct is read up to the size that it gives, no further.
 */
#include "module/module_abi.h"

#include <stdarg.h>
#include <stdio.h>

#include "option/metric_table.h"
#include "option/option_table.h"

/* Whether `size` bytes of a struct reach to the end of the member. */
#define REACHES(size, type, member) ((size) >= offsetof(type, member) + sizeof(((type *)0)->member))

static bool refuse(char *error, size_t error_size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static bool refuse(char *error, size_t error_size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(error, error_size, format, args);
    va_end(args);
    return false;
}

/* Copies a struct that begins with its size; what it lacks becomes zero, what is unknown is
 * left. */
static void copy_sized(void *to, size_t to_size, const void *from)
{
    uint32_t from_size;

    memcpy(&from_size, from, sizeof(from_size));
    memset(to, 0, to_size);
    memcpy(to, from, from_size < to_size ? from_size : to_size);
}

static bool check_version(const struct weir_module *descriptor, char *error, size_t error_size)
{
    if (!REACHES(descriptor->size, struct weir_module, abi_minor)) {
        return refuse(error, error_size,
                      "its descriptor says that it has %u bytes, too few for any",
                      descriptor->size);
    }
    if (descriptor->abi_major != WEIR_ABI_MAJOR) {
        return refuse(error, error_size,
                      "it is built for ABI %u.%u, and this Weir has ABI %u.%u; build it again with "
                      "this Weir's SDK",
                      descriptor->abi_major, descriptor->abi_minor, WEIR_ABI_MAJOR, WEIR_ABI_MINOR);
    }
    if (descriptor->abi_minor > WEIR_ABI_MINOR) {
        return refuse(
            error, error_size,
            "it is built for ABI %u.%u, newer than this Weir's ABI %u.%u; use a newer Weir, "
            "or build it with this Weir's SDK",
            descriptor->abi_major, descriptor->abi_minor, WEIR_ABI_MAJOR, WEIR_ABI_MINOR);
    }
    if (!REACHES(descriptor->size, struct weir_module, summary)) {
        return refuse(error, error_size,
                      "its descriptor has %u bytes, too few for ABI %u.%u; set size to "
                      "sizeof(struct weir_module)",
                      descriptor->size, descriptor->abi_major, descriptor->abi_minor);
    }
    return true;
}

/* Copies the table of one kind, if the module has it, and makes the descriptor point to the
 * copy. */
#define TAKE_KIND(module, kind)                                                             \
    do {                                                                                    \
        if ((module)->descriptor.kind != NULL) {                                            \
            copy_sized(&(module)->kind, sizeof((module)->kind), (module)->descriptor.kind); \
            (module)->descriptor.kind = &(module)->kind;                                    \
        }                                                                                   \
    } while (0)

static void take_kinds(struct module *module)
{
    TAKE_KIND(module, router);
    TAKE_KIND(module, balancer);
    TAKE_KIND(module, sticky);
    TAKE_KIND(module, health);
    TAKE_KIND(module, filter);
    TAKE_KIND(module, handler);
    TAKE_KIND(module, logger);
    TAKE_KIND(module, store);
    TAKE_KIND(module, control);
}

static bool check_balancer(const struct weir_balancer *balancer, char *error, size_t error_size)
{
    if (balancer->slot_size > WEIR_SLOT_SIZE_MAX ||
        balancer->instance_size > WEIR_INSTANCE_SIZE_MAX) {
        return refuse(
            error, error_size,
            "its balancer wants slots of %u bytes and instances of %u, more than %u and %u",
            balancer->slot_size, balancer->instance_size, WEIR_SLOT_SIZE_MAX,
            WEIR_INSTANCE_SIZE_MAX);
    }
    return balancer->pick == NULL ||
           (balancer->cost == NULL && !(balancer->flags & WEIR_BALANCER_TURNS)) ||
           refuse(error, error_size,
                  "its balancer has both `pick` and a ranking by the host (`cost` or turns)");
}

static bool check_hooks(const struct module *module, char *error, size_t error_size)
{
    const struct weir_module *descriptor = &module->descriptor;
    const struct {
        const char *kind;
        const char *hook;
        bool lacks;
    } mandatory[] = {
        {"router", "route", descriptor->router != NULL && module->router.route == NULL},
        {"balancer", "pick` or `cost",
         descriptor->balancer != NULL && module->balancer.pick == NULL &&
             module->balancer.cost == NULL && !(module->balancer.flags & WEIR_BALANCER_TURNS)},
        {"sticky", "lookup", descriptor->sticky != NULL && module->sticky.lookup == NULL},
        {"health", "request` or `on_outcomes",
         descriptor->health != NULL && module->health.request == NULL &&
             module->health.on_outcomes == NULL},
        {"filter", "on_request` or `on_response",
         descriptor->filter != NULL && module->filter.on_request == NULL &&
             module->filter.on_response == NULL},
        {"handler", "on_request",
         descriptor->handler != NULL && module->handler.on_request == NULL},
        {"logger", "log", descriptor->logger != NULL && module->logger.log == NULL},
        {"store", "commit` and `scan",
         descriptor->store != NULL && (module->store.commit == NULL || module->store.scan == NULL)},
    };
    bool any = false;

    for (enum module_kind kind = 0; kind < MODULE_KIND_COUNT; kind++) {
        any |= module_has_kind(module, kind);
    }
    if (!any) {
        return refuse(error, error_size,
                      "it is of no kind: its descriptor has neither router nor "
                      "balancer, sticky, health, filter, handler, logger, store or control");
    }
    for (size_t i = 0; i < ARRAY_COUNT(mandatory); i++) {
        if (mandatory[i].lacks) {
            return refuse(error, error_size, "its %s lacks the mandatory hook `%s`",
                          mandatory[i].kind, mandatory[i].hook);
        }
    }
    return check_balancer(&module->balancer, error, error_size);
}

static bool is_operation(const struct weir_operation *row)
{
    static const char *const methods[] = {"GET", "POST", "PATCH", "DELETE"};
    bool known = false;

    for (size_t i = 0; row->method != NULL && i < ARRAY_COUNT(methods); i++) {
        known |= strcmp(row->method, methods[i]) == 0;
    }
    return known && row->name != NULL && row->path != NULL && row->path[0] == '/' &&
           row->document != NULL && row->run != NULL && row->role >= WEIR_ROLE_VIEWER &&
           row->role <= WEIR_ROLE_ADMIN;
}

static bool check_operations(const struct weir_control *control, char *error, size_t error_size)
{
    if (control->operation_count > 0 &&
        !REACHES(control->operation_size, struct weir_operation, run)) {
        return refuse(error, error_size, "its operations have %u bytes each, too few for any",
                      control->operation_size);
    }
    for (size_t i = 0; i < control->operation_count; i++) {
        struct weir_operation row;
        module_operation(control, i, &row);
        if (!is_operation(&row)) {
            return refuse(error, error_size,
                          "its operation %zu (%s) lacks a name, role, method, path, document or "
                          "function",
                          i + 1, row.name != NULL ? row.name : "no name");
        }
    }
    return true;
}

void module_operation(const struct weir_control *control, size_t index, struct weir_operation *out)
{
    size_t size = control->operation_size < sizeof(*out) ? control->operation_size : sizeof(*out);

    memset(out, 0, sizeof(*out));
    memcpy(out, (const char *)control->operations + index * control->operation_size, size);
}

bool module_abi_accept(struct module *module, const struct weir_module *given, char *error,
                       size_t error_size)
{
    struct weir_module *descriptor = &module->descriptor;
    char reason[OPTION_ERROR_SIZE];

    if (given == NULL) {
        return refuse(error, error_size, "its %s gives no descriptor", WEIR_MODULE_ENTRY);
    }
    if (!check_version(given, error, error_size)) {
        return false;
    }
    copy_sized(descriptor, sizeof(*descriptor), given);
    if (descriptor->name == NULL || strcmp(descriptor->name, module->name) != 0) {
        return refuse(error, error_size,
                      "it calls itself \"%s\"; file and module must have one name",
                      descriptor->name != NULL ? descriptor->name : "");
    }
    if (descriptor->version == NULL || descriptor->version[0] == '\0') {
        return refuse(error, error_size, "its descriptor has no version");
    }
    descriptor->license = descriptor->license != NULL ? descriptor->license : "";
    descriptor->summary = descriptor->summary != NULL ? descriptor->summary : "";
    take_kinds(module);
    if (!check_hooks(module, error, error_size) ||
        !check_operations(&module->control, error, error_size)) {
        return false;
    }
    if (descriptor->options != NULL &&
        !option_table_check(descriptor->options, reason, sizeof(reason))) {
        return refuse(error, error_size, "%s", reason);
    }
    return descriptor->metrics == NULL ||
           metric_table_check(descriptor->metrics, error, error_size);
}
