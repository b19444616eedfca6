/* SPDX-License-Identifier: MIT */
/*
 * Checks the cookie's options: browsers drop a cookie that they do not like without a word, so the
 * operator is to hear it here.
 */
#include "check.h"

#include <weir/host.h>
#include <weir/text.h>

/* Names that browsers take only with certain attributes (RFC 6265bis section 4.1.3): others
 * would be dropped without a word. */
static void check_prefix(struct weir_context *ctx, struct weir_check *check,
                         const struct conf *conf)
{
    bool host = weir_str_starts(conf->name, "__Host-");
    if (!host && !weir_str_starts(conf->name, "__Secure-")) {
        return;
    }
    if (conf->secure == SECURE_NEVER) {
        weir_check_error(ctx, check, &conf->secure,
                         "browsers refuse \"%.*s\" without secure: leave out secure = never, or "
                         "choose another name",
                         (int)conf->name.len, conf->name.ptr);
    }
    if (host && (conf->domain.len > 0 || !weir_str_is(conf->path, "/"))) {
        weir_check_error(ctx, check, &conf->name,
                         "browsers refuse \"%.*s\" with a domain or a path other than \"/\": leave "
                         "them out, or choose another name",
                         (int)conf->name.len, conf->name.ptr);
    }
}

static void check_name(struct weir_context *ctx, struct weir_check *check, const struct conf *conf)
{
    if (!weir_is_token(conf->name) || conf->name.len > NAME_MAX_LEN) {
        weir_check_error(ctx, check, &conf->name,
                         "\"%.*s\" is no name for a cookie: 1 to %d letters, digits, \"-\", \"_\" "
                         "or \".\"",
                         (int)conf->name.len, conf->name.ptr, NAME_MAX_LEN);
    }
    check_prefix(ctx, check, conf);
}

static void check_scope(struct weir_context *ctx, struct weir_check *check, const struct conf *conf)
{
    bool good = conf->path.len > 0 && conf->path.len <= PATH_MAX_LEN && conf->path.ptr[0] == '/';
    for (size_t i = 0; good && i < conf->path.len; i++) {
        good = conf->path.ptr[i] > 0x20 && conf->path.ptr[i] < 0x7f && conf->path.ptr[i] != ';';
    }
    if (!good) {
        weir_check_error(ctx, check, &conf->path,
                         "\"%.*s\" is no path for a cookie: it begins with \"/\", and has neither "
                         "spaces nor \";\"",
                         (int)conf->path.len, conf->path.ptr);
    }
    good = conf->domain.len <= DOMAIN_MAX_LEN;
    for (size_t i = 0; good && i < conf->domain.len; i++) {
        good = weir_is_one_of(conf->domain.ptr[i], "-.");
    }
    if (!good) {
        weir_check_error(ctx, check, &conf->domain,
                         "\"%.*s\" is no domain: a name such as \"shop.example\", without port",
                         (int)conf->domain.len, conf->domain.ptr);
    }
}

void check_conf(struct weir_context *ctx, struct weir_check *check, const struct conf *conf)
{
    check_name(ctx, check, conf);
    check_scope(ctx, check, conf);
    if (conf->ttl > 0 && conf->ttl < UINT64_C(1000000000)) {
        weir_check_error(ctx, check, &conf->ttl,
                         "a cookie lives for whole seconds: at least 1s, or 0 for as long as the "
                         "browser is open");
    }
    if (conf->same_site == SAME_SITE_NONE && conf->secure == SECURE_NEVER) {
        weir_check_error(ctx, check, &conf->secure,
                         "browsers refuse same_site = none without secure: leave out secure = "
                         "never, or choose same_site = lax");
    }
}
