/* SPDX-License-Identifier: MIT */
/*
 * The streams' part of a loop: running streams, memory of ended ones, and values that many share.
 * Its worker embeds one. Thread: the loop's.
 */
#ifndef PROXY_STREAM_HOME_H
#define PROXY_STREAM_HOME_H

#include "base/list.h"
#include "base/random_ids.h"
#include "http/batch.h"
#include "proxy/upstream/connecting.h"

struct stream;

struct stream_home {
    struct loop *loop;
    struct batch *batch;
    struct list running; /* struct stream.link */
    struct list spare;   /* the same: memory for the next ones */
    size_t spare_count;
    struct random_ids ids; /* of requests */
    uint64_t date_second;  /* cached Date field */
    char date[32];
    /* connecting_begin; a test replaces it. */
    enum conn_error (*connect)(struct list *under_way, struct loop *loop,
                               const struct connect_to *to, struct connect_waiter *waiter);
    /* Closes an idle connection to a server when descriptors run out. false: there is none. */
    bool (*drop_idle)(struct stream_home *home);
};

void stream_home_init(struct stream_home *home, struct loop *loop, struct batch *batch);
/* None runs. */
void stream_home_end(struct stream_home *home);

/* Zeroed; NULL: out of memory. */
struct stream *stream_home_take(struct stream_home *home);
void stream_home_give(struct stream_home *home, struct stream *stream);

/* The value of a Date field (RFC 9110 section 6.6.1), formatted once a second. */
struct weir_str stream_home_date(struct stream_home *home);

#endif
