/* SPDX-License-Identifier: MIT */
/*
 * File descriptors: how many there are, how many Weir itself needs, and how many a configuration
 * lets clients take.
 */
#ifndef PROXY_PLAN_DESCRIPTORS_H
#define PROXY_PLAN_DESCRIPTORS_H

#include "base/base.h"

struct plan;

/* The limit on open descriptors (RLIMIT_NOFILE); UINT64_MAX: none. */
uint64_t descriptors_limit(void);

/* Raises the limit as far as the system allows: each connection needs two descriptors. */
void descriptors_raise_limit(void);

/* Has the kernel make its table of this process's descriptors as large as it may get; only before
 * there are threads. */
void descriptors_widen_table(void);

/* What Weir needs besides its connections with this many loops: logs, store, listening sockets, the
 * loops' own descriptors, and connections that are closing. */
uint64_t descriptors_own(unsigned loops);

/* The most probes that run at once, a share of the descriptors; others queue. */
uint64_t descriptors_for_probes(void);

/* Bounds on descriptor numbers: the first for clients and idle connections, the second for
 * connections that serve a request. Those above are reserved for the latter, for probes and for the
 * control plane. 0: no bound. */
struct descriptors_kept {
    int from_clients, from_servers;
};

/* Assumes that only what Weir itself needs is open, which is not counted: clients get at least half
 * of the rest. */
struct descriptors_kept descriptors_keep_back(void);

/* Default limit of a listener: half of the descriptors, so that a connection to a server is always
 * possible. */
uint32_t descriptors_for_listener(unsigned loops);

/* Whether the configuration can need more than there are; if so, describes what and the remedy. */
bool descriptors_are_short(const struct plan *plan, char *out, size_t size);

#endif
