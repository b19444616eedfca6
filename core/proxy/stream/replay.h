/* SPDX-License-Identifier: MIT */
/*
 * The part of a request's body that has passed, kept until the response begins so that the request
 * can be sent again. Stored in pieces that fit the arena's blocks, which the loop reuses.
 */
#ifndef PROXY_STREAM_REPLAY_H
#define PROXY_STREAM_REPLAY_H

#include "http/codec.h"

/* A body that is larger is not kept. */
#define REPLAY_MAX 16384u

struct replay_piece;

/* Zeroed at first. */
struct replay {
    struct replay_piece *first, *last;
    uint64_t passed; /* body bytes in all */
    size_t kept;
    bool broken; /* something has passed that was not kept */
};

/* A part of the body passes. */
void replay_add(struct replay *replay, const struct http_request_head *head, struct arena *arena,
                const char *data, size_t len);

/* A part passes when a retry is no longer possible. */
static inline void replay_skip(struct replay *replay, size_t len)
{
    replay->passed += len;
}

/* Whether something has passed that cannot be sent again. */
static inline void replay_break(struct replay *replay)
{
    replay->broken = true;
}

/* Whether everything that has passed is kept. */
static inline bool replay_is_whole(const struct replay *replay)
{
    return !replay->broken && replay->passed == replay->kept;
}

/* Sends what is kept. */
void replay_send(const struct replay *replay, struct up *up);

#endif
