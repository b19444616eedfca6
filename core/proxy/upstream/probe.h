/* SPDX-License-Identifier: MIT */
/*
 * Active health checks: probes each server of a pool with a `health` block periodically and reports
 * the result. The module supplies the bytes and judges the answer; sockets, TLS, timing, jitter,
 * rise and fall are here.
 *
 * Thread: the control thread's loop.
 */
#ifndef PROXY_UPSTREAM_PROBE_H
#define PROXY_UPSTREAM_PROBE_H

#include "net/loop.h"
#include "proxy/plan/plan.h"
#include "proxy/pool/server.h"

struct prober;

/* The server's health, or its reason, has changed. */
typedef void (*probe_changed_fn)(void *arg, struct server *server);

struct prober *prober_new(struct loop *loop, unsigned index, probe_changed_fn changed, void *arg);

/* Probes the plan's servers from now on: shared servers continue, new ones begin, removed ones end.
 * Holds a reference to the plan. */
void prober_adopt(struct prober *prober, struct plan *plan);

/* Ends all probes and drops the plan. */
void prober_free(struct prober **prober);

#endif
