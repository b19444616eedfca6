/* SPDX-License-Identifier: MIT */
/*
 * Active health checks: asks each server of a pool with a `health` block, again and again, and says
 * what came out. The module gives the bytes and judges the answer; sockets, TLS, clocks, jitter,
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

/* The server's health, or the reason for it, is another one now. */
typedef void (*probe_changed_fn)(void *arg, struct server *server);

struct prober *prober_new(struct loop *loop, unsigned index, probe_changed_fn changed, void *arg);

/* Probes the plan's servers from now on: those that it shares with the last one go on where they
 * are, others begin, and those that it lacks end. Holds a reference to the plan. */
void prober_adopt(struct prober *prober, struct plan *plan);

/* Ends all probes and gives the plan back. */
void prober_free(struct prober **prober);

#endif
