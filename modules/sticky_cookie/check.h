/* SPDX-License-Identifier: MIT */
/*
 * The options of the cookie, and what the option table cannot check of them.
 */
#ifndef STICKY_COOKIE_CHECK_H
#define STICKY_COOKIE_CHECK_H

#include <weir/option.h>

#define NAME_MAX_LEN   128
#define PATH_MAX_LEN   512
#define DOMAIN_MAX_LEN 253

enum same_site { SAME_SITE_LAX, SAME_SITE_STRICT, SAME_SITE_NONE };
enum secure { SECURE_AUTO, SECURE_ALWAYS, SECURE_NEVER };

struct conf {
    struct weir_str name;
    struct weir_str path;
    struct weir_str domain;
    uint64_t ttl;
    int32_t same_site;
    int32_t secure;
    bool http_only;
    bool hide;
};

/* Tells all mistakes; where there is none, browsers take the cookie, and names and attributes
 * are within the lengths above. */
void check_conf(struct weir_context *ctx, struct weir_check *check, const struct conf *conf);

#endif
