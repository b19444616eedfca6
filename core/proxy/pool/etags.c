/* SPDX-License-Identifier: MIT */
/*
 * Entity tags that are weakened on the way out and restored on the way back. See etags.h.
 */
#include "proxy/pool/etags.h"

#include <stdatomic.h>
#include <stdlib.h>

/* Hash table of pairs, the newer tag first. A power of 2. */
#define ETAGS 16384u

struct etags {
    _Atomic uint64_t hashes[ETAGS]; /* 0: nothing */
};

/* ---- what is remembered ---- */

struct etags *etags_of(struct etags *_Atomic *place)
{
    struct etags *etags = atomic_load(place);
    struct etags *made = NULL;

    if (etags == NULL && (made = calloc(1, sizeof(*made))) != NULL) {
        if (atomic_compare_exchange_strong(place, &etags, made)) {
            return made;
        }
        free(made); /* another loop was faster: `etags` is now its table */
    }
    return etags;
}

void etags_free(struct etags *_Atomic *place)
{
    free(atomic_exchange(place, NULL));
}

/* FNV-1a; never 0. */
static uint64_t hash_of(struct weir_str tag)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < tag.len; i++) {
        hash = (hash ^ (unsigned char)tag.ptr[i]) * UINT64_C(0x100000001b3);
    }
    return hash != 0 ? hash : 1;
}

static size_t pair_of(uint64_t hash)
{
    return (size_t)(hash >> 32) & (ETAGS - 2);
}

static uint64_t look(const struct etags *etags, size_t at)
{
    return atomic_load_explicit(&etags->hashes[at], memory_order_relaxed);
}

static void put(struct etags *etags, size_t at, uint64_t hash)
{
    atomic_store_explicit(&etags->hashes[at], hash, memory_order_relaxed);
}

bool etags_know(const struct etags *etags, struct weir_str tag)
{
    uint64_t hash = hash_of(tag);
    size_t at = pair_of(hash);
    return etags != NULL && (look(etags, at) == hash || look(etags, at + 1) == hash);
}

void etags_note(struct etags *etags, struct weir_str tag)
{
    uint64_t hash = hash_of(tag);
    size_t at = pair_of(hash);

    if (etags != NULL && !etags_know(etags, tag)) {
        put(etags, at + 1, look(etags, at));
        put(etags, at, hash);
    }
}

void etags_forget(struct etags *etags, struct weir_str tag)
{
    uint64_t hash = hash_of(tag);
    size_t at = pair_of(hash);

    for (size_t i = at; etags != NULL && i < at + 2; i++) {
        if (look(etags, i) == hash) {
            put(etags, i, 0);
        }
    }
}

/* ---- tags ---- */

/* The length of "tag" at the beginning, quotes included; 0: there is none. A tag has no escapes,
 * and may have commas (RFC 9110 section 8.8.3). */
static size_t opaque_len(struct weir_str text)
{
    const char *end = NULL;
    if (text.len >= 2 && text.ptr[0] == '"') {
        end = memchr(text.ptr + 1, '"', text.len - 1);
    }
    return end != NULL ? (size_t)(end - text.ptr) + 1 : 0;
}

static struct weir_str behind(struct weir_str text, size_t len)
{
    return (struct weir_str){text.ptr + len, text.len - len};
}

/* W is upper case (RFC 9110 section 8.8.3). */
static bool begins_weak(struct weir_str text)
{
    return text.len > 2 && text.ptr[0] == 'W' && text.ptr[1] == '/';
}

bool etag_is_weak(struct weir_str text, struct weir_str *tag)
{
    if (!begins_weak(text)) {
        return false;
    }
    *tag = behind(text, 2);
    return opaque_len(*tag) == tag->len && tag->len > 0;
}

struct weir_str etag_weaken(struct weir_str tag, struct arena *arena)
{
    return arena_printf(arena, "W/%.*s", STR_ARGS(tag));
}

static bool is_separator(char c)
{
    return c == ',' || c == ' ' || c == '\t';
}

struct weir_str etags_restore(const struct etags *etags, struct weir_str list, struct arena *arena,
                              struct etag_list **restored)
{
    struct etag_list *first = *restored;
    struct weir_str rest = list;
    char *out = list.len > 0 ? arena_bytes(arena, list.len) : NULL;
    size_t len = 0;

    while (out != NULL && rest.len > 0) {
        bool weak = begins_weak(rest);
        struct weir_str tag = weak ? behind(rest, 2) : rest;
        size_t size = is_separator(rest.ptr[0]) ? 1 : opaque_len(tag);
        tag.len = size;
        if (size == 0) {
            return list; /* no tag */
        }
        if (weak && !etags_know(etags, tag)) {
            struct etag_list *entry = arena_alloc(arena, sizeof(*entry));
            if (entry == NULL) {
                return list;
            }
            *entry = (struct etag_list){first, tag};
            first = entry;
            rest = behind(rest, 2);
            weak = false;
        }
        size += weak ? 2 : 0;
        memcpy(out + len, rest.ptr, size);
        len += size;
        rest = behind(rest, size);
    }
    if (first == *restored) {
        return list;
    }
    *restored = first;
    return (struct weir_str){out, len};
}
