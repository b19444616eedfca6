/* SPDX-License-Identifier: MIT */
/*
 * Retry-After: when a server that refuses asks to be tried again.
 */
#ifndef HTTP_RETRY_AFTER_H
#define HTTP_RETRY_AFTER_H

#include "base/base.h"

/* The most that a server may ask for: one whose clock is wrong is not avoided for ever. */
#define RETRY_AFTER_MOST_NS (3600 * NS_PER_SECOND)

/* How long from now, by the field's value, seconds or any of the three forms of a date (RFC 9110
 * sections 10.2.3 and 5.6.7). 0: at once, or no such value. `wall_ms`: milliseconds since 1970. */
uint64_t retry_after_read(struct weir_str value, uint64_t wall_ms);

#endif
