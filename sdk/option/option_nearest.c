/* SPDX-License-Identifier: MIT */
/*
 * The nearest known name to one that is not known: edit distance, with exchanged neighbours as one
 * edit, since that is what fingers do.
 */
#include "option_value.h"

#include <string.h>

/* Longer names than this are no typing mistakes. */
#define NAME_MAX_LEN 64

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Rows are kept for the present, the last and the one before (for exchanged neighbours). */
static size_t edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t rows[3][NAME_MAX_LEN + 1];
    size_t *before = rows[0], *last = rows[1], *now = rows[2];

    for (size_t j = 0; j <= b_len; j++) {
        last[j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        now[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;
            now[j] = min_size(min_size(last[j] + 1, now[j - 1] + 1), last[j - 1] + cost);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                now[j] = min_size(now[j], before[j - 2] + 1);
            }
        }
        size_t *spare = before;
        before = last;
        last = now;
        now = spare;
    }
    return last[b_len];
}

void option_nearest_begin(struct option_nearest *search, const char *name, size_t len)
{
    /* A third of the name may be wrong: less finds nothing, more finds nonsense. */
    *search = (struct option_nearest){name, len, NULL, len < 3 ? 2 : len / 3 + 1};
}

void option_nearest_offer(struct option_nearest *search, const char *candidate)
{
    if (candidate == NULL || search->len == 0 || search->len > NAME_MAX_LEN) {
        return;
    }
    size_t len = strlen(candidate);
    if (len > NAME_MAX_LEN) {
        return;
    }
    size_t distance = edit_distance(search->name, search->len, candidate, len);
    /* A name cut short, "least" for "least_conn", is as near as one wrong letter. */
    if (search->len >= 3 && len > search->len &&
        memcmp(search->name, candidate, search->len) == 0) {
        distance = 1;
    }
    /* Wholly different letters are no neighbours, however short the names. */
    if (distance < search->distance && distance < (len > search->len ? len : search->len)) {
        search->best = candidate;
        search->distance = distance;
    }
}

const char *option_nearest(const char *name, size_t len, const char *const *candidates,
                           size_t count)
{
    struct option_nearest search;
    option_nearest_begin(&search, name, len);
    for (size_t i = 0; i < count; i++) {
        option_nearest_offer(&search, candidates[i]);
    }
    return search.best;
}
