/* SPDX-License-Identifier: MIT */
/* Streams that check what codecs tell them. See codec_stage.h. */
#include "fuzz/codec_stage.h"

#include <arpa/inet.h>
#include <nghttp2/nghttp2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "fuzz/property.h"
#include "http/down_conn.h"
#include "http/up_conn.h"
#include "http/websocket.h"
#include "net/conn.h"

#define LARGE_PIECE 20000u
#define EXCHANGES   64u
#define TURNS       4u

/* What a stream may be told next. */
enum phase { OPEN, BODY, TRAILERS, WHOLE, OVER };

struct told {
    struct exchange exchange;
    struct freed freed;
    unsigned number;
    enum phase phase; /* of what comes */
    bool answered;
    bool ended; /* its request */
    bool gone;  /* only on_close follows */
    struct text text;
};

static struct loop *loop;
static struct batch batch;
static int peer = -1;
static unsigned behaviour, opened, running;
static struct told *told[EXCHANGES]; /* by number, until they are over */
static struct text texts[EXCHANGES];
static char large[LARGE_PIECE];
static bool first_whole; /* the first exchange's message has come to its end */

static union down_place *place;
static struct down_conn *down;
static bool down_freed;
static struct down_conf down_conf;

static struct up_conn *up;

/* ---- input and text ---- */

uint8_t input_byte(struct input *input)
{
    return input->at < input->end ? *input->at++ : 0;
}

struct weir_str input_bytes(struct input *input, size_t len)
{
    size_t left = (size_t)(input->end - input->at);
    struct weir_str bytes = {(const char *)input->at, len < left ? len : left};

    input->at += bytes.len;
    return bytes;
}

static void make_room(struct text *text, size_t len)
{
    if (text->len + len + 1 > text->size) {
        text->size = 2 * (text->len + len + 1);
        text->at = base_realloc(text->at, text->size);
    }
}

void text_add_bytes(struct text *text, const void *data, size_t len)
{
    make_room(text, len);
    if (len > 0) {
        memcpy(text->at + text->len, data, len);
    }
    text->len += len;
    text->at[text->len] = '\0';
}

void text_add(struct text *text, const char *format, ...)
{
    char line[8192];
    va_list args;

    va_start(args, format);
    int len = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    HOLDS(len >= 0);
    text_add_bytes(text, line, (size_t)len < sizeof(line) ? (size_t)len : sizeof(line) - 1);
}

void text_free(struct text *text)
{
    free(text->at);
    *text = (struct text){0};
}

void text_add_frame(struct text *text, uint8_t type, uint8_t flags, uint32_t stream,
                    const void *payload, size_t len)
{
    uint32_t size = htonl((uint32_t)len << 8), id = htonl(stream);

    text_add_bytes(text, &size, 3);
    text_add_bytes(text, &type, 1);
    text_add_bytes(text, &flags, 1);
    text_add_bytes(text, &id, 4);
    text_add_bytes(text, payload, len);
}

/* ---- turning ---- */

struct turning {
    struct task task;
    unsigned left;
};

static void turn_again(struct task *task)
{
    struct turning *turning = container_of(task, struct turning, task);

    if (turning->left-- == 0) {
        loop_stop(loop);
    } else {
        task_queue(loop, task);
    }
}

static void turn(unsigned turns)
{
    struct turning turning = {.task = {.fn = turn_again}, .left = turns};

    task_queue(loop, &turning.task);
    loop_run(loop);
}

/* What has come for the other end: frames of HTTP/2 are whole and can be decoded. */
static struct {
    bool framed;
    size_t skip; /* of a preface */
    struct text text;
    nghttp2_hd_inflater *inflater;
} seen;

static void decode(const uint8_t *at, size_t left)
{
    nghttp2_nv pair;
    int flags = 0;

    while ((flags & NGHTTP2_HD_INFLATE_FINAL) == 0) {
        ssize_t used = nghttp2_hd_inflate_hd2(seen.inflater, &pair, &flags, at, left, 1);
        HOLDS(used >= 0);
        at += used;
        left -= (size_t)used;
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
            HOLDS(nghttp2_check_header_name(pair.name, pair.namelen) != 0);
            HOLDS(nghttp2_check_header_value_rfc9113(pair.value, pair.valuelen) != 0);
        }
    }
    nghttp2_hd_inflate_end_headers(seen.inflater);
}

