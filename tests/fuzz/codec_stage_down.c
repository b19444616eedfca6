/* SPDX-License-Identifier: MIT */
/* The stage for codecs towards clients. See codec_stage.h. */
#include "fuzz/codec_stage_parts.h"

#include <stdlib.h>

#include "http/down_conn.h"

static unsigned behaviour;
static union down_place *place;
static struct down_conn *down;
static bool down_freed;
static struct down_conf down_conf;

static struct exchange *on_open(struct down_conn *of)
{
    HOLDS(of == down);
    return &stage_told_new()->exchange;
}

static void answer(struct told *of)
{
    struct exchange *exchange = &of->exchange;
    struct http_response_head *head = &exchange->response;
    struct down *at = exchange->down;
    bool streams = (behaviour & (STAGE_STREAMS | STAGE_LARGE)) != 0;

    if (of->answered || of->gone) {
        return;
    }
    of->answered = true;
    if (behaviour & STAGE_INTERIM) {
        at->ops->interim(at, &(struct http_response_head){.status = 103, .version = HTTP_1_1});
    }
    *head = (struct http_response_head){.status = 200,
                                        .version = HTTP_1_1,
                                        .body = streams ? BODY_CHUNKED : BODY_LENGTH,
                                        .content_length = streams ? 0 : 2,
                                        .has_content_length = !streams};
    if (exchange->error.status != 0) {
        head->status = exchange->error.status;
    }
    if (exchange->request.method == METHOD_HEAD) {
        head->body = BODY_NONE;
    }
    at->ops->head(at, head, false);
    at->ops->data(at, "o", 1);
    for (unsigned i = 0; i < 8 && (behaviour & STAGE_LARGE); i++) {
        at->ops->data(at, stage_large, sizeof(stage_large));
    }
    if (behaviour & STAGE_RESETS) {
        at->ops->reset(at);
        return;
    }
    at->ops->data(at, "k", 1);
    if (streams) {
        at->ops->trailer(at, STR("x-sum"), STR("1"));
    }
    at->ops->end(at);
    (void)at->ops->waiting(at);
}

static void on_request(struct exchange *exchange)
{
    struct told *of = told_of(exchange);

    HOLDS(of->phase == OPEN && !of->gone);
    of->phase = BODY;
    text_add_request(&of->text, &exchange->request);
    text_add(&of->text, " {");
    if (behaviour & STAGE_PAUSES) {
        exchange->down->ops->pause(exchange->down);
    }
    if (behaviour & STAGE_ANSWERS_EARLY) {
        answer(of);
    }
}

static void on_refused(struct exchange *exchange)
{
    struct told *of = told_of(exchange);

    HOLDS(of->phase == OPEN && !of->gone && exchange->error.status >= 400);
    of->phase = OVER;
    text_add(&of->text, "refused");
    answer(of);
}

static void on_data(struct exchange *exchange, const char *data, size_t len)
{
    struct told *of = told_of(exchange);

    HOLDS(of->phase == BODY && !of->gone && len > 0);
    text_add_bytes(&of->text, data, len);
}

static void on_trailer(struct exchange *exchange, struct weir_str name, struct weir_str value)
{
    struct told *of = told_of(exchange);

    HOLDS((of->phase == BODY || of->phase == TRAILERS) && !of->gone);
    of->phase = TRAILERS;
    text_add(&of->text, "|%.*s=[%.*s]", STR_ARGS(name), STR_ARGS(value));
}

static void on_request_end(struct exchange *exchange)
{
    struct told *of = told_of(exchange);

    HOLDS((of->phase == BODY || of->phase == TRAILERS) && !of->gone && exchange->request_whole);
    of->phase = WHOLE;
    stage.first_whole = stage.first_whole || of->number == 0;
    text_add(&of->text, "}");
    if (behaviour & STAGE_ANSWERS) {
        answer(of);
    }
}

static void on_moved(struct exchange *exchange)
{
    HOLDS(!told_of(exchange)->gone && exchange->down != NULL);
}

static void on_gone(struct exchange *exchange, enum down_gone why)
{
    struct told *of = told_of(exchange);

    HOLDS(!of->gone);
    text_add(&of->text, " gone");
    if (why == DOWN_GONE_CLOSED) {
        of->gone = true;
    } else if (exchange->response_begun) {
        exchange->down->ops->reset(exchange->down);
    } else {
        answer(of);
    }
}

static void on_close(struct exchange *exchange, bool complete)
{
    struct told *of = told_of(exchange);

    HOLDS(!complete || exchange->response_whole);
    stage_told_end(of);
}

static const struct down_events down_events = {
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

static const struct down_conf *conf_of(struct down_conn *of)
{
    (void)of;
    return &down_conf;
}

static void on_odd(struct down_conn *of, unsigned points, const char *ends)
{
    HOLDS(of == down && points > 0);
    (void)ends;
}

static void on_down_closed(struct down_conn *of)
{
    HOLDS(of == down && stage.running == 0);
    down = NULL;
    stage.alive = false;
}

static void on_free(struct down_conn *of)
{
    HOLDS(of == &place->c);
    free(place);
    down_freed = true;
}

static const struct down_owner down_owner = {.events = &down_events,
                                             .conf = conf_of,
                                             .on_odd = on_odd,
                                             .on_closed = on_down_closed,
                                             .on_free = on_free};

void stage_down_begin(unsigned how)
{
    struct conn *conn = stage_conn();

    behaviour = how;
    down_conf = (struct down_conf){
        .limits = {.head = 2048, .fields = 20, .target = 512},
        .header_timeout_ns = 60 * NS_PER_SECOND,
        .body_timeout_ns = 60 * NS_PER_SECOND,
        .idle_timeout_ns = 60 * NS_PER_SECOND,
        .handshake_timeout_ns = 60 * NS_PER_SECOND,
        .h2c = true,
        .h2_streams = 10,
        .h2_window = 65535,
        .abuse_limit = 500,
    };
    down_freed = false;
    place = base_zalloc(sizeof(*place));
    down = &place->c;
    stage.alive = true;
    down_conn_begin(down, conn, &stage.batch, &down_owner);
}

void stage_down_act(uint8_t choice)
{
    struct told *of = stage.told[choice >> 3 & 7];

    if (of == NULL || of->gone || of->phase == OPEN) {
        return;
    }
    struct down *at = of->exchange.down;
    switch (choice & 7) {
    case 0: at->ops->resume(at); break;
    case 1: answer(of); break;
    case 2: (void)at->ops->waiting(at); break;
    case 3: (void)at->ops->look(at); break;
    case 4: at->ops->pause(at); break;
    default:
        if (of->answered && !of->exchange.response_whole) {
            at->ops->reset(at);
        }
        break;
    }
    batch_flush(&stage.batch);
    stage_turn(TURNS);
    stage_drain();
}

struct text stage_down_end(unsigned most)
{
    if (down != NULL) {
        down_conn_abort(down);
    }
    stage_turn(TURNS);
    HOLDS(down == NULL && down_freed);
    stage_hang_up();
    stage_forget();
    return stage_texts(most);
}
