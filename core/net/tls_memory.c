/* SPDX-License-Identifier: MIT */
/*
 * OpenSSL's memory. Its record layer takes three notes of some forty bytes for each record that it writes and
 * one for each that it reads, and gives them back at once; each thread keeps a few of them for the next
 * record. Everything else comes from the C library, as without this.
 */
#include <malloc.h>
#include <openssl/crypto.h>
#include <stdlib.h>

#include "base/base.h"
#include "net/tls.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define BLOCKS_WATCHED true /* by the sanitizer, each of them */
#else
#define BLOCKS_WATCHED false
#endif

/* Blocks of at most so many bytes are kept, so many of each size and thread. */
#define NOTE_MAX   64u
#define NOTES_KEPT 32u

/* The C library's blocks differ in steps of this, eight bytes of each being its own; the smallest is two. */
#define STEP        16u
#define OWN         sizeof(size_t)
#define CLASS_LEAST 2u
#define CLASSES     (NOTE_MAX / STEP + 2)

struct note {
    struct note *next;
};

/* Of one class: each block has room for all sizes of it. */
struct notes {
    struct note *first;
    unsigned count;
};

static _Thread_local struct notes kept[CLASSES];

static void *take(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    if (size == 0) {
        return NULL;
    }
    size_t class = (size + OWN + STEP - 1) / STEP;
    class = class > CLASS_LEAST ? class : CLASS_LEAST;
    if (class < CLASSES && kept[class].first != NULL) {
        struct note *note = kept[class].first;
        kept[class].first = note->next;
        kept[class].count--;
        return note;
    }
    return malloc(size);
}

static void give(void *block, const char *file, int line)
{
    (void)file;
    (void)line;
    if (block == NULL) {
        return;
    }
    /* Rounded down: another allocator than the C library's may have other steps. */
    size_t class = (malloc_usable_size(block) + OWN) / STEP;
    if (class < CLASS_LEAST || class >= CLASSES || kept[class].count >= NOTES_KEPT) {
        free(block);
        return;
    }
    struct note *note = block;
    note->next = kept[class].first;
    kept[class].first = note;
    kept[class].count++;
}

static void *resize(void *block, size_t size, const char *file, int line)
{
    if (block == NULL) {
        return take(size, file, line);
    }
    if (size == 0) {
        give(block, file, line);
        return NULL;
    }
    return realloc(block, size);
}

void tls_memory_init(void)
{
    if (!BLOCKS_WATCHED) {
        CRYPTO_set_mem_functions(take, resize, give);
    }
}
