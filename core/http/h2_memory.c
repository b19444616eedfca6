/* SPDX-License-Identifier: MIT */
/*
 * What both sides of HTTP/2 have in common: memory of sessions. See h2.h.
 */
#include <stdlib.h>

#include "http/h2_parts.h"

/*
 * nghttp2's memory comes from the loop's lists of free blocks. Three allocations of a session are
 * special; nghttp2 is known by their sizes and order, and a version with others would merely take
 * more memory.
 *
 * The buffer of 16 KiB for frames on their way out holds something only while frames are taken out
 * (h2_send_frames), which goes on until there are none, and a client's preface, which is taken out
 * at once (h2_begin); so all sessions of a loop have the same one.
 *
 * The table of streams is all zero while there are none, and goes back to the kernel when the
 * connection is quiet. The first ring, of the encoder's dynamic table, is never touched, as we have
 * no such table. Both are in pages of their own (base/cold.h).
 */
#define FRAME_BUFFER_SIZE (9u + 1u + 16384u)
#define MAP_SIZE          COLD_PAGE
#define RING_SIZE         1024u
#define SLABS_KEPT        (1024u * 1024)

struct h2_cold {
    char map[MAP_SIZE];
    char ring[RING_SIZE];
};
#define COLD_PAGES ((sizeof(struct h2_cold) + COLD_PAGE - 1) / COLD_PAGE)

/* The session's cold pages; NULL: it has none. */
static struct h2_cold *cold_of(struct h2 *h2)
{
    if (h2->cold == NULL) {
        h2->cold = cold_take(&h2->home->cold);
    }
    return h2->cold;
}

static bool is_cold(const struct h2 *h2, const char *piece)
{
    return h2->cold != NULL && (piece == h2->cold->map || piece == h2->cold->ring);
}

static void *h2_take(size_t size, void *user)
{
    struct h2 *h2 = user;

    if (size == FRAME_BUFFER_SIZE && !h2->frame_lent) {
        h2->frame_lent = true;
        return h2->home->frame;
    }
    if (size == RING_SIZE && !h2->ring_lent && cold_of(h2) != NULL) {
        h2->ring_lent = true;
        return h2->cold->ring;
    }
    return slabs_take(&h2->home->slabs, size);
}

static void h2_give(void *piece, void *user)
{
    struct h2 *h2 = user;

    if (piece == h2->home->frame && piece != NULL) {
        h2->frame_lent = false;
    } else if (!is_cold(h2, piece)) { /* else until h2_give_memory */
        slabs_give(&h2->home->slabs, piece);
    }
}

static void *h2_zeroed(size_t count, size_t size, void *user)
{
    struct h2 *h2 = user;

    if (size > 0 && count > SIZE_MAX / size) {
        return NULL;
    }
    if (count * size == MAP_SIZE && !h2->map_lent && cold_of(h2) != NULL) {
        h2->map_lent = true;
        return h2->cold->map;
    }
    void *piece = h2_take(count * size, user);
    if (piece != NULL) {
        memset(piece, 0, count * size);
    }
    return piece;
}

static void *h2_resize(void *piece, size_t size, void *user)
{
    struct h2 *h2 = user;

    if (piece == NULL) {
        return h2_take(size, user);
    }
    ASSERT(piece != h2->home->frame);
    if (!is_cold(h2, piece)) {
        return slabs_grow(&h2->home->slabs, piece, size);
    }
    size_t old = piece == h2->cold->map ? MAP_SIZE : RING_SIZE;
    void *larger = slabs_take(&h2->home->slabs, size);
    if (larger != NULL) {
        memcpy(larger, piece, old < size ? old : size);
    }
    return larger;
}

void h2_give_memory(struct h2 *h2)
{
    if (h2->cold != NULL) {
        cold_give(&h2->home->cold, h2->cold);
        h2->cold = NULL;
    }
}

void h2_quiet(struct h2 *h2)
{
    if (h2->map_lent && h2->count == 0) {
        (void)cold_rest(h2->cold->map);
    }
}

static void home_free(struct freed *freed)
{
    struct h2_home *home = container_of(freed, struct h2_home, freed);

    slabs_free(&home->slabs);
    cold_free(&home->cold);
    free(home->frame);
    free(home);
}

/* After the sessions that are still to be freed. */
static void home_end(struct loop *loop, struct loop_part *part)
{
    struct h2_home *home = container_of(part, struct h2_home, part);

    loop->parts[LOOP_PART_HTTP] = NULL;
    loop_free_later(loop, &home->freed, home_free);
}

struct h2_home *h2_home_of(struct loop *loop)
{
    if (likely(loop->parts[LOOP_PART_HTTP] != NULL)) {
        return container_of(loop->parts[LOOP_PART_HTTP], struct h2_home, part);
    }
    struct h2_home *home = calloc(1, sizeof(*home));
    if (home == NULL || (home->frame = malloc(FRAME_BUFFER_SIZE)) == NULL) {
        free(home);
        return NULL;
    }
    slabs_init(&home->slabs, SLABS_KEPT);
    cold_init(&home->cold, COLD_PAGES);
    home->part.end = home_end;
    loop->parts[LOOP_PART_HTTP] = &home->part;
    return home;
}

void h2_set_memory(nghttp2_mem *memory, struct h2 *h2)
{
    *memory = (nghttp2_mem){.mem_user_data = h2,
                            .malloc = h2_take,
                            .free = h2_give,
                            .calloc = h2_zeroed,
                            .realloc = h2_resize};
}