static void look_at_frames(void)
{
    size_t at = seen.skip;

    while (seen.text.len >= at + 9) {
        const uint8_t *frame = (const uint8_t *)seen.text.at + at;
        size_t len = (size_t)frame[0] << 16 | (size_t)frame[1] << 8 | frame[2];
        HOLDS(len <= 16384 && frame[3] <= NGHTTP2_WINDOW_UPDATE && (frame[5] & 0x80) == 0);
        if (seen.text.len < at + 9 + len) {
            break;
        }
        if (frame[3] == NGHTTP2_HEADERS) {
            HOLDS((frame[4] & NGHTTP2_FLAG_END_HEADERS) != 0);
            decode(frame + 9, len);
        }
        at += 9 + len;
    }
    if (at > 0 && at <= seen.text.len) {
        memmove(seen.text.at, seen.text.at + at, seen.text.len - at);
        seen.text.len -= at;
        seen.skip = 0;
    }
}

static void drain_peer(void)
{
    static char read[65536];
    ssize_t len = 0;

    while (peer >= 0 && (len = recv(peer, read, sizeof(read), MSG_DONTWAIT)) > 0) {
        if (seen.framed) {
            text_add_bytes(&seen.text, read, (size_t)len);
            look_at_frames();
        }
    }
}

static void forget_seen(void)
{
    text_free(&seen.text);
    if (seen.inflater != NULL) {
        nghttp2_hd_inflate_del(seen.inflater);
    }
    memset(&seen, 0, sizeof(seen));
}

void stage_frames(bool with_preface)
{
    seen.framed = true;
    seen.skip = with_preface ? NGHTTP2_CLIENT_MAGIC_LEN : 0;
    HOLDS(nghttp2_hd_inflate_new(&seen.inflater) == 0);
}

void stage_say(const void *data, size_t len)
{
    const char *at = data;

    while (len > 0 && peer >= 0) {
        ssize_t sent = send(peer, at, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0) {
            at += sent;
            len -= (size_t)sent;
        }
        turn(TURNS);
        drain_peer();
        if (sent < 0 && (down == NULL && up == NULL)) {
            return;
        }
        if (sent < 0) {
            break; /* it does not read now */
        }
    }
    turn(TURNS);
    drain_peer();
}

void stage_hang_up(void)
{
    if (peer >= 0) {
        close(peer);
        peer = -1;
    }
    turn(TURNS);
}

static struct conn *make_conn(void)
{
    int fds[2];

    if (loop == NULL) {
        loop = loop_new(0);
        HOLDS(loop != NULL);
    }
    HOLDS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    batch = (struct batch){0};
    opened = running = 0;
    first_whole = false;
    peer = fds[0];
    return conn_accept(loop, fds[1], NULL, NULL, NULL);
}

static struct told *new_told(void)
{
    struct told *made = base_zalloc(sizeof(*made));

    made->number = opened++;
    if (made->number < EXCHANGES) {
        told[made->number] = made;
    }
    running++;
    arena_init(&made->exchange.arena, NULL, 0);
    return made;
}

static struct told *told_of(struct exchange *exchange)
{
    return container_of(exchange, struct told, exchange);
}

static void told_free(struct freed *freed)
{
    free(container_of(freed, struct told, freed));
}

static void end_told(struct told *of)
{
    if (of->number < EXCHANGES) {
        told[of->number] = NULL;
        texts[of->number] = of->text;
    } else {
        text_free(&of->text);
    }
    running--;
    arena_reset(&of->exchange.arena);
    loop_free_later(loop, &of->freed, told_free);
}

bool stage_first_whole(void)
{
    return first_whole;
}

static struct text join_texts(unsigned most)
{
    struct text all = {0};

    HOLDS(running == 0);
    text_add(&all, "%s", "");
    for (unsigned i = 0; i < EXCHANGES; i++) {
        if (i < most && texts[i].at != NULL) {
            text_add_bytes(&all, texts[i].at, texts[i].len);
            text_add(&all, "\n");
        }
        text_free(&texts[i]);
        HOLDS(told[i] == NULL);
    }
    return all;
}

/* ---- heads ---- */

/* What no exchange is told of, as it belongs to the framing or the connection; or is told in
 * another way. */
#define UNTOLD                                                                            \
    (UINT64_C(1) << FIELD_CONNECTION | UINT64_C(1) << FIELD_CONTENT_LENGTH |              \
     UINT64_C(1) << FIELD_HOST | UINT64_C(1) << FIELD_TE | UINT64_C(1) << FIELD_UPGRADE | \
     UINT64_C(1) << FIELD_TRANSFER_ENCODING | UINT64_C(1) << FIELD_KEEP_ALIVE |           \
     UINT64_C(1) << FIELD_PROXY_CONNECTION | UINT64_C(1) << FIELD_HTTP2_SETTINGS)

