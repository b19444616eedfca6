/* SPDX-License-Identifier: MIT */
/*
 * Trials. See trial.h.
 */
#include "proxy/plan/trial.h"

#include <math.h>
#include <stdlib.h>

unsigned trial_class_ms(unsigned class)
{
    return class + 1 < TRIAL_CLASSES ? 1u << (2 * class) : 0;
}

static unsigned class_of(uint32_t latency_us)
{
    unsigned class = 0;

    while (class + 1 < TRIAL_CLASSES && latency_us > trial_class_ms(class) * 1000) {
        class ++;
    }
    return class;
}

void trial_set_share(struct trial *trial, double share)
{
    atomic_store(&trial->share, (uint32_t)ceil(share * 4294967296.0)); /* 10 % of 200 are 20 */
}

struct trial *trial_new(unsigned loops, double share)
{
    struct trial *trial = base_zalloc(sizeof(*trial));

    trial->refs = 1;
    trial->loops = loops;
    trial_set_share(trial, share);
    trial->locals = base_zalloc_lines(loops * sizeof(*trial->locals));
    for (unsigned i = 0; i < loops; i++) { /* the loops' turns are spread */
        trial->locals[i].credit = (uint32_t)(((uint64_t)i << 32) / loops);
    }
    return trial;
}

struct trial *trial_ref(struct trial *trial)
{
    trial->refs++;
    return trial;
}

void trial_unref(struct trial **trial)
{
    struct trial *given = *trial;

    *trial = NULL;
    if (given != NULL && --given->refs == 0) {
        free(given->locals);
        free(given);
    }
}

void trial_count(struct trial_local *local, enum trial_arm arm, uint32_t latency_us, bool error,
                 uint64_t first_byte_ns)
{
    struct trial_counts *counts = &local->counts[arm][class_of(latency_us)];

    stat_add(&counts->requests, 1);
    if (error) {
        stat_add(&counts->errors, 1);
    }
    if (first_byte_ns > 0) {
        histogram_add(&counts->first_byte, first_byte_ns);
    }
}

uint64_t trial_errors(const struct trial *trial, enum trial_arm arm)
{
    uint64_t errors = 0;

    for (unsigned i = 0; i < trial->loops; i++) {
        for (unsigned k = 0; k < TRIAL_CLASSES; k++) {
            errors += __atomic_load_n(&trial->locals[i].counts[arm][k].errors, __ATOMIC_RELAXED);
        }
    }
    return errors;
}

void trial_sum(const struct trial *trial, enum trial_arm arm, uint64_t *picks,
               struct trial_counts *counts)
{
    for (unsigned i = 0; i < trial->loops; i++) {
        const struct trial_local *local = &trial->locals[i];
        *picks += __atomic_load_n(&local->picks[arm], __ATOMIC_RELAXED);
        for (unsigned k = 0; k < TRIAL_CLASSES; k++) {
            const struct trial_counts *from = &local->counts[arm][k];
            counts[k].requests += __atomic_load_n(&from->requests, __ATOMIC_RELAXED);
            counts[k].errors += __atomic_load_n(&from->errors, __ATOMIC_RELAXED);
            histogram_sum(&counts[k].first_byte, &from->first_byte);
        }
    }
}

void trial_total(const struct trial *trial, enum trial_arm arm, uint64_t *picks,
                 struct trial_counts *total)
{
    struct trial_counts classes[TRIAL_CLASSES] = {{0}};

    *picks = 0;
    *total = (struct trial_counts){0};
    trial_sum(trial, arm, picks, classes);
    for (unsigned i = 0; i < TRIAL_CLASSES; i++) {
        total->requests += classes[i].requests;
        total->errors += classes[i].errors;
        histogram_sum(&total->first_byte, &classes[i].first_byte);
    }
}
