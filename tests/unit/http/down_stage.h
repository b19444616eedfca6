/* SPDX-License-Identifier: MIT */
/*
 * The stage of h1_down's tests: a client's socket, the codec, and streams that only take notes,
 * such as `METHOD path{body|trailers}close` for an exchange that went well. Each file has one of
 * its own.
 */
#ifndef WEIR_TESTS_UNIT_HTTP_DOWN_STAGE_H
#define WEIR_TESTS_UNIT_HTTP_DOWN_STAGE_H

#include "http/h1_down_parts.h"
#include "notes.h"
#include "runner.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"

#define H    "Host: h\r\n"
#define GET  "GET / HTTP/1.1\r\n" H "\r\n"
#define DONE "GET /{}close "
#define OK   "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define REFUSED(status_line) \
    "HTTP/1.1 " status_line "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
#define BYE "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"

static const char *const bodies_to_come[] = {"Content-Length: 5\r\n\r\n",
                                             "Transfer-Encoding: chunked\r\n\r\n"};

/* A stream that takes notes. */
struct fake {
    struct exchange exchange;
    struct freed freed;
};

typedef void (*reaction)(struct fake *fake);

static struct loop *loop;
static struct batch batch;
static struct end client;
static union down_place *place;
static struct down_conn *server; /* NULL: closed */
static struct down_conf conf;
static struct notes *notes;
static struct fake *current;
static bool closed, conf_gone;
/* What a stream does when the head, and when the whole request is here; NULL: nothing. */
static reaction on_head, on_whole;

/* ---- streams ---- */

static inline struct fake *fake_of(struct exchange *exchange)
{
    return container_of(exchange, struct fake, exchange);
}

static inline struct exchange *note_open(struct down_conn *of)
{
    struct fake *fake = base_zalloc(sizeof(*fake));
    ck_assert_ptr_eq(of, server);
    ck_assert_ptr_null(current);
    current = fake;
    arena_init(&fake->exchange.arena, NULL, 0);
    return &fake->exchange;
}

static inline void answer_as(struct fake *fake, unsigned status, enum http_body body,
                             const char *text)
{
    struct exchange *exchange = &fake->exchange;
    struct http_response_head *head = &exchange->response;
    const struct down_ops *ops = exchange->down->ops;
    *head =
        (struct http_response_head){.status = (uint16_t)status, .version = HTTP_1_1, .body = body};
    head->content_length = strlen(text);
    head->has_content_length = body == BODY_LENGTH;
    if (exchange->request.method == METHOD_HEAD) {
        head->body = BODY_NONE;
    }
    ops->head(exchange->down, head, false);
    ops->data(exchange->down, text, strlen(text));
    ops->end(exchange->down);
}

static inline void answer(struct fake *fake)
{
    answer_as(fake, 200, BODY_LENGTH, "ok");
}

static inline void note_request(struct exchange *exchange)
{
    notes_add(notes, "%.*s %.*s{", STR_ARGS(exchange->request.method_name),
              STR_ARGS(exchange->request.path));
    if (on_head != NULL) {
        on_head(fake_of(exchange));
    }
}

static inline void note_refused(struct exchange *exchange)
{
    notes_add(notes, "refused %s ", exchange->error.reason);
    answer_as(fake_of(exchange), exchange->error.status, BODY_LENGTH, "");
}

static inline void note_data(struct exchange *exchange, const char *data, size_t len)
{
    (void)exchange;
    ck_assert_uint_gt(len, 0);
    notes_add_bytes(notes, data, len);
}

static inline void note_trailer(struct exchange *exchange, struct weir_str name,
                                struct weir_str value)
{
    (void)exchange;
    notes_add(notes, "|%.*s: %.*s", STR_ARGS(name), STR_ARGS(value));
}

static inline void note_request_end(struct exchange *exchange)
{
    ck_assert(exchange->request_whole);
    notes_add(notes, "}");
    if (on_whole != NULL) {
        on_whole(fake_of(exchange));
    }
}

static inline void note_flushed(struct exchange *exchange)
{
    ck_assert_ptr_eq(exchange, &current->exchange);
}

