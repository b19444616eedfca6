/* SPDX-License-Identifier: MIT */
/*
 * The metrics, one after the other: all samples of one stand together, as the formats demand.
 */
#ifndef METRICS_FAMILIES_H
#define METRICS_FAMILIES_H

#include "snapshot.h"

enum format { FORMAT_TEXT, FORMAT_OPENMETRICS };

/** How far a scrape has come. Begin with zero. */
struct position {
    size_t family;
    size_t object; /**< of the family's kind; 0: its head comes first */
    bool done;
};

/** Adds metrics to `out` until it has some `enough` bytes or all have been written (position->done). */
void families_write(struct out *out, const struct snapshot *snapshot, enum format format,
                    struct position *position, size_t enough);

#endif
