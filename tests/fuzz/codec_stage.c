/* SPDX-License-Identifier: MIT */
/* What both sides of the stage have in common. See codec_stage.h. */
#include "fuzz/codec_stage_parts.h"

#include <arpa/inet.h>
#include <nghttp2/nghttp2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/websocket.h"

struct stage stage;
char stage_large[LARGE_PIECE];

static int peer = -1;
static struct text texts[EXCHANGES];

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
        loop_stop(stage.loop);
    } else {
        task_queue(stage.loop, task);
    }
}

void stage_turn(unsigned turns)
{
    struct turning turning = {.task = {.fn = turn_again}, .left = turns};

    task_queue(stage.loop, &turning.task);
    loop_run(stage.loop);
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

void stage_drain(void)
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

void stage_forget(void)
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
        stage_turn(TURNS);
        stage_drain();
        if (sent < 0 && !stage.alive) {
            return;
        }
        if (sent < 0) {
            break; /* it does not read now */
        }
    }
    stage_turn(TURNS);
    stage_drain();
}

void stage_hang_up(void)
{
    if (peer >= 0) {
        close(peer);
        peer = -1;
    }
    stage_turn(TURNS);
}

struct conn *stage_conn(void)
{
    int fds[2];

    if (stage.loop == NULL) {
        stage.loop = loop_new(0);
        HOLDS(stage.loop != NULL);
    }
    HOLDS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    stage.batch = (struct batch){0};
    stage.opened = stage.running = 0;
    stage.first_whole = false;
    peer = fds[0];
    return conn_accept(stage.loop, fds[1], NULL, NULL, NULL);
}

struct told *stage_told_new(void)
{
    struct told *made = base_zalloc(sizeof(*made));

    made->number = stage.opened++;
    if (made->number < EXCHANGES) {
        stage.told[made->number] = made;
    }
    stage.running++;
    arena_init(&made->exchange.arena, NULL, 0);
    return made;
}

static void told_free(struct freed *freed)
{
    free(container_of(freed, struct told, freed));
}

void stage_told_end(struct told *of)
{
    if (of->number < EXCHANGES) {
        stage.told[of->number] = NULL;
        texts[of->number] = of->text;
    } else {
        text_free(&of->text);
    }
    stage.running--;
    arena_reset(&of->exchange.arena);
    loop_free_later(stage.loop, &of->freed, told_free);
}

bool stage_first_whole(void)
{
    return stage.first_whole;
}

struct text stage_texts(unsigned most)
{
    struct text all = {0};

    HOLDS(stage.running == 0);
    text_add(&all, "%s", "");
    for (unsigned i = 0; i < EXCHANGES; i++) {
        if (i < most && texts[i].at != NULL) {
            text_add_bytes(&all, texts[i].at, texts[i].len);
            text_add(&all, "\n");
        }
        text_free(&texts[i]);
        HOLDS(stage.told[i] == NULL);
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

void text_add_fields(struct text *text, const struct http_fields *fields)
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
    text_add_fields(text, &head->fields);
}
