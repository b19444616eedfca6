/* SPDX-License-Identifier: MIT */
/*
 * Whether a copy that is tried does worse than the one in force, by what came of their picks at the
 * same time. Chance decides nothing: what is worse must be so by more than few requests explain.
 */
#ifndef CONTROL_CHANGE_SWAP_JUDGE_H
#define CONTROL_CHANGE_SWAP_JUDGE_H

#include "proxy/plan/trial.h"

/* Of one copy, in one pool. */
struct judged {
    uint64_t picks, requests, errors;
    struct histogram first_byte;
};

/* All classes of servers of one arm. */
void judged_sum(struct judged *to, const struct trial *trial, enum trial_arm arm);

/* What of `new_count` is more than `ratio` times the share that `old_events` have of `old_count`,
 * beyond chance. */
bool judge_is_more(uint64_t new_events, uint64_t new_count, uint64_t old_events, uint64_t old_count,
                   double ratio);

/* Why the new copy is worse, in words that the caller frees; NULL: it is not, or too little is
 * known. Ratios 0: not looked at. */
char *judge(const struct judged *now, const struct judged *old, double error_ratio,
            double latency_ratio);

#endif
