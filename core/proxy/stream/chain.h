/* SPDX-License-Identifier: MIT */
/*
 * A chain of filters that transform one response's body, on its way from a server (or from Weir
 * itself) to the client's codec.
 *
 * Flow: a stage takes each piece at once, or reports that its output waits; then the rest is kept
 * here and the owner stops reading from the server, so a chain holds at most one read of input per
 * stage, a stage's output for one piece, and one block of output. Owner: its creator, until
 * chain_close. Thread: its loop's.
 */
#ifndef PROXY_STREAM_CHAIN_H
#define PROXY_STREAM_CHAIN_H

#include "http/codec.h"

struct chain;
struct instance;

/* Where a chain ends. Neither function closes the chain. */
struct chain_sink {
    struct down *down; /* takes data and trailers, and reports what waits */
    /* Everything has passed: the owner ends the response. */
    void (*on_end)(void *owner);
    /* A filter failed and no hook is running: the owner aborts the response. */
    void (*on_failed)(void *owner);
    void *owner;
};

/* NULL: out of memory. Trailers are kept in `arena`. */
struct chain *chain_new(struct loop *loop, struct batch *batch, struct arena *arena,
                        const struct chain_sink *sink);
/* Appends a filter. false: too many, or the last one is there already. */
bool chain_add(struct chain *chain, struct instance *filter, void *state);

void chain_data(struct chain *chain, const char *data, size_t len);
void chain_trailer(struct chain *chain, struct weir_str name, struct weir_str value);
/* No more will come. */
void chain_end(struct chain *chain);
/* The client has taken what waited: resumes with the kept input. true: nothing is kept any more. */
bool chain_drained(struct chain *chain);
/* Whether a stage has kept input. */
bool chain_blocked(const struct chain *chain);
/* Bytes waiting in the chain and at the client. */
size_t chain_waiting(const struct chain *chain);
/* The response is aborted: nothing more goes out. */
void chain_stop(struct chain *chain);
/* Tells the filters, frees the chain and nulls it; NULL is legal. */
void chain_close(struct chain **chain);

/* Implements transform_write of host.h. */
size_t chain_write(struct weir_transform *transform, const void *data, size_t len);

#endif
