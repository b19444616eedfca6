/* SPDX-License-Identifier: MIT */
/*
 * Streams: one request and its response, from the client's half to the server's, with everything
 * between: filters, route, sticky, balancer, queue, connection, retries, reply, record.
 *
 * Owner: its loop's stream_home. A stream begins with the first byte of a request and ends with the
 * codec's on_close. It holds a reference to the plan it started on.
 */
#ifndef PROXY_STREAM_STREAM_H
#define PROXY_STREAM_STREAM_H

#include <weir/weir.h>

#include "http/codec.h"
#include "proxy/downstream/downstream.h"
#include "proxy/pool/attempt.h"
#include "proxy/pool/pool.h"
#include "proxy/stream/home.h"
#include "proxy/stream/replay.h"
#include "proxy/upstream/connecting.h"

/* Fields that Weir adds to a request. */
#define STREAM_EXTRAS 8

#define STREAM_MAGIC 0x5354524du

/* Modules' slots in a request: one pointer per loaded copy, found by the copy's number. A request
 * may meet copies of several generations, where it or a balancer outlives a reload. */
#define STREAM_SLOTS 6
struct stream_slots {
    struct stream_slots *next;
    unsigned count;
    struct {
        uint64_t module;
        void *value;
    } items[STREAM_SLOTS];
};

enum stream_phase {
    PHASE_REQUEST, /* reading the head */
    PHASE_LOCAL,   /* answered by Weir itself or a handler */
    PHASE_QUEUED,  /* waiting for a place at a server */
    PHASE_CONNECTING,
    PHASE_SENT,     /* the request is at the server, the response's head is still to come */
    PHASE_RESPONSE, /* the response passes */
    PHASE_DONE,     /* handed over to the client's codec; on_close follows */
};

/* Of modules, beyond the time of its plan; see stream_keep.c. */
enum stream_keeps { STREAM_KEEPS_NOTHING, STREAM_KEEPS_ITS_OWN, STREAM_KEEPS_ALL };

struct stream {
    struct weir_request request_handle;
    struct weir_response response_handle;
    uint32_t magic;
    uint8_t phase;
    uint8_t reason;  /* enum reason */
    uint8_t outcome; /* enum weir_outcome */
    bool up_paused, down_paused;
    bool response_open;   /* on_response hooks run: response fields may change */
    bool response_failed; /* one of them could not set what it should */
    bool bare;            /* no hook sees the answer, since one has failed on an earlier response */
    bool request_open;    /* request fields may change */
    bool handler_running; /* its on_request was WEIR_OK, on_end has not been called */
    bool want_new;        /* only a new connection: one in use was dead before */
    uint8_t moves;        /* connections that have left it unread */
    uint8_t attempt_reason, last_failure; /* enum reason: of the running attempt, or the last */
    bool tunnel;                          /* 101 was sent */
    bool blameless;                       /* the attempt's end says nothing about the server */
    bool was_reused;    /* the upstream connection had been used before this attempt came to it */
    bool continued;     /* a server has sent 100 */
    uint8_t keeps;      /* enum stream_keeps */
    int8_t grpc_status; /* of the response's trailers; -1: none came */
    struct exchange exchange;
    struct stream_home *home;
    struct downstream *downstream;
    struct plan *plan; /* referenced */
    struct listener_plan *listener;
    struct use *handler;    /* NULL: none answers it */
    struct pool_plan *pool; /* NULL: not routed (yet) */
    const struct route_plan *route;
    struct list link;   /* the home's */
    struct waiter wait; /* for a place at a server */
    struct attempt attempt;
    struct timer timer;
    struct timer deadline; /* request_timeout */
    struct freed freed;

    struct connect_waiter connect; /* for a connection to the server */

    /* bodies */
    struct replay replay; /* the request's body */
    uint64_t up_taken;    /* the server's progress when the stalled body was last checked */

    /* the client and the request id; see forwarding.h */
    struct weir_peer peer; /* .address.ptr NULL: the connection's */
    bool https;            /* the client's scheme */
    struct weir_str request_id;
    char request_id_text[RANDOM_ID_SIZE];
    char port_text[5]; /* X-Forwarded-Port, at its end */

    /* fields that Weir adds, built once per request */
    struct http_extra extras[STREAM_EXTRAS];
    uint8_t extra_count;

    /* times, monotonic ns */
    uint64_t start_ns, last_progress_ns;
    uint64_t start_wall_ms;
    struct weir_str detail;       /* why a message was refused: a constant; empty: see reason */
    struct etag_list *asked_weak; /* of the request; see etags.h */
    struct stream_slots *slots;   /* newest first, from the arena; sdk_request.c's */

    /* filters: stream_filter.c's */
    const struct use_list *route_filters; /* NULL: no route (yet), or it has none */
    struct instance *filtering;           /* whose on_response is running */
    struct chain *chain;                  /* of filters that transform the body; NULL: none */
};

static inline struct stream *stream_of(struct exchange *exchange)
{
    return container_of(exchange, struct stream, exchange);
}
static inline struct stream *stream_of_request(const struct weir_request *req)
{
    return container_of((struct weir_request *)(uintptr_t)req, struct stream, request_handle);
}
static inline struct stream *stream_of_response(const struct weir_response *resp)
{
    return container_of((struct weir_response *)(uintptr_t)resp, struct stream, response_handle);
}

