/* SPDX-License-Identifier: MIT */
/*
 * A thread beside all others that runs no module's code and waits for nobody. It takes the
 * program's signals and hands them to the control thread, and it sees to it that the control thread
 * comes back: one that hangs in a module is named, and ends the program as a worker does
 * (watch.h), if only later, since clients are served meanwhile (unless a worker hangs as well); and
 * one that does not answer SIGTERM or SIGINT, or does not come to the program's end, cannot keep it
 * from ending.
 *
 * Time in which nothing ran does not count. Control thread, unless a comment says otherwise.
 */
#ifndef CONTROL_SENTRY_H
#define CONTROL_SENTRY_H

#include "proxy/worker.h"

/* A call of a module on the control thread may take this many times `stall_limit`: with the default
 * as long as WatchdogSec of the systemd unit. At least this long in any case: what the admin plane
 * asks of the host, such as a reload, is done in its call. */
#define SENTRY_TIMES    6u
#define SENTRY_LEAST_NS (10 * NS_PER_SECOND)

struct sentry;

/* Each of `signals` (ended by 0) is blocked in this thread, and so in those that it starts; `take`
 * will be called for it on the control thread's loop, the one behind those of the workers, once
 * sentry_listen was. Until then, which is the start, they wait: SIGTERM not for longer than if the
 * loop hung, SIGINT not at all. NULL: there is no such thread (errno). */
struct sentry *sentry_new(struct worker *const *loops, unsigned workers, const int *signals,
                          void (*take)(void *arg, int number), void *arg);
/* The loop is about to run. */
void sentry_listen(struct sentry *sentry);
/* The loop ends: signals are not handed on any more. */
void sentry_deafen(struct sentry *sentry);
void sentry_free(struct sentry **sentry);

/* Of the next two `sentry` may be NULL. `patience_ns`: what SIGTERM leaves clients. */
void sentry_set_limits(struct sentry *sentry, uint64_t stall_limit_ns, uint64_t patience_ns);
/* Within that time the program has ended, or is ended. */
void sentry_end_within(struct sentry *sentry, uint64_t ns);

#endif
