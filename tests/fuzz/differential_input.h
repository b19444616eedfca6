/* SPDX-License-Identifier: MIT */
/* Messages for the comparison: put together from parts that matter, then damaged a little. */
#ifndef WEIR_TESTS_FUZZ_DIFFERENTIAL_INPUT_H
#define WEIR_TESTS_FUZZ_DIFFERENTIAL_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INPUT_LIMIT 2048

/* A generator of its own, so that a seed means the same everywhere (splitmix64). */
struct source {
    uint64_t state;
};

uint32_t source_below(struct source *source, uint32_t bound);

/* Both write at most INPUT_LIMIT bytes to `out` and say how many. */
size_t input_generate(struct source *source, bool response, char *out);
size_t input_mutate(struct source *source, char *out, size_t len);

#endif
