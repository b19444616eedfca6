/* SPDX-License-Identifier: MIT */
/*
 * Entity tags of bodies that filters transform. A strong tag of the server's goes out weak (RFC
 * 9110 section 8.8.3: the bytes are others), and comes back weak in If-None-Match and If-Match; the
 * server gets what it gave, or it would take no client's copy for its own: If-Match never matches a
 * weak tag (section 13.1.1), and many servers compare texts in If-None-Match, too.
 *
 * A weak tag that the server gave itself goes back as it is. Those are remembered, a few thousand a
 * pool, the newest ones: servers give one kind or the other.
 */
#ifndef PROXY_POOL_ETAGS_H
#define PROXY_POOL_ETAGS_H

#include "base/arena.h"

/* Weak tags that a pool's servers gave. Any thread; what is forgotten costs a client's copy at
 * most. */
struct etags;

/* Those of a place that begins as NULL, made now if need be; NULL: no memory. Any thread. */
struct etags *etags_of(struct etags *_Atomic *place);
void etags_free(struct etags *_Atomic *place);

/* `tag` without W/, with its quotes. `etags` NULL: none is known, and none is kept. */
void etags_note(struct etags *etags, struct weir_str tag);
void etags_forget(struct etags *etags, struct weir_str tag);
bool etags_know(const struct etags *etags, struct weir_str tag);

/* Tags that were weak in a request and are not any more, in its arena. */
struct etag_list {
    struct etag_list *next;
    struct weir_str tag;
};

/* A list of tags as the client sent it, to one as the server gave them; *restored gets those that
 * changed in front. What is no list of tags (`*`, what is malformed) stays as it is, and so does
 * all without memory. */
struct weir_str etags_restore(const struct etags *etags, struct weir_str list, struct arena *arena,
                              struct etag_list **restored);

/* Splits W/"tag"; false: it is no weak tag. */
bool etag_is_weak(struct weir_str text, struct weir_str *tag);
/* "tag" as W/"tag"; .ptr NULL: no memory. */
struct weir_str etag_weaken(struct weir_str tag, struct arena *arena);

#endif
