/* SPDX-License-Identifier: MIT */
/*
 * Judging a copy that is tried. See swap_judge.h.
 *
 * It is looked at many times while it is tried, so that what happens once in a thousand cases would
 * happen. Hence a distance of DEVIATIONS standard deviations: once in some thousand looks that
 * are independent, and those of one trial are not. What is much worse shows with few requests all
 * the same: three errors in a row, or a dozen answers that all take twice as long.
 */
#include "control/change/swap_judge.h"

#include <math.h>

#define DEVIATIONS 3.5
/* Below this nobody would notice, and the histogram's steps are as large. */
#define NOTICED_MS 0.5

void judged_sum(struct judged *to, const struct trial *trial, enum trial_arm arm)
{
    struct trial_counts total;

    trial_total(trial, arm, &to->picks, &total);
    to->requests = total.requests;
    to->errors = total.errors;
    to->first_byte = total.first_byte;
}

bool judge_is_more(uint64_t new_events, uint64_t new_count, uint64_t old_events, uint64_t old_count,
                   double ratio)
{
    /* Of few requests without an event it is not known that there are none: half of one is added
     * for each count, which makes nothing known an even chance. */
    double share = ((double)old_events + 1) / ((double)old_count + 2) * ratio;
    double expected = share * (double)new_count;

    return share < 1 &&
           (double)new_events > expected + DEVIATIONS * sqrt(expected * (1 - share)) + 2;
}

/* The quantile of the one, at the least, is more than the other's at the most. */
static bool is_slower(const struct histogram *now, const struct histogram *old, double quantile,
                      double ratio)
{
    double deviation = DEVIATIONS * sqrt(quantile * (1 - quantile));
    double least = quantile - deviation / sqrt((double)now->count);
    double most = quantile + deviation / sqrt((double)old->count);

    return now->count > 0 && old->count > 0 && least > 0 && most < 1 &&
           histogram_quantile_ms(now, least) >
               histogram_quantile_ms(old, most) * ratio + NOTICED_MS;
}

char *judge(const struct judged *now, const struct judged *old, double error_ratio,
            double latency_ratio)
{
    static const double quantiles[] = {0.5, 0.99};

    if (error_ratio > 0 &&
        judge_is_more(now->errors, now->requests, old->errors, old->requests, error_ratio)) {
        return base_printf("%llu of %llu requests failed, and %llu of %llu of the other's",
                           (unsigned long long)now->errors, (unsigned long long)now->requests,
                           (unsigned long long)old->errors, (unsigned long long)old->requests);
    }
    for (size_t i = 0; i < ARRAY_COUNT(quantiles) && latency_ratio > 0; i++) {
        if (is_slower(&now->first_byte, &old->first_byte, quantiles[i], latency_ratio)) {
            return base_printf("p%.0f to the first byte is %.3g ms, and %.3g ms of the other",
                               quantiles[i] * 100,
                               histogram_quantile_ms(&now->first_byte, quantiles[i]),
                               histogram_quantile_ms(&old->first_byte, quantiles[i]));
        }
    }
    return NULL;
}
