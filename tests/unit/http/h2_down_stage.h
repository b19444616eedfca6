/* SPDX-License-Identifier: MIT */
/*
 * The stage of h2_down's tests: a client of frames, the codec, and streams that only take notes,
 * each event behind the stream's number. Each file has one of its own.
 */
#ifndef WEIR_TESTS_UNIT_HTTP_H2_DOWN_STAGE_H
#define WEIR_TESTS_UNIT_HTTP_H2_DOWN_STAGE_H

#include "h2_peer.h"
#include "runner.h"

#include <stdlib.h>

#include "base/base.h"
#include "http/h2_down.h"

#define GET  ":method=GET :scheme=http :path=/ :authority=h"
#define POST ":method=POST :scheme=http :path=/ :authority=h"

/* A stream that takes notes. */
struct fake {
    struct exchange exchange;
    struct freed freed;
    struct list link;
    unsigned number;
};

static struct loop *loop;
static struct batch batch;
static struct h2_peer peer;
static union down_place *place;
static struct down_conn *server; /* NULL: closed */
static struct down_conf conf;
static struct notes *notes;
static struct list fakes;
static unsigned opened;
static bool conf_gone, answers, pauses;
static unsigned odd_points, abuses;
static const char *answer_text;
static const char *gone_text; /* of what answers a client that is late or wrong */
/* What happens when a stream has come to its end; NULL: nothing. */
static void (*at_close)(struct fake *fake);

static inline struct fake *fake_of(struct exchange *exchange)
{
    return container_of(exchange, struct fake, exchange);
}

static inline struct fake *fake_number(unsigned number)
{
    list_each(link, &fakes)
    {
        struct fake *fake = container_of(link, struct fake, link);
        if (fake->number == number) {
            return fake;
        }
    }
    return NULL;
}

static inline struct exchange *on_open(struct down_conn *of)
{
    struct fake *fake = base_zalloc(sizeof(*fake));
    ck_assert_ptr_eq(of, server);
    fake->number = opened++;
    arena_init(&fake->exchange.arena, NULL, 0);
    list_push_back(&fakes, &fake->link);
    return &fake->exchange;
}

static inline void answer(struct exchange *exchange, uint16_t status, const char *text)
{
    const struct down_ops *ops = exchange->down->ops;
    exchange->response = (struct http_response_head){
        .status = status, .body = BODY_LENGTH, .content_length = strlen(text)};
    ops->head(exchange->down, &exchange->response, false);
    ops->data(exchange->down, text, strlen(text));
    ops->end(exchange->down);
}

static inline void on_request(struct exchange *exchange)
{
    notes_add(notes, "%u:%.*s{ ", fake_of(exchange)->number,
              STR_ARGS(exchange->request.method_name));
    if (pauses) {
        exchange->down->ops->pause(exchange->down);
    }
    if (answers) {
        answer(exchange, 200, answer_text);
    }
}

static inline void on_refused(struct exchange *exchange)
{
    notes_add(notes, "%u?%s ", fake_of(exchange)->number, exchange->error.reason);
    answer(exchange, exchange->error.status, "");
}

static inline void on_data(struct exchange *exchange, const char *data, size_t len)
{
    notes_add(notes, "%u:", fake_of(exchange)->number);
    notes_add_bytes(notes, data, len);
    notes_add(notes, " ");
}

static inline void on_trailer(struct exchange *exchange, struct weir_str name,
                              struct weir_str value)
{
    notes_add(notes, "%u|%.*s=%.*s ", fake_of(exchange)->number, STR_ARGS(name), STR_ARGS(value));
}

static inline void on_request_end(struct exchange *exchange)
{
    ck_assert(exchange->request_whole);
    notes_add(notes, "%u} ", fake_of(exchange)->number);
}

static inline void on_moved(struct exchange *exchange)
{
    ck_assert_ptr_nonnull(exchange->down);
}

static inline void on_gone(struct exchange *exchange, enum down_gone why)
{
    static const char *const words[] = {"closed", "timeout", "protocol"};
    notes_add(notes, "%u!%s ", fake_of(exchange)->number, words[why]);
    if (why != DOWN_GONE_CLOSED && !exchange->response_begun) {
        answer(exchange, exchange->error.status, gone_text);
    } else if (why != DOWN_GONE_CLOSED) {
        exchange->down->ops->reset(exchange->down);
    }
}

static inline void fake_free(struct freed *freed)
{
    free(container_of(freed, struct fake, freed));
}

static inline void on_close(struct exchange *exchange, bool complete)
{
    struct fake *fake = fake_of(exchange);
    notes_add(notes, "%u%s ", fake->number, complete ? "." : "-");
    list_remove(&fake->link);
    arena_reset(&exchange->arena);
    exchange->down = NULL;
    if (at_close != NULL) {
        at_close(fake);
    }
    loop_free_later(loop, &fake->freed, fake_free);
}

static const struct down_events events = {
    .on_open = on_open,
    .on_request = on_request,
    .on_refused = on_refused,
    .on_data = on_data,
    .on_trailer = on_trailer,
    .on_request_end = on_request_end,
    .on_flushed = on_moved,
    .on_drained = on_moved,
    .on_gone = on_gone,
    .on_close = on_close,
};

static inline const struct down_conf *conf_of(struct down_conn *of)
{
    (void)of;
    return conf_gone ? NULL : &conf;
}

static inline void on_odd(struct down_conn *of, unsigned points, const char *ends)
{
    ck_assert_ptr_eq(of, server);
    odd_points += points;
    abuses += ends != NULL;
}

static inline void on_closed(struct down_conn *of)
{
    ck_assert_ptr_eq(of, server);
    ck_assert(list_empty(&fakes));
    server = NULL;
}

static inline void on_free(struct down_conn *of)
{
    ck_assert_ptr_eq(of, &place->c);
    free(place);
}

static const struct down_owner owner = {.events = &events,
                                        .conf = conf_of,
                                        .on_odd = on_odd,
                                        .on_closed = on_closed,
                                        .on_free = on_free};

static inline void set_up(void)
{
    int fds[2];

    loop = loop_new(0);
    batch = (struct batch){0};
    notes = base_zalloc(sizeof(*notes));
    list_init(&fakes);
    opened = 0;
    conf_gone = pauses = false;
    odd_points = abuses = 0;
    at_close = NULL;
    answer_text = "ok";
    gone_text = "";
    answers = true;
    conf = (struct down_conf){
        .limits = {.head = 2048, .fields = 20, .target = 512},
        .header_timeout_ns = 60 * NS_PER_SECOND,
        .body_timeout_ns = 60 * NS_PER_SECOND,
        .idle_timeout_ns = 60 * NS_PER_SECOND,
        .handshake_timeout_ns = 60 * NS_PER_SECOND,
        .h2c = true,
        .h2_streams = 10,
        .h2_window = 65536,
    };
    tcp_pair(fds);
    struct conn *conn = conn_accept(loop, fds[1], NULL, NULL, NULL);
    place = base_zalloc(sizeof(*place));
    server = &place->c;
    down_conn_begin(server, conn, &batch, &owner);
    peer_begin(&peer, loop, fds[0], true);
}

static inline void tear_down(void)
{
    if (server != NULL) {
        down_conn_abort(server);
    }
    ck_assert_ptr_null(server);
    peer_end(&peer);
    run_turns(loop, 2);
    loop_free(&loop);
    free(notes);
}

static inline void expect(const char *wanted)
{
    wait_notes(loop, notes, wanted);
}

#endif
