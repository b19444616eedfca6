/* SPDX-License-Identifier: MIT */
/*
 * The wheel behind the timers of loop.h; for the loop and for tests.
 */
#ifndef NET_TIMER_H
#define NET_TIMER_H

#include "net/loop.h"

#define TIMER_NEVER UINT64_MAX

/* NULL: no memory. */
struct loop_wheel *timer_wheel_new(struct loop *loop);
void timer_wheel_free(struct loop_wheel **wheel);

/* Fires what is due at the loop's present time. */
void timer_wheel_advance(struct loop *loop);

/* Nanoseconds (on the loop's clock) at which the wheel must be looked at next; TIMER_NEVER: no
 * timer. */
uint64_t timer_wheel_next_ns(const struct loop_wheel *wheel);

#endif
