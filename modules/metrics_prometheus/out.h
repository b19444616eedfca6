/* SPDX-License-Identifier: MIT */
/*
 * A buffer for text in Prometheus's formats: numbers without a locale, label values escaped.
 */
#ifndef METRICS_OUT_H
#define METRICS_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/module.h>

/** Invariant: len <= room. After an allocation failed, `failed` is true and nothing more is added. */
struct out {
    char *data;
    size_t len;
    size_t room;
    bool failed;
};

void out_add(struct out *out, const char *data, size_t len);
void out_text(struct out *out, const char *text);
void out_number(struct out *out, uint64_t number);
/** As short as it reads back the same; NaN, +Inf, -Inf. */
void out_real(struct out *out, double number);
/** A label's value without its quotes: backslash, quote and newline escaped, what is not UTF-8 replaced by
 * U+FFFD (one such byte, and Prometheus drops the whole scrape). */
void out_escaped(struct out *out, struct weir_str text);
void out_free(struct out *out);

#endif
