/* SPDX-License-Identifier: MIT */
/* A connection on a loop, and the raw socket at its other end. */
#ifndef UNIT_CONN_STAGE_H
#define UNIT_CONN_STAGE_H

#include "net/conn_pool.h"
#include "net_help.h"

extern struct loop *loop;
extern struct end here;
extern int there; /* -1: none */

void conn_stage_set_up(void);
void conn_stage_tear_down(void);

/* `here` is a connection, `there` the other end's socket. The sweep over the doubtful is put off,
 * so that what a test sees came from an edge. */
void open_pair(void (*make)(int fds[2]));
void there_sends(const char *text);
/* Until `here` has got so many. */
void wait_for_bytes(size_t count);

struct drain {
    char *data;
    size_t len, size;
    bool ended;
};
/* Reads what `there` has for a struct drain; true at the end. */
bool drain_some(void *arg);

#endif
