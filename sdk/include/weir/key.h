/* SPDX-License-Identifier: MIT */
/*
 * Keys: what of a request tells clients, or what they ask for, apart. For modules that limit, hash
 * or count by it. Pure; any thread. Compiled into the module: no ABI.
 */
#ifndef WEIR_KEY_H
#define WEIR_KEY_H

#include <weir/http.h>

WEIR_BEGIN_DECLS

enum weir_key_kind {
    WEIR_KEY_ADDRESS = 0, /**< the client's */
    WEIR_KEY_PATH = 1,    /**< normalised, without the query */
    WEIR_KEY_HEADER = 2,
    WEIR_KEY_COOKIE = 3,
    WEIR_KEY_QUERY = 4, /**< a parameter of the query */
};

struct weir_key {
    enum weir_key_kind kind;
    struct weir_str name; /**< of header, cookie or parameter */
};

/** Reads `address`, `path`, `header:NAME`, `cookie:NAME` or `query:NAME`; the name points into
 * `text`. false: it is none of these, or the name cannot be one. */
static inline bool weir_key_parse(struct weir_str text, struct weir_key *out)
{
    static const char *const words[] = {"address", "path", "header", "cookie", "query"};
    const char *colon = text.len > 0 ? (const char *)memchr(text.ptr, ':', text.len) : NULL;
    struct weir_str word = {text.ptr, colon != NULL ? (size_t)(colon - text.ptr) : text.len};

    out->name.ptr = NULL;
    out->name.len = 0;
    if (colon != NULL) {
        out->name = weir_str_skip(text, word.len + 1);
    }
    for (int i = 0; i < 5; i++) {
        if (weir_str_is(word, words[i])) {
            out->kind = (enum weir_key_kind)i;
            return i < WEIR_KEY_HEADER   ? colon == NULL
                   : i == WEIR_KEY_QUERY ? out->name.len > 0
                                         : weir_is_token(out->name);
        }
    }
    return false;
}

/** The first parameter of that name in a query `a=1&b=2`, as it stands; false: there is none,
 * `*value` untouched. */
static inline bool weir_query_parameter(struct weir_str query, struct weir_str name,
                                        struct weir_str *value)
{
    while (query.len > 0) {
        const char *end = (const char *)memchr(query.ptr, '&', query.len);
        size_t len = end != NULL ? (size_t)(end - query.ptr) : query.len;
        if (len > name.len && query.ptr[name.len] == '=' &&
            memcmp(query.ptr, name.ptr, name.len) == 0) {
            value->ptr = query.ptr + name.len + 1;
            value->len = len - name.len - 1;
            return true;
        }
        query = weir_str_skip(query, end != NULL ? len + 1 : len);
    }
    return false;
}

/** The request's key, a part of the request. IPv4 mapped into IPv6 is IPv4: a client has one
 * address. false: it has none, or an empty one. */
static inline bool weir_request_key(const struct weir_request *req, const struct weir_key *key,
                                    struct weir_str *value)
{
    value->ptr = NULL;
    value->len = 0;
    switch (key->kind) {
    case WEIR_KEY_ADDRESS:
        *value = weir_request_peer(req).address;
        if (weir_str_starts(*value, "::ffff:") && memchr(value->ptr, '.', value->len) != NULL) {
            *value = weir_str_skip(*value, 7);
        }
        break;
    case WEIR_KEY_PATH: *value = weir_request_path(req); break;
    case WEIR_KEY_HEADER: req->host->request_header(req, key->name, value); break;
    case WEIR_KEY_COOKIE: weir_request_cookie(req, key->name, value); break;
    case WEIR_KEY_QUERY:
        weir_query_parameter(weir_request_str(req, WEIR_REQUEST_QUERY), key->name, value);
        break;
    }
    return value->len > 0;
}

WEIR_END_DECLS

#endif
