/* SPDX-License-Identifier: MIT */
/*
 * The stage of h1_up's tests: a server's socket, the codec, and streams that only take notes:
 * `status{body|trailers}` for an answer, then `idle` or `closed` for what becomes of the
 * connection. Each file has one of its own.
 */
#ifndef WEIR_TESTS_UNIT_HTTP_UP_STAGE_H
#define WEIR_TESTS_UNIT_HTTP_UP_STAGE_H

#include "http/h1_parse.h"
#include "http/up_conn.h"
#include "notes.h"
#include "runner.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"

#define OK    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define ASKED "GET / HTTP/1.1\r\nHost: h\r\n\r\n"

static struct loop *loop;
static struct batch batch;
static struct end peer; /* the server's end */
static struct up_conn *client;
static struct notes *notes;
static struct exchange *exchange;
/* When the connection is idle again it serves this exchange at once, as one that had waited. */
static struct exchange *queued;
static bool stays;        /* the stream does not let go at the response's end */
static uint64_t tires_ns; /* what modules take of the turn for each piece of a body */
static uint64_t piece_turn;
static unsigned pieces, most_pieces; /* of a body, in a turn */

/* ---- streams ---- */

static inline void note_interim(struct exchange *of, struct http_response_head *head)
{
    ck_assert_ptr_eq(of, exchange);
    notes_add(notes, "%u ", head->status);
}

static inline void note_response(struct exchange *of)
{
    ck_assert_ptr_eq(of, exchange);
    notes_add(notes, "%u{", of->response.status);
}

static inline void note_data(struct exchange *of, const char *data, size_t len)
{
    ck_assert_ptr_eq(of, exchange);
    ck_assert_uint_gt(len, 0);
    notes_add_bytes(notes, data, len);
    pieces = piece_turn == loop->turn ? pieces + 1 : 1;
    piece_turn = loop->turn;
    most_pieces = pieces > most_pieces ? pieces : most_pieces;
    if (tires_ns > 0) {
        loop_lose(loop, tires_ns);
    }
}

static inline void note_trailer(struct exchange *of, struct weir_str name, struct weir_str value)
{
    ck_assert_ptr_eq(of, exchange);
    notes_add(notes, "|%.*s: %.*s", STR_ARGS(name), STR_ARGS(value));
}

static inline void let_go(void)
{
    struct exchange *of = exchange; /* the next one may get the connection at once */
    if (of->up != NULL) {
        of->up->ops->release(of->up);
    }
    ck_assert_ptr_null(of->up);
}

static inline void note_response_end(struct exchange *of)
{
    ck_assert_ptr_eq(of, exchange);
    notes_add(notes, "} ");
    if (!stays) {
        let_go();
    }
}

static inline void note_flushed(struct exchange *of)
{
    ck_assert_ptr_eq(of, exchange);
    ck_assert_ptr_nonnull(of->up);
}

static inline void note_failed(struct exchange *of, enum up_failure why)
{
    static const char *const words[] = {"reset",   "stale", "malformed", "truncated", "unread",
                                        "refused", "left",  "foreign",   "stray",     "overlong"};
    ck_assert_ptr_eq(of, exchange);
    ck_assert_ptr_null(of->up);
    notes_add(notes, "failed %s ", words[why]);
    if (why == UP_MALFORMED || why == UP_STRAY) {
        notes_add(notes, "%s ", of->error.reason);
    }
}

static const struct up_events events = {
    .on_interim = note_interim,
    .on_response = note_response,
    .on_data = note_data,
    .on_trailer = note_trailer,
    .on_response_end = note_response_end,
    .on_flushed = note_flushed,
    .on_drained = note_flushed,
    .on_failed = note_failed,
};

static inline void note_idle(struct up_conn *of)
{
    ck_assert_ptr_eq(of, client);
    notes_add(notes, "idle ");
    if (queued != NULL) {
        exchange = queued;
        queued = NULL;
        ck_assert(up_conn_use(client, exchange, false));
        ck_assert(exchange->up->ops->head(exchange->up, NULL, 0));
    }
}

static inline void note_closed(struct up_conn *of)
{
    ck_assert_ptr_eq(of, client);
    notes_add(notes, "closed ");
    client = NULL;
}

static const struct up_owner owner = {
    .events = &events,
    .on_room = note_idle,
    .on_closed = note_closed,
};

/* ---- the stage ---- */

static inline void parse_request(struct exchange *of, const char *raw)
{
    const struct http_limits limits = {.head = 2048, .fields = 20, .target = 512};
    struct h1_scan scan = {0};
    size_t used;
    arena_reset(&of->arena);
    ck_assert_int_eq(h1_parse_request(raw, strlen(raw), &limits, &scan, &of->arena, &of->request,
                                      &used, &of->error),
                     H1_DONE);
    fields_drop_hop_by_hop(&of->request.fields);
}

static inline struct exchange *exchange_new(void)
{
    struct exchange *made = base_zalloc(sizeof(*made));
    arena_init(&made->arena, NULL, 0);
    return made;
}

static inline void exchange_free(struct exchange *of)
{
    arena_reset(&of->arena);
    free(of);
}

static inline void set_up(void)
{
    const struct http_limits limits = {.head = 2048, .fields = 20, .target = 1};
    int fds[2];
    loop = loop_new(0);
    ck_assert_ptr_nonnull(loop);
    batch = (struct batch){0};
    notes = base_zalloc(sizeof(*notes));
    exchange = exchange_new();
    queued = NULL;
    stays = false;
    tires_ns = most_pieces = pieces = 0;
    tcp_pair(fds);
    peer = (struct end){0};
    peer.conn = conn_accept(loop, fds[0], NULL, &end_ops, &peer);
    struct conn *conn = conn_accept(loop, fds[1], NULL, NULL, NULL);
    client = up_conn_open(NULL, conn, &batch, &limits, &owner, NULL);
    ck_assert_ptr_nonnull(client);
}

static inline void tear_down(void)
{
    stays = false;
    if (exchange->up != NULL) {
        let_go();
    }
    if (client != NULL) {
        up_conn_close(client);
    }
    end_free(&peer);
    run_turns(loop, 2);
    loop_free(&loop);
    exchange_free(exchange);
    free(notes);
}

/* Sends a request; false: the connection turned out to be closed. */
static inline bool ask_with(const char *raw, bool probe)
{
    if (exchange->up != NULL) {
        let_go();
    }
    parse_request(exchange, raw);
    exchange->response = (struct http_response_head){0};
    if (!up_conn_use(client, exchange, probe)) {
        return false;
    }
    ck_assert(exchange->up->ops->head(exchange->up, NULL, 0));
    batch_flush(&batch);
    return true;
}

static inline void ask(const char *raw)
{
    ck_assert(ask_with(raw, false));
}

static inline void say(const char *text)
{
    ck_assert(end_send(&peer, text));
}

static inline void peer_close(void)
{
    conn_shutdown(peer.conn);
}

static inline void peer_reset(void)
{
    conn_close(&peer.conn, true);
}

/* Reads no more either. */
static inline void peer_leave(void)
{
    conn_close(&peer.conn, false);
}

#endif
