/* SPDX-License-Identifier: MIT */
/*
 * File descriptors: how many there are, what Weir itself needs of them, and what a configuration
 * allows its clients to take.
 */
#ifndef PROXY_PLAN_DESCRIPTORS_H
#define PROXY_PLAN_DESCRIPTORS_H

#include "base/base.h"

struct plan;

/* What may be open at once (RLIMIT_NOFILE); UINT64_MAX: no limit. */
uint64_t descriptors_limit(void);

/* What Weir needs beside its connections, with so many loops: logs, store, listening sockets; what
 * belongs to a loop, and the connections that end there. */
uint64_t descriptors_own(unsigned loops);

/* So many probes ask at once at most, a share of the descriptors: others wait for their turn. */
uint64_t descriptors_for_probes(void);

/* The first numbers that connections cannot have that are clients' or kept idle, and those that
 * serve a request: what is above is kept back for these, and for probes and the control plane. 0:
 * they can have all. */
struct descriptors_kept {
    int from_clients, from_servers;
};

/* When nothing is open but what Weir needs itself, which is not counted: of the rest, half is for
 * clients at least. */
struct descriptors_kept descriptors_keep_back(void);

/* Connections of a listener that sets no limit: half of them. A client in need of a server always
 * finds one then. */
uint32_t descriptors_for_listener(unsigned loops);

/* Whether what is configured can need more than there are; then what and what to do about it, in
 * words. */
bool descriptors_are_short(const struct plan *plan, char *out, size_t size);

#endif