static inline struct loop *stream_loop(const struct stream *stream)
{
    return stream->home->loop;
}
/* Its pool on its loop. */
static inline struct pool_local *stream_pool(const struct stream *stream)
{
    return &stream->pool->pool->locals[stream->home->loop->index];
}
/* A use's instance on its loop. */
static inline struct instance *stream_instance(const struct stream *stream, const struct use *use)
{
    return use_on(use, stream->home->loop->index);
}

static inline void stream_set_timer(struct stream *stream, uint64_t delay_ns)
{
    timer_set(stream_loop(stream), &stream->timer, delay_ns);
}

static inline void stream_progress(struct stream *stream)
{
    stream->last_progress_ns = loop_now_ns(stream_loop(stream));
}

/* Pauses the request's body until something takes it, and resumes it. */
static inline void stream_hold_body(struct stream *stream)
{
    struct down *down = stream->exchange.down;

    if (!stream->exchange.request_whole && !stream->down_paused) {
        stream->down_paused = true;
        down->ops->pause(down);
    }
}
static inline void stream_take_body(struct stream *stream)
{
    struct down *down = stream->exchange.down;

    if (stream->down_paused) {
        stream->down_paused = false;
        down->ops->resume(down);
    }
}

/* The client waits with its body for 100 or an answer. */
static inline bool stream_server_owes(const struct stream *stream)
{
    const struct exchange *exchange = &stream->exchange;
    return unlikely(exchange->request.expect_continue) && !exchange->request_whole &&
           !stream->continued && stream->replay.passed == 0;
}

/* ---- stream.c: the client's half ---- */
/* For a home whose connections have the stream_home as `user`. */
extern const struct down_events stream_down_events;

/* ---- stream_connect.c: on its way to a server ---- */
extern const struct waiter_events stream_waiter_events;
extern const struct connect_events stream_connect_events;
/* Chooses a server and gets a connection to it, or queues, or answers 503. */
void stream_assign(struct stream *stream);

/* ---- stream_up.c: the server's half ---- */
extern const struct up_events stream_up_events;
extern const struct up_owner stream_up_owner;
/* Leaves server, connection, queue and timer, and tells the balancer the outcome. */
void stream_leave_server(struct stream *stream, enum weir_outcome outcome);
/* The attempt has failed before a response began: tries another server, or answers. */
void stream_attempt_failed(struct stream *stream, enum reason reason, enum weir_outcome outcome,
                           bool nothing_sent);
/* No connection is to be had: tries another server, or answers. */
void stream_connect_failed(struct stream *stream, enum conn_error error);
/* It has left the queue: adds up its waiting time, and stops its timer. */
void stream_waited(struct stream *stream);
/* The attempt has failed, and the request with it: leaves the server, and answers or aborts the
 * response. */
void stream_fail(struct stream *stream, unsigned status, enum reason reason,
                 enum weir_outcome outcome);
/* The status for the reason. */
unsigned stream_reason_status(enum reason reason);

/* ---- stream_time.c ---- */
/* stream->timer: what it means depends on the phase. */
void stream_timeout(struct timer *timer);
/* stream->deadline: request_timeout has passed. */
void stream_overdue(struct timer *timer);

/* ---- stream_reply.c: answering oneself ---- */
/* A short answer in HTML or JSON, as Accept asks; the reason goes into log and counters. */
void stream_reply_error(struct stream *stream, unsigned status, enum reason reason);
/* 503 for a block of a module that is out (guard.h). */
void stream_reply_out(struct stream *stream, const struct use *use);
/* Aborts the response, or answers `status` if none has begun. */
void stream_break(struct stream *stream, unsigned status, enum reason reason);
/* 500 in place of a response on which a hook failed; no hook sees this one. */
void stream_reply_failed(struct stream *stream);
void stream_redirect(struct stream *stream, unsigned status, struct weir_str location);
/* Implements weir_reply_begin and the like of http.h. */
enum weir_status stream_reply_begin(struct weir_request *req, uint32_t status,
                                    const struct weir_field *fields, size_t count,
                                    int64_t content_length);
size_t stream_reply_write(struct weir_request *req, const void *data, size_t len);
void stream_reply_end(struct weir_request *req);
void stream_reply_abort(struct weir_request *req);
enum weir_status stream_reply_refusal(struct weir_request *req, uint32_t status,
                                      const struct weir_field *fields, size_t count);

/* ---- stream_keep.c: beyond the time of its plan ---- */
/* The plan is about to leave the loop: each of its streams keeps the modules that it may still
 * call. */
void streams_keep_modules(struct stream_home *home, const struct plan *plan);
/* At the end of one that does. */
void stream_unkeep_modules(struct stream *stream);

/* ---- stream_log.c: the end ---- */
/* Statistics and loggers. Once per stream that had a request. */
void stream_record(struct stream *stream, bool complete);

/* ---- sdk_request.c: the request half of the host's table ---- */
void sdk_request_fill(struct weir_host *host);

#endif
