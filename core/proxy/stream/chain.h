/* SPDX-License-Identifier: MIT */
/*
 * A chain of filters that transform one response's body, on its way from a server (or from Weir
 * itself) to the client's codec.
 *
 * Flow: a stage takes each piece at once, or says that its output waits; then what it left is kept
 * here and the owner reads the server no further, so a chain holds at most one read of input a
 * stage, what a stage makes of one piece, and one block of output. Owner: who made it, until
 * chain_close. Thread: its loop's.
 */
#ifndef PROXY_STREAM_CHAIN_H
#define PROXY_STREAM_CHAIN_H

#include "http/codec.h"

struct chain;
struct instance;

/* Where a chain ends. Neither function closes the chain. */
struct chain_sink {
    struct down *down; /* takes data and trailers, and says what waits */
    /* All has gone through: the owner ends the response. */
    void (*on_end)(void *owner);
    /* A filter failed, and no hook runs any more: the owner breaks the response off. */
    void (*on_failed)(void *owner);
    void *owner;
};

/* NULL: no memory. Trailers are kept in `arena`. */
struct chain *chain_new(struct loop *loop, struct batch *batch, struct arena *arena,
                        const struct chain_sink *sink);
/* One more filter behind the others. false: there are too many, or it was the last one already. */
bool chain_add(struct chain *chain, struct instance *filter, void *state);

void chain_data(struct chain *chain, const char *data, size_t len);
void chain_trailer(struct chain *chain, struct weir_str name, struct weir_str value);
/* No more will come. */
void chain_end(struct chain *chain);
/* What waited for the client has gone: goes on with what was kept. true: nothing is kept any
 * more. */
bool chain_drained(struct chain *chain);
/* Whether a stage has input that it could not take. */
bool chain_blocked(const struct chain *chain);
/* Bytes that wait in it and at the client. */
size_t chain_waiting(const struct chain *chain);
/* The response is broken off: nothing more goes out. */
void chain_stop(struct chain *chain);
/* Tells the filters, frees the chain and nulls it; NULL is legal. */
void chain_close(struct chain **chain);

/* What host.h says of transform_write. */
size_t chain_write(struct weir_transform *transform, const void *data, size_t len);

#endif
