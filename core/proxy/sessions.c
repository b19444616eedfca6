/* SPDX-License-Identifier: MIT */
/*
 * Counting sessions. See sessions.h.
 */
#include "proxy/sessions.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "proxy/server.h"

#define WORDS 256u
#define BITS  (WORDS * 64u)

/* The sessions of one slice of time. `number` is that slice's since the clock began, plus 1; 0: it is being
 * cleared. */
struct slice {
    _Atomic uint64_t number;
    _Atomic uint64_t words[WORDS];
};

struct session_marks {
    struct slice slices[SESSIONS_SLICES];
};

static uint64_t load(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static void store(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed);
}

/* The finaliser of MurmurHash3: modules may number their sessions as they like. */
static uint64_t spread(uint64_t key)
{
    key = (key ^ key >> 33) * UINT64_C(0xff51afd7ed558ccd);
    key = (key ^ key >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return key ^ key >> 33;
}

static void slice_begin(struct slice *slice, uint64_t number)
{
    store(&slice->number, 0);
    for (unsigned i = 0; i < WORDS; i++) {
        store(&slice->words[i], 0);
    }
    atomic_store_explicit(&slice->number, number, memory_order_release);
}

void sessions_note(struct session_marks *_Atomic *marks, uint64_t session, uint64_t now_ns)
{
    struct session_marks *mine = atomic_load_explicit(marks, memory_order_relaxed);

    if (unlikely(mine == NULL)) {
        mine = calloc(1, sizeof(*mine));
        if (mine == NULL) {
            return;
        }
        atomic_store_explicit(marks, mine, memory_order_release);
    }
    uint64_t number = now_ns / SESSIONS_SLICE_NS + 1;
    struct slice *slice = &mine->slices[number % SESSIONS_SLICES];
    if (unlikely(load(&slice->number) != number)) {
        slice_begin(slice, number);
    }
    uint64_t bit = spread(session) % BITS;
    _Atomic uint64_t *word = &slice->words[bit / 64];
    uint64_t value = load(word), with = value | UINT64_C(1) << bit % 64;
    if (with != value) {
        store(word, with); /* no other thread writes it */
    }
}

/* Adds the marks of the slices that are not too old. */
static void add_marks(uint64_t all[WORDS], const struct session_marks *marks, uint64_t number)
{
    for (unsigned i = 0; i < SESSIONS_SLICES; i++) {
        const struct slice *slice = &marks->slices[i];
        uint64_t of = atomic_load_explicit(&slice->number, memory_order_acquire);
        if (of == 0 || of > number || number - of >= SESSIONS_SLICES) {
            continue;
        }
        for (unsigned k = 0; k < WORDS; k++) {
            all[k] |= load(&slice->words[k]);
        }
    }
}

uint64_t sessions_count(const struct server *server, uint64_t now_ns)
{
    uint64_t all[WORDS] = {0};
    unsigned marked = 0;

    for (unsigned i = 0; i < server->loops; i++) {
        const struct session_marks *marks =
            atomic_load_explicit(&server->locals[i].sessions, memory_order_acquire);
        if (marks != NULL) {
            add_marks(all, marks, now_ns / SESSIONS_SLICE_NS + 1);
        }
    }
    for (unsigned k = 0; k < WORDS; k++) {
        marked += (unsigned)__builtin_popcountll(all[k]);
    }
    if (marked == BITS) {
        marked--; /* more than can be told */
    }
    return (uint64_t)llround(-(double)BITS * log1p(-(double)marked / BITS));
}
