/* SPDX-License-Identifier: MIT */
/* The stage for codecs towards servers. See codec_stage.h. */
#include "fuzz/codec_stage_parts.h"

#include "http/up_conn.h"

static struct up_conn *up;

static void tell_response(struct text *text, const struct http_response_head *head)
{
    text_add(text, "%u body %d:%llu", head->status, head->body,
             (unsigned long long)(head->body == BODY_LENGTH ? head->content_length : 0));
    text_add_fields(text, &head->fields);
}

static void on_interim(struct exchange *exchange, struct http_response_head *head)
{
    struct told *of = told_of(exchange);

    HOLDS(of->phase == OPEN && exchange->up != NULL && head->status < 200);
    tell_response(&of->text, head);
    text_add(&of->text, " ");
}

static void on_response(struct exchange *exchange)
{
    struct told *of = told_of(exchange);

    HOLDS(of->phase == OPEN && exchange->up != NULL);
    HOLDS(exchange->response.status >= 200 || exchange->response.body == BODY_TUNNEL);
    of->phase = BODY;
    tell_response(&of->text, &exchange->response);
    text_add(&of->text, " {");
}

static void on_up_data(struct exchange *exchange, const char *data, size_t len)
{
    struct told *of = told_of(exchange);

    HOLDS(of->phase == BODY && exchange->up != NULL && len > 0);
    text_add_bytes(&of->text, data, len);
}

static void on_up_trailer(struct exchange *exchange, struct weir_str name, struct weir_str value)
{
    struct told *of = told_of(exchange);

    HOLDS((of->phase == BODY || of->phase == TRAILERS) && exchange->up != NULL);
    of->phase = TRAILERS;
    text_add(&of->text, "|%.*s=[%.*s]", STR_ARGS(name), STR_ARGS(value));
}

static void on_response_end(struct exchange *exchange)
{
    struct told *of = told_of(exchange);

    HOLDS((of->phase == BODY || of->phase == TRAILERS) && exchange->up != NULL);
    of->phase = WHOLE;
    stage.first_whole = stage.first_whole || of->number == 0;
    text_add(&of->text, "}");
    exchange->up->ops->release(exchange->up);
    HOLDS(exchange->up == NULL);
    stage_told_end(of);
}

static void on_up_moved(struct exchange *exchange)
{
    HOLDS(exchange->up != NULL && told_of(exchange)->phase != OVER);
}

static void on_failed(struct exchange *exchange, enum up_failure why)
{
    struct told *of = told_of(exchange);

    HOLDS(of->phase != WHOLE && of->phase != OVER && exchange->up == NULL);
    HOLDS(why != UP_MALFORMED || exchange->error.reason != NULL);
    text_add(&of->text, "%s", of->phase == OPEN ? "failed" : " cut");
    of->phase = OVER;
    stage_told_end(of);
}

static const struct up_events up_events = {
    .on_interim = on_interim,
    .on_response = on_response,
    .on_data = on_up_data,
    .on_trailer = on_up_trailer,
    .on_response_end = on_response_end,
    .on_flushed = on_up_moved,
    .on_drained = on_up_moved,
    .on_failed = on_failed,
};

static void on_room(struct up_conn *of)
{
    HOLDS(of == up);
}

static void on_up_odd(struct up_conn *of, unsigned points, const char *ends)
{
    HOLDS(of == up && points > 0);
    (void)ends;
}

static void on_up_closed(struct up_conn *of)
{
    HOLDS(of == up);
    up = NULL;
    stage.alive = false;
}

static const struct up_owner up_owner = {
    .events = &up_events, .on_room = on_room, .on_odd = on_up_odd, .on_closed = on_up_closed};

void stage_up_begin(bool h2)
{
    static const struct http_limits limits = {.head = 2048, .fields = 20, .target = 1};
    struct conn *conn = stage_conn();
    const struct up_codec *codec = up_protocol_codec(h2 ? UP_HTTP_2 : UP_HTTP_1, false);

    up = up_conn_open(codec, conn, &stage.batch, &limits, &up_owner, NULL);
    HOLDS(up != NULL);
    stage.alive = true;
    if (h2) {
        stage_frames(true);
    }
    stage_turn(TURNS);
}

int stage_up_ask(const char *method, bool body, bool websocket)
{
    if (up == NULL || up->room == 0 || stage.opened == EXCHANGES) {
        return -1;
    }
    struct told *of = stage_told_new();
    struct exchange *exchange = &of->exchange;
    struct http_request_head *head = &exchange->request;
    int number = (int)of->number;

    *head = (struct http_request_head){.method_name = {method, strlen(method)},
                                       .target = STR("/"),
                                       .path = STR("/"),
                                       .authority = STR("h"),
                                       .host = STR("h"),
                                       .version = HTTP_1_1,
                                       .body = body ? BODY_CHUNKED : BODY_NONE,
                                       .upgrade_websocket = websocket,
                                       .keep_alive = true};
    head->method = method_of(head->method_name);
    if (!up_conn_use(up, exchange, false)) {
        stage_told_end(of);
        return -1;
    }
    bool sent = exchange->up->ops->head(exchange->up, NULL, 0);
    of->ended = !body && !websocket;
    if (sent && of->ended) {
        exchange->up->ops->end(exchange->up);
    }
    HOLDS(sent);
    batch_flush(&stage.batch);
    stage_turn(TURNS);
    stage_drain();
    return number;
}

static void let_go(struct told *of)
{
    of->exchange.up->ops->release(of->exchange.up);
    HOLDS(of->exchange.up == NULL);
    text_add(&of->text, " left");
    stage_told_end(of);
}

void stage_up_act(uint8_t choice)
{
    struct told *of = stage.told[choice >> 3 & 7];

    if (of == NULL) {
        return;
    }
    struct up *at = of->exchange.up;
    HOLDS(at != NULL);
    switch (choice & 7) {
    case 0:
    case 1:
        if (!of->ended) {
            at->ops->data(at, stage_large, (choice & 7) == 0 ? 4 : sizeof(stage_large));
        }
        break;
    case 2: at->ops->pause(at); break;
    case 3: at->ops->resume(at); break;
    case 4: (void)at->ops->waiting(at); break;
    case 5: (void)at->ops->taken_mark(at); break;
    case 6:
        if (!of->ended) {
            of->ended = true;
            at->ops->trailer(at, STR("x-sum"), STR("1"));
            at->ops->end(at);
        }
        break;
    default: let_go(of); break;
    }
    batch_flush(&stage.batch);
    stage_turn(TURNS);
    stage_drain();
}

struct text stage_up_end(unsigned most)
{
    for (unsigned i = 0; i < EXCHANGES; i++) {
        if (stage.told[i] != NULL) {
            let_go(stage.told[i]);
        }
    }
    if (up != NULL) {
        up_conn_close(up);
    }
    stage_turn(TURNS);
    HOLDS(up == NULL);
    stage_hang_up();
    stage_forget();
    return stage_texts(most);
}
