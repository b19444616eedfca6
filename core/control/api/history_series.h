/* SPDX-License-Identifier: MIT */
/*
 * The series behind history.h. Private to history.c and history_json.c.
 */
#ifndef CONTROL_API_HISTORY_SERIES_H
#define CONTROL_API_HISTORY_SERIES_H

#include "control/api/history.h"

/* The present second, and five before it. */
#define RECENT_COUNTERS 6u

enum series_kind { SERIES_OTHER, SERIES_POOL, SERIES_SERVER };

struct counters {
    uint64_t requests, errors, bytes_in, bytes_out;
};

struct mark {
    struct counters counters;
    uint32_t buckets[HISTOGRAM_BUCKETS];
};

struct series {
    uint64_t key;
    uint64_t second;                         /* of the last sample; 0: none yet */
    struct counters recent[RECENT_COUNTERS]; /* by second */
    struct mark marks[HISTORY_MARKS]; /* by step; of servers the histogram is read at steps */
    struct mark last;                 /* of the last second; of servers without the histogram */
    struct sample *fine;              /* HISTORY_SECONDS, by second; NULL: not kept */
    struct sample *coarse;            /* HISTORY_COARSE, by step; NULL: not kept */
};

struct history {
    struct series **slots;
    size_t mask;
    size_t count, pools, servers;
    uint64_t second;
    uint64_t wall_ms;  /* at `second` */
    struct mark total; /* of all listeners that were ever there, what they counted meanwhile */
};

/* NULL: there is none. */
struct series *history_find(const struct history *history, uint64_t key);

#endif
