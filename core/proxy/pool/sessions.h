/* SPDX-License-Identifier: MIT */
/*
 * How many sessions a server has: those that sticky modules name and that had a response of it
 * lately.
 *
 * Counted by marks in a bitmap, one a loop, whose union tells about how many different ones there
 * were (linear counting: Whang, Vander-Zanden and Taylor, "A linear-time probabilistic counting
 * algorithm", 1990): nothing is written twice, visitors whose connections are spread over loops
 * count once, and memory has an end: a list of marks while they are few, some 300 bytes a loop, for
 * there may be ten thousand servers with a few sessions each; the bitmap, 2 KiB a slice, from there
 * on. A few are counted right but for one in some hundred cases, 10,000 within one per cent or so,
 * 100,000 within three.
 */
#ifndef PROXY_POOL_SESSIONS_H
#define PROXY_POOL_SESSIONS_H

#include <stdint.h>

/* "Lately": at least SESSIONS_SLICES - 1 slices of time, at most SESSIONS_SLICES. */
#define SESSIONS_SLICES   4u
#define SESSIONS_SLICE_NS (100 * UINT64_C(1000000000))

struct server;

/* One loop's marks of a server; made by the first session there. Written by that loop alone. */
struct session_marks;

/* The loop's: the session has got a response of the server. Without memory it is not counted. */
void sessions_note(struct session_marks *_Atomic *marks, uint64_t session, uint64_t now_ns);

/* Nobody notes or counts any more. */
void sessions_free(struct session_marks *marks);

/* Any thread, a moment old. `now_ns`: the monotonic clock. */
uint64_t sessions_count(const struct server *server, uint64_t now_ns);

#endif
