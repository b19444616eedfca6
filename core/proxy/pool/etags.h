/* SPDX-License-Identifier: MIT */
/*
 * Entity tags of bodies that filters transform. A server's strong tag goes out weak (RFC 9110
 * section 8.8.3: the bytes differ) and comes back weak in If-None-Match and If-Match. The server
 * must get the tag it gave, or nothing would match: If-Match never matches a weak tag (section
 * 13.1.1), and many servers compare If-None-Match as text too.
 *
 * A weak tag of the server's own goes back unchanged. The newest few thousand per pool are
 * remembered: a server gives one kind or the other.
 */
#ifndef PROXY_POOL_ETAGS_H
#define PROXY_POOL_ETAGS_H

#include "base/arena.h"

/* Weak tags that a pool's servers gave. Any thread; a forgotten tag costs a client's cached copy at
 * most. */
struct etags;

/* The table at a place that starts as NULL, allocated on first use; NULL: out of memory. Any
 * thread. */
struct etags *etags_of(struct etags *_Atomic *place);
void etags_free(struct etags *_Atomic *place);

/* `tag` without W/, with its quotes. `etags` NULL: no tag is known, none is kept. */
void etags_note(struct etags *etags, struct weir_str tag);
void etags_forget(struct etags *etags, struct weir_str tag);
bool etags_know(const struct etags *etags, struct weir_str tag);

/* Tags of a request that were restored from weak to strong, in its arena. */
struct etag_list {
    struct etag_list *next;
    struct weir_str tag;
};

/* Turns the client's list of tags into the server's; those that changed are prepended to *restored.
 * What is not a list of tags (`*`, malformed text) stays as it is, as does everything when out of
 * memory. */
struct weir_str etags_restore(const struct etags *etags, struct weir_str list, struct arena *arena,
                              struct etag_list **restored);

/* Splits W/"tag"; false: not a weak tag. */
bool etag_is_weak(struct weir_str text, struct weir_str *tag);
/* "tag" as W/"tag"; .ptr NULL: out of memory. */
struct weir_str etag_weaken(struct weir_str tag, struct arena *arena);

#endif
