/* SPDX-License-Identifier: MIT */
/*
 * Estimates a server's sessions: those that sticky modules name and that had a recent response.
 *
 * Each loop marks bits in a bitmap; the union of the bitmaps gives the number of distinct sessions
 * (linear counting: Whang, Vander-Zanden and Taylor, "A linear-time probabilistic counting
 * algorithm", 1990). A session whose connections are spread over loops counts once, and memory is
 * bounded: a list of marks while there are few, some 300 bytes per loop, since there may be ten
 * thousand servers with a few sessions each; then the bitmap, 2 KiB per slice. Small numbers are
 * exact in all but about one case in a hundred, 10,000 is within about 1 %, 100,000 within 3 %.
 */
#ifndef PROXY_POOL_SESSIONS_H
#define PROXY_POOL_SESSIONS_H

#include <stdint.h>

/* "Recent": at least SESSIONS_SLICES - 1 slices of time, at most SESSIONS_SLICES. */
#define SESSIONS_SLICES   4u
#define SESSIONS_SLICE_NS (100 * UINT64_C(1000000000))

struct server;

/* One loop's marks of a server; allocated by the first session there. Written by that loop
 * alone. */
struct session_marks;

/* On the loop: the session got a response from the server. Not counted when out of memory. */
void sessions_note(struct session_marks *_Atomic *marks, uint64_t session, uint64_t now_ns);

/* No thread marks or counts any more. */
void sessions_free(struct session_marks *marks);

/* Any thread; may lag slightly. `now_ns`: the monotonic clock. */
uint64_t sessions_count(const struct server *server, uint64_t now_ns);

#endif