static void tell_fields(struct text *text, const struct http_fields *fields)
{
    for (uint32_t i = 0; i < fields->count; i++) {
        const struct http_field *field = &fields->items[i];
        if (!field->dropped && (UNTOLD >> field->id & 1) == 0 &&
            !str_equal_nocase(field->name, WEBSOCKET_KEY)) { /* made anew by HTTP/2 */
            text_add(text, " %.*s=[%.*s]", STR_ARGS(field->name), STR_ARGS(field->value));
        }
    }
}

void text_add_request(struct text *text, const struct http_request_head *head)
{
    text_add(text, "%.*s %.*s%s%.*s at %.*s host %.*s form %d body %d:%llu%s%s%s",
             STR_ARGS(head->method_name), STR_ARGS(head->path), head->has_query ? "?" : "",
             STR_ARGS(head->query), STR_ARGS(head->authority), STR_ARGS(head->host), head->form,
             head->body, (unsigned long long)head->content_length,
             head->expect_continue ? " expect" : "", head->upgrade_websocket ? " websocket" : "",
             head->te_trailers ? " te" : "");
    tell_fields(text, &head->fields);
}

/* ---- towards clients ---- */

static struct exchange *on_open(struct down_conn *of)
{
    HOLDS(of == down);
    return &new_told()->exchange;
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
        at->ops->data(at, large, sizeof(large));
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
    first_whole = first_whole || of->number == 0;
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
    end_told(of);
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
    HOLDS(of == down && running == 0);
    down = NULL;
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
    struct conn *conn = make_conn();

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
    down_conn_begin(down, conn, &batch, &down_owner);
}

void stage_down_act(uint8_t choice)
{
    struct told *of = told[choice >> 3 & 7];

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
    batch_flush(&batch);
    turn(TURNS);
    drain_peer();
}

struct text stage_down_end(unsigned most)
{
    if (down != NULL) {
        down_conn_abort(down);
    }
    turn(TURNS);
    HOLDS(down == NULL && down_freed);
    stage_hang_up();
    forget_seen();
    return join_texts(most);
}

/* ---- towards servers ---- */

static void tell_response(struct text *text, const struct http_response_head *head)
{
    text_add(text, "%u body %d:%llu", head->status, head->body,
             (unsigned long long)(head->body == BODY_LENGTH ? head->content_length : 0));
    tell_fields(text, &head->fields);
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
    first_whole = first_whole || of->number == 0;
    text_add(&of->text, "}");
    exchange->up->ops->release(exchange->up);
    HOLDS(exchange->up == NULL);
    end_told(of);
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
    end_told(of);
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
}

static const struct up_owner up_owner = {
    .events = &up_events, .on_room = on_room, .on_odd = on_up_odd, .on_closed = on_up_closed};

void stage_up_begin(bool h2)
{
    static const struct http_limits limits = {.head = 2048, .fields = 20, .target = 1};
    struct conn *conn = make_conn();
    const struct up_codec *codec = up_protocol_codec(h2 ? UP_HTTP_2 : UP_HTTP_1, false);

    up = up_conn_open(codec, conn, &batch, &limits, &up_owner, NULL);
    HOLDS(up != NULL);
    if (h2) {
        stage_frames(true);
    }
    turn(TURNS);
}

int stage_up_ask(const char *method, bool body, bool websocket)
{
    if (up == NULL || up->room == 0 || opened == EXCHANGES) {
        return -1;
    }
    struct told *of = new_told();
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
        end_told(of);
        return -1;
    }
    bool sent = exchange->up->ops->head(exchange->up, NULL, 0);
    of->ended = !body && !websocket;
    if (sent && of->ended) {
        exchange->up->ops->end(exchange->up);
    }
    HOLDS(sent);
    batch_flush(&batch);
    turn(TURNS);
    drain_peer();
    return number;
}

static void let_go(struct told *of)
{
    of->exchange.up->ops->release(of->exchange.up);
    HOLDS(of->exchange.up == NULL);
    text_add(&of->text, " left");
    end_told(of);
}

void stage_up_act(uint8_t choice)
{
    struct told *of = told[choice >> 3 & 7];

    if (of == NULL) {
        return;
    }
    struct up *at = of->exchange.up;
    HOLDS(at != NULL);
    switch (choice & 7) {
    case 0:
    case 1:
        if (!of->ended) {
            at->ops->data(at, large, (choice & 7) == 0 ? 4 : sizeof(large));
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
    batch_flush(&batch);
    turn(TURNS);
    drain_peer();
}

struct text stage_up_end(unsigned most)
{
    for (unsigned i = 0; i < EXCHANGES; i++) {
        if (told[i] != NULL) {
            let_go(told[i]);
        }
    }
    if (up != NULL) {
        up_conn_close(up);
    }
    turn(TURNS);
    HOLDS(up == NULL);
    stage_hang_up();
    forget_seen();
    return join_texts(most);
}
