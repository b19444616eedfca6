/* SPDX-License-Identifier: MIT */
/*
 * What modules' calls took lately: the last five minutes of each loaded copy, in steps of two
 * seconds, from counters that are read at each step. Memory: 1.2 KiB a copy.
 *
 * Control thread.
 */
#ifndef CONTROL_API_LATELY_H
#define CONTROL_API_LATELY_H

#include <cjson/cJSON.h>

#include "base/list.h"

#define LATELY_STEPS   150u
#define LATELY_STEP_NS (2 * NS_PER_SECOND)

/* A step of the program. */
struct lately_step {
    float seconds; /* that it took; 0: there was none */
    uint32_t requests;
    float cpu_ns; /* of all workers */
};

struct lately {
    struct list copies; /* struct lately_copy.link */
    uint64_t at_ns;     /* of the last step; 0: there was none */
    uint64_t wall_ms;   /* likewise, since 1970 */
    uint64_t count;     /* of steps; the last one is count - 1 */
    uint64_t requests;  /* so far */
    double cpu_ns;
    struct lately_step steps[LATELY_STEPS]; /* by number, modulo */
};

void lately_init(struct lately *lately);
void lately_end(struct lately *lately);

/* Whether it is time for a step, which is then to be begun. */
static inline bool lately_is_due(const struct lately *lately, uint64_t now_ns)
{
    /* The caller's ticks come when they can. */
    return lately->at_ns == 0 || now_ns - lately->at_ns > LATELY_STEP_NS - NS_PER_SECOND / 2;
}
/* A step, with what has been counted so far; lately_take for each loaded copy follows. Copies that
 * were left out in the step before are forgotten. */
void lately_begin(struct lately *lately, uint64_t now_ns, uint64_t wall_ms, uint64_t requests,
                  double cpu_ns);
/* `calls` of a copy so far, and their time on workers. `copy`: no other has that number. */
void lately_take(struct lately *lately, uint64_t copy, uint64_t calls, double worker_ns);

/* Adds `rates`, of the last ten seconds. */
void lately_show_rates(const struct lately *lately, uint64_t copy, cJSON *object);
/* Adds `recent`, the whole. */
void lately_show_recent(const struct lately *lately, uint64_t copy, cJSON *object);

#endif
