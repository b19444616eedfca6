/* SPDX-License-Identifier: MIT */
/*
 * Services of a module's conf_create: reporting mistakes and resolving names. Control thread.
 */
#ifndef MODULE_CHECK_H
#define MODULE_CHECK_H

#include <weir/host.h>

#include "conf/conf.h"

/* The creator fills it; lives for one call of conf_create. */
struct weir_check {
    struct mistakes *mistakes;
    const struct conf_places *places; /* NULL: every mistake is at block_place */
    struct place block_place;         /* of the block that names the module */

    /* The pool of that name; WEIR_NO_REF: there is none. */
    weir_pool_ref (*find_pool)(void *arg, struct weir_str name);
    /* The pool's name that `name` was meant to be; NULL: none is near. NULL itself: no
     * suggestions. */
    const char *(*suggest_pool)(void *arg, struct weir_str name);
    /* Makes a route known; `field` is the module's, in the route's block. WEIR_NO_REF: there is
     * one of that name, made known at `*first`. `name` lives as long as the configuration's
     * generation. */
    weir_route_ref (*add_route)(void *arg, const void *field, struct weir_str name,
                                struct place place, struct place *first);
    /* A log file, named at `place`. false: `error` says why it cannot be opened. */
    bool (*add_file)(void *arg, struct weir_str path, struct place place, char *error,
                     size_t error_size);
    void *arg;
    const struct weir_listener *listener; /* in whose block the module is named; NULL: in none */
};

/* The services of the host's table. */
void check_error(struct weir_check *check, const void *field, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));
weir_pool_ref check_pool(struct weir_check *check, const struct weir_str *name);
weir_route_ref check_route(struct weir_check *check, const void *field, struct weir_str name);
bool check_file(struct weir_check *check, const struct weir_str *path);
bool check_listener(struct weir_check *check, struct weir_listener *out);

#endif
