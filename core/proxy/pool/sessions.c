/* SPDX-License-Identifier: MIT */
/*
 * Counting sessions. See sessions.h.
 */
#include "proxy/pool/sessions.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "proxy/pool/server.h"

#define WORDS 256u
#define BITS  (WORDS * 64u)

/* The longest list that is searched linearly. */
#define FEW 28u

struct bitmap {
    _Atomic uint64_t words[WORDS];
};

/* The sessions of one slice of time. `number` counts slices since the clock began, plus 1; 0: being
 * cleared. */
struct slice {
    _Atomic uint64_t number;
    struct bitmap *_Atomic bitmap; /* NULL: the marks are in `few`; once allocated, it stays */
    _Atomic uint32_t few_count;
    _Atomic uint16_t few[FEW];
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

/* MurmurHash3's finaliser: modules may number sessions as they like. */
static uint64_t spread(uint64_t key)
{
    key = (key ^ key >> 33) * UINT64_C(0xff51afd7ed558ccd);
    key = (key ^ key >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return key ^ key >> 33;
}

static void slice_begin(struct slice *slice, uint64_t number)
{
    struct bitmap *bitmap = atomic_load_explicit(&slice->bitmap, memory_order_relaxed);

    store(&slice->number, 0);
    atomic_store_explicit(&slice->few_count, 0, memory_order_relaxed);
    for (unsigned i = 0; bitmap != NULL && i < WORDS; i++) {
        store(&bitmap->words[i], 0);
    }
    atomic_store_explicit(&slice->number, number, memory_order_release);
}

static void bitmap_mark(struct bitmap *bitmap, uint64_t bit)
{
    _Atomic uint64_t *word = &bitmap->words[bit / 64];
    uint64_t value = load(word), with = value | UINT64_C(1) << bit % 64;

    if (with != value) {
        store(word, with); /* no other thread writes it */
    }
}

static uint16_t few_at(const struct slice *slice, uint32_t i)
{
    return atomic_load_explicit(&slice->few[i], memory_order_relaxed);
}

/* false: the list is full. */
static bool few_mark(struct slice *slice, uint64_t bit)
{
    uint32_t count = atomic_load_explicit(&slice->few_count, memory_order_relaxed);

    for (uint32_t i = 0; i < count; i++) {
        if (few_at(slice, i) == bit) {
            return true;
        }
    }
    if (count == FEW) {
        return false;
    }
    atomic_store_explicit(&slice->few[count], (uint16_t)bit, memory_order_relaxed);
    atomic_store_explicit(&slice->few_count, count + 1, memory_order_release);
    return true;
}

/* Moves the list's marks to a bitmap. Out of memory: the list stays, and marks beyond it are not
 * counted. */
static void slice_widen(struct slice *slice, uint64_t bit)
{
    struct bitmap *bitmap = calloc(1, sizeof(*bitmap));

    if (bitmap == NULL) {
        return;
    }
    for (uint32_t i = 0; i < FEW; i++) {
        bitmap_mark(bitmap, few_at(slice, i));
    }
    bitmap_mark(bitmap, bit);
    atomic_store_explicit(&slice->bitmap, bitmap, memory_order_release);
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
    struct bitmap *bitmap = atomic_load_explicit(&slice->bitmap, memory_order_relaxed);
    if (bitmap != NULL) {
        bitmap_mark(bitmap, bit);
    } else if (!few_mark(slice, bit)) {
        slice_widen(slice, bit);
    }
}

void sessions_free(struct session_marks *marks)
{
    for (unsigned i = 0; marks != NULL && i < SESSIONS_SLICES; i++) {
        free(marks->slices[i].bitmap);
    }
    free(marks);
}

/* Adds the marks of recent slices. */
static void add_marks(uint64_t all[WORDS], const struct session_marks *marks, uint64_t number)
{
    for (unsigned i = 0; i < SESSIONS_SLICES; i++) {
        const struct slice *slice = &marks->slices[i];
        uint64_t of = atomic_load_explicit(&slice->number, memory_order_acquire);
        if (of == 0 || of > number || number - of >= SESSIONS_SLICES) {
            continue;
        }
        const struct bitmap *bitmap = atomic_load_explicit(&slice->bitmap, memory_order_acquire);
        for (unsigned k = 0; bitmap != NULL && k < WORDS; k++) {
            all[k] |= load(&bitmap->words[k]);
        }
        uint32_t few = atomic_load_explicit(&slice->few_count, memory_order_acquire);
        for (uint32_t k = 0; bitmap == NULL && k < few; k++) {
            all[few_at(slice, k) / 64] |= UINT64_C(1) << few_at(slice, k) % 64;
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
        marked--; /* more than can be estimated */
    }
    return (uint64_t)llround(-(double)BITS * log1p(-(double)marked / BITS));
}
