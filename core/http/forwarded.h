/* SPDX-License-Identifier: MIT */
/*
 * What proxies say about clients: the elements of Forwarded (RFC 7239) and X-Forwarded-For, and
 * their addresses. Parsing only; trust is decided elsewhere.
 */
#ifndef HTTP_FORWARDED_H
#define HTTP_FORWARDED_H

#include "base/arena.h"
#include "net/address.h"

/* One element of Forwarded: what one proxy saw. Slices of the field's value, without quotes;
 * escapes in them are left as they are (no address or scheme needs one). Empty: absent. */
struct forwarded_element {
    struct weir_str node; /* for= */
    struct weir_str proto;
};

enum forwarded_result {
    FORWARDED_ELEMENT,
    FORWARDED_END,
    FORWARDED_BAD, /* violates RFC 7239 section 4 */
};

/* The next element of the list; advances `*rest`. */
enum forwarded_result forwarded_next(struct weir_str *rest, struct forwarded_element *element);

/* The address of a node: 192.0.2.1, 192.0.2.1:80, [2001:db8::1], [2001:db8::1]:80; also
 * 2001:db8::1, as X-Forwarded-For has it. A port that is a name (_p) counts as 0. false: `unknown`,
 * an obfuscated name, or malformed. */
bool forwarded_node_address(struct weir_str node, struct address *address);

/* `for=...;proto=...;host=...` for a client; values are quoted where the grammar requires it.
 * `host` may be empty. .ptr NULL: out of memory. */
struct weir_str forwarded_make(struct arena *arena, const struct address *client,
                               struct weir_str proto, struct weir_str host);

#endif
