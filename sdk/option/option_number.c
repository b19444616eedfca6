/* SPDX-License-Identifier: MIT */
/*
 * Decimal numbers: digits to integers, so that nothing depends on the locale, nothing is rounded
 * silently and nothing overflows.
 */
#include "option_number.h"

static const uint64_t powers_of_ten[] = {
    1,
    10,
    100,
    1000,
    10000,
    100000,
    1000000,
    10000000,
    100000000,
    1000000000,
    10000000000,
    100000000000,
    1000000000000,
    10000000000000,
    100000000000000,
    1000000000000000,
    10000000000000000,
    100000000000000000,
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool option_decimal_parse(const char *text, const char *end, struct option_decimal *out)
{
    struct option_decimal number = {0};
    const char *c = text;

    for (; c < end && is_digit(*c); c++) {
        uint64_t digit = (uint64_t)(*c - '0');
        number.overflow = number.overflow ||
                          __builtin_mul_overflow(number.whole, (uint64_t)10, &number.whole) ||
                          __builtin_add_overflow(number.whole, digit, &number.whole);
    }
    if (c == text) {
        return false;
    }
    if (c + 1 < end && *c == '.' && is_digit(c[1])) {
        const char *first = ++c;
        while (c < end && is_digit(*c)) {
            c++;
        }
        const char *last = c;
        while (last > first && last[-1] == '0') {
            last--;
        }
        number.places = (size_t)(last - first);
        number.overflow = number.overflow || number.places > OPTION_FRACTION_MAX;
        for (; first < last && !number.overflow; first++) {
            number.fraction = number.fraction * 10 + (uint64_t)(*first - '0');
        }
    }
    number.end = c;
    *out = number;
    return true;
}

/* number * factor, where that is a whole number that fits. */
bool option_decimal_scale(const struct option_decimal *number, uint64_t factor, uint64_t *out)
{
    uint64_t whole, part;
    if (number->overflow || __builtin_mul_overflow(number->whole, factor, &whole) ||
        __builtin_mul_overflow(number->fraction, factor, &part) ||
        part % powers_of_ten[number->places] != 0) {
        return false;
    }
    return !__builtin_add_overflow(whole, part / powers_of_ten[number->places], out);
}

/* number / 10^shift as the nearest double: both operands of the division are exact. */
bool option_decimal_real(const struct option_decimal *number, size_t shift, double *out)
{
    uint64_t digits;
    if (number->overflow ||
        __builtin_mul_overflow(number->whole, powers_of_ten[number->places], &digits) ||
        __builtin_add_overflow(digits, number->fraction, &digits) ||
        digits >= powers_of_ten[OPTION_DIGITS_MAX]) {
        return false;
    }
    *out = (double)digits / (double)powers_of_ten[number->places + shift];
    return true;
}
