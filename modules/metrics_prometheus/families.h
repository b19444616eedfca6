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
    /** Of the family's kind; 0: its head comes first. Behind the last family: of modules' own. */
    size_t object;
    bool done;
};

/** A number as Prometheus writes it: as short as it reads back the same; NaN, +Inf, -Inf. */
void out_real(struct weir_buffer *out, double number);

/** Adds metrics to `out` until it has some `enough` bytes or all have been written
 * (position->done). */
void families_write(struct weir_buffer *out, const struct snapshot *snapshot, enum format format,
                    struct position *position, size_t enough);

#endif
