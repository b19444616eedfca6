/* SPDX-License-Identifier: MIT */
/*
 * Request bodies kept for a retry. See replay.h.
 */
#include "proxy/stream/replay.h"

struct replay_piece {
    struct replay_piece *next;
    size_t len, size;
    char data[];
};

#define PIECE_ROOM (ARENA_BLOCK_ROOM - sizeof(struct replay_piece))

/* `most`: upper bound of the bytes still to come. false: out of memory. */
static bool piece_new(struct replay *replay, struct arena *arena, uint64_t most)
{
    size_t size = most < PIECE_ROOM ? (size_t)most : PIECE_ROOM;
    struct replay_piece *piece = arena_alloc(arena, sizeof(*piece) + size);

    if (piece == NULL) {
        return false;
    }
    *piece = (struct replay_piece){.size = size};
    if (replay->last != NULL) {
        replay->last->next = piece;
    } else {
        replay->first = piece;
    }
    replay->last = piece;
    return true;
}

void replay_add(struct replay *replay, const struct http_request_head *head, struct arena *arena,
                const char *data, size_t len)
{
    uint64_t size = head->body == BODY_LENGTH ? head->content_length : REPLAY_MAX;

    replay->passed += len;
    replay->broken = replay->broken || size > REPLAY_MAX || replay->kept + len > size;
    while (len > 0 && !replay->broken) {
        struct replay_piece *last = replay->last;
        if (last == NULL || last->len == last->size) {
            replay->broken = !piece_new(replay, arena, size - replay->kept);
            continue;
        }
        size_t take = len < last->size - last->len ? len : last->size - last->len;
        memcpy(last->data + last->len, data, take);
        last->len += take;
        replay->kept += take;
        data += take;
        len -= take;
    }
}

void replay_send(const struct replay *replay, struct up *up)
{
    for (const struct replay_piece *piece = replay->first; piece != NULL; piece = piece->next) {
        up->ops->data(up, piece->data, piece->len);
    }
}
