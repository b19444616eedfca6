/* SPDX-License-Identifier: MIT */
/*
 * Decimal numbers as users write them. Private to sdk/option.
 */
#ifndef OPTION_NUMBER_H
#define OPTION_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* More digits than a double holds exactly are a mistake in a configuration. */
#define OPTION_DIGITS_MAX   15
#define OPTION_FRACTION_MAX 9

/* Digits with an optional fraction, as whole + fraction / 10^places; `end` is what follows. */
struct option_decimal {
    uint64_t whole;
    uint64_t fraction;
    size_t places;
    const char *end;
    bool overflow;
};

/** Reads as far as the number goes; false: `text` does not begin with a digit. */
bool option_decimal_parse(const char *text, const char *end, struct option_decimal *out);

/** number * factor; false: it is no whole number, or does not fit. */
bool option_decimal_scale(const struct option_decimal *number, uint64_t factor, uint64_t *out);

/** number / 10^shift (shift at most 2) as the nearest double; false: too many digits. */
bool option_decimal_real(const struct option_decimal *number, size_t shift, double *out);

#endif