static inline void note_gone(struct exchange *exchange, enum down_gone why)
{
    static const char *const words[] = {"closed", "timeout", "protocol"};
    notes_add(notes, "gone %s ", words[why]);
    if (why == DOWN_GONE_CLOSED) {
        return;
    }
    if (exchange->response_begun) {
        exchange->down->ops->reset(exchange->down);
    } else {
        answer_as(fake_of(exchange), exchange->error.status, BODY_LENGTH, "");
    }
}

static inline void fake_free(struct freed *freed)
{
    free(container_of(freed, struct fake, freed));
}

static inline void note_close(struct exchange *exchange, bool complete)
{
    struct fake *fake = fake_of(exchange);
    notes_add(notes, complete ? "close " : "cut ");
    ck_assert_ptr_eq(fake, current);
    current = NULL;
    arena_reset(&exchange->arena);
    loop_free_later(loop, &fake->freed, fake_free);
}

static const struct down_events events = {
    .on_open = note_open,
    .on_request = note_request,
    .on_refused = note_refused,
    .on_data = note_data,
    .on_trailer = note_trailer,
    .on_request_end = note_request_end,
    .on_flushed = note_flushed,
    .on_drained = note_flushed,
    .on_gone = note_gone,
    .on_close = note_close,
};

static inline const struct down_conf *note_conf(struct down_conn *of)
{
    (void)of;
    return conf_gone ? NULL : &conf;
}

static inline void note_closed(struct down_conn *of)
{
    ck_assert_ptr_eq(of, server);
    closed = true;
    server = NULL;
}

static inline void note_free(struct down_conn *of)
{
    ck_assert(closed);
    ck_assert_ptr_eq(of, &place->c);
    free(place);
}

static const struct down_owner owner = {
    .events = &events,
    .conf = note_conf,
    .on_closed = note_closed,
    .on_free = note_free,
};

/* ---- the stage ---- */

static inline void set_up_with(void (*make_pair)(int fds[2]))
{
    int fds[2];
    loop = loop_new(0);
    ck_assert_ptr_nonnull(loop);
    batch = (struct batch){0};
    notes = base_zalloc(sizeof(*notes));
    conf = (struct down_conf){
        .limits = {.head = 2048, .fields = 20, .target = 512},
        .header_timeout_ns = 60 * NS_PER_SECOND,
        .body_timeout_ns = 60 * NS_PER_SECOND,
        .idle_timeout_ns = 60 * NS_PER_SECOND,
        .handshake_timeout_ns = 60 * NS_PER_SECOND,
    };
    closed = conf_gone = false;
    current = NULL;
    on_head = NULL;
    on_whole = answer;
    make_pair(fds);
    client = (struct end){0};
    client.conn = conn_accept(loop, fds[0], NULL, &end_ops, &client);
    struct conn *conn = conn_accept(loop, fds[1], NULL, NULL, NULL);
    place = base_zalloc(sizeof(*place));
    server = &place->c;
    down_conn_begin(server, conn, &batch, &owner);
}

static inline void set_up(void)
{
    set_up_with(tcp_pair);
}

/* Sockets that buffer more than may be kept. */
static inline void large_pair(int fds[2])
{
    const int size = 1 << 20;
    unix_pair(fds);
    ck_assert_int_eq(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
}

static inline void set_up_large(void)
{
    set_up_with(large_pair);
}

static inline void tear_down(void)
{
    if (!closed) {
        down_conn_abort(server);
    }
    ck_assert(closed);
    end_free(&client);
    run_turns(loop, 2);
    loop_free(&loop);
    free(notes);
}

static inline void say(const char *text)
{
    ck_assert(end_send(&client, text));
}

/* The answer is made outside a callback: flushes the batch as a callback's end would. */
static inline void flush(void)
{
    batch_flush(&batch);
}

static inline void client_half_close(void)
{
    conn_shutdown(client.conn);
}

static inline void client_reset(void)
{
    conn_close(&client.conn, true);
}

static inline void answer_later(struct fake *fake)
{
    (void)fake;
}

static inline void begin_answer(struct fake *fake)
{
    struct down *down = fake->exchange.down;
    fake->exchange.response = (struct http_response_head){
        .status = 200, .version = HTTP_1_1, .body = BODY_LENGTH, .content_length = 5};
    down->ops->head(down, &fake->exchange.response, false);
}

#endif
