/* SPDX-License-Identifier: MIT */
/*
 * Checking services.
 */
#include "module/check.h"

/* The place of a field for messages: its own, its block's, or that of the block being checked. */
static struct place place_of(const struct weir_check *check, const void *field)
{
    struct place place = conf_place_of(check->places, field);
    return place.file != NULL ? place : check->block_place;
}

void check_error(struct weir_check *check, const void *field, const char *format, va_list args)
{
    mistakes_vadd(check->mistakes, place_of(check, field), format, args);
}

static void tell(struct weir_check *check, const void *field, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void tell(struct weir_check *check, const void *field, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    check_error(check, field, format, args);
    va_end(args);
}

weir_pool_ref check_pool(struct weir_check *check, const struct weir_str *name)
{
    weir_pool_ref pool = check->find_pool(check->arg, *name);

    if (pool != WEIR_NO_REF) {
        return pool;
    }
    const char *meant = check->suggest_pool != NULL ? check->suggest_pool(check->arg, *name) : NULL;
    if (meant != NULL) {
        tell(check, name, "there is no pool \"%.*s\"; did you mean \"%s\"?", STR_ARGS(*name),
             meant);
    } else {
        tell(check, name, "there is no pool \"%.*s\"; add: pool \"%.*s\" { ... }", STR_ARGS(*name),
             STR_ARGS(*name));
    }
    return WEIR_NO_REF;
}

weir_route_ref check_route(struct weir_check *check, const void *field, struct weir_str name)
{
    struct place first = {NULL, 0};
    weir_route_ref route =
        check->add_route(check->arg, field, name, place_of(check, field), &first);

    if (route == WEIR_NO_REF) {
        if (first.file != NULL) {
            tell(check, field,
                 "there is a route \"%.*s\" already, in %s:%u; each needs its own name",
                 STR_ARGS(name), first.file, first.line);
        } else {
            tell(check, field, "there is a route \"%.*s\" already; each needs its own name",
                 STR_ARGS(name));
        }
    }
    return route;
}

bool check_file(struct weir_check *check, const struct weir_str *path)
{
    char error[512];

    if (check->add_file == NULL ||
        check->add_file(check->arg, *path, place_of(check, path), error, sizeof(error))) {
        return true;
    }
    tell(check, path, "%s", error);
    return false;
}

bool check_listener(struct weir_check *check, struct weir_listener *out)
{
    if (check->listener != NULL) {
        *out = *check->listener;
    }
    return check->listener != NULL;
}
