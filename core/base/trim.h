/* SPDX-License-Identifier: MIT */
/*
 * Memory that the C library keeps for later goes back to the kernel after a rush, when nobody has
 * needed more for a while. That costs about 0.1 ms a MiB (large buffers go before, see
 * net/conn_buffer.c), and a thread that allocates meanwhile may wait for it; so it is done by a
 * thread that carries no traffic, and less and less often where memory that was given back is soon
 * wanted again.
 *
 * Thread: one.
 */
#ifndef BASE_TRIM_H
#define BASE_TRIM_H

#include "base/base.h"

/* Zeroed is ready. */
struct trim {
    size_t rest_kib; /* the least that was resident since the last time */
    size_t last_kib; /* a second ago */
    unsigned calm;   /* seconds without growth */
    unsigned patience;
};

/* Once a second. */
void trim_second(struct trim *trim);

/* Whether it is time, when so much is resident; called once a second by trim_second. */
bool trim_due(struct trim *trim, size_t kib);

#endif
