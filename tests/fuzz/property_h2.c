/* SPDX-License-Identifier: MIT */
/* Properties of HTTP/2's codecs: any frames, any heads. See property.h. */
#include <nghttp2/nghttp2.h>

#include "fuzz/codec_stage.h"
#include "fuzz/property.h"
#include "http/h1_write.h"
#include "http/h2.h"
#include "http/syntax.h"

#include <stdio.h>
#include <stdlib.h>

/* Static entries of HPACK: a request of `a`, with :method GET or POST, and a response. */
static const char *const blocks[] = {"\x82\x86\x84\x41\x01\x61",
                                     "\x83\x86\x84\x41\x01\x61",
                                     "\x83\x86\x84\x41\x01\x61\x0f\x0d\x01\x34",
                                     "\x88",
                                     "\x89",
                                     "\x8b\x40\x01x\x01y",
                                     "\x08\x03\x31\x30\x33",
                                     "\x40\x01x\x01y"};
#define BLOCKS 8u

/* What a byte of an input does, beside frames of the types below 10. */
enum { BLOCK = 10, RAW, SAY, ACT, ASK, HANG_UP, DOINGS };

static void add_frame(struct text *out, uint8_t type, struct input *input)
{
    uint8_t flags = input_byte(input);
    uint32_t stream = input_byte(input) & 0x1f;
    struct weir_str payload = input_bytes(input, input_byte(input) & 0x3f);

    text_add_frame(out, type, flags, stream, payload.ptr, payload.len);
}

static void add_block(struct text *out, struct input *input)
{
    uint8_t which = input_byte(input);
    const char *block = blocks[which % BLOCKS];
    uint8_t flags = (which & 0x80) ? NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM
                                   : NGHTTP2_FLAG_END_HEADERS;

    text_add_frame(out, NGHTTP2_HEADERS, flags, input_byte(input) & 0x1f, block, strlen(block));
}

static void say(struct text *out)
{
    stage_say(out->at, out->len);
    text_free(out);
}

/* Frames and what else is done, up to the input's end. */
static void play(struct text *out, struct input *input, bool server)
{
    static const char *const methods[] = {"GET", "POST", "HEAD", "PUT"};

    while (input->at < input->end) {
        uint8_t doing = input_byte(input) % DOINGS;
        if (doing < BLOCK) {
            add_frame(out, doing, input);
        } else if (doing == BLOCK) {
            add_block(out, input);
        } else if (doing == RAW) {
            struct weir_str raw = input_bytes(input, input_byte(input) & 0x1f);
            text_add_bytes(out, raw.ptr, raw.len);
        } else {
            say(out);
            uint8_t choice = doing == SAY || doing == HANG_UP ? 0 : input_byte(input);
            if (doing == ACT) {
                (server ? stage_down_act : stage_up_act)(choice);
            } else if (doing == ASK && !server) {
                stage_up_ask(methods[choice & 3], (choice & 4) != 0, (choice & 8) != 0);
            } else if (doing == HANG_UP) {
                stage_hang_up();
            }
        }
    }
    say(out);
}

void property_h2_down(const uint8_t *data, size_t len)
{
    struct input input = {data, data + len};
    struct text out = {0};

    stage_down_begin(input_byte(&input) & 0x7f);
    stage_frames(false);
    text_add(&out, "%s", NGHTTP2_CLIENT_MAGIC);
    text_add_frame(&out, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
    play(&out, &input, true);
    struct text told = stage_down_end(0);
    text_free(&told);
}

void property_h2_up(const uint8_t *data, size_t len)
{
    struct input input = {data, data + len};
    struct text out = {0};
    uint8_t how = input_byte(&input);

    stage_up_begin(true);
    stage_up_ask("GET", false, (how & 4) != 0);
    stage_up_ask("POST", true, false);
    if (how & 1) { /* with ENABLE_CONNECT_PROTOCOL */
        text_add_frame(&out, NGHTTP2_SETTINGS, 0, 0, "\0\x8\0\0\0\1", 6);
    }
    play(&out, &input, false);
    struct text told = stage_up_end(0);
    text_free(&told);
}

/* ---- heads ---- */

#define PAIRS_MOST 24u

static const struct http_limits limits = {.head = 2048, .fields = 20, .target = 512};

/* Lines of a name and a value, parted by the first `=` behind the name's first byte. */
static size_t read_pairs(struct input *input, nghttp2_nv *pairs)
{
    size_t count = 0;

    while (input->at < input->end && count < PAIRS_MOST) {
        const uint8_t *end = memchr(input->at, '\n', (size_t)(input->end - input->at));
        size_t len = (size_t)((end != NULL ? end : input->end) - input->at);
        const uint8_t *parting = len > 1 ? memchr(input->at + 1, '=', len - 1) : NULL;
        if (parting != NULL) {
            pairs[count++] = (nghttp2_nv){.name = (uint8_t *)(uintptr_t)input->at,
                                          .namelen = (size_t)(parting - input->at),
                                          .value = (uint8_t *)(uintptr_t)(parting + 1),
                                          .valuelen = len - (size_t)(parting - input->at) - 1};
        }
        input->at += end != NULL ? len + 1 : len;
    }
    return count;
}

/* What nghttp2 would not let pass. */
static bool passes(const nghttp2_nv *pair)
{
    static const char *const never[] = {"connection", "keep-alive", "proxy-connection",
                                        "transfer-encoding", "upgrade"};
    struct weir_str name = {(const char *)pair->name, pair->namelen};
    struct weir_str value = {(const char *)pair->value, pair->valuelen};

    for (size_t i = 0; i < ARRAY_COUNT(never); i++) {
        if (syntax_equals(name, never[i])) {
            return false;
        }
    }
    if (str_equal(name, STR("te")) && !str_equal_nocase(value, STR("trailers"))) {
        return false;
    }
    return nghttp2_check_header_name(pair->name, pair->namelen) != 0 &&
           nghttp2_check_header_value_rfc9113(pair->value, pair->valuelen) != 0;
}

static void add_all(struct h2_section *section, const nghttp2_nv *pairs, size_t count)
{
    for (int pseudo = 1; pseudo >= 0; pseudo--) {
        for (size_t i = 0; i < count; i++) {
            struct weir_str name = {(const char *)pairs[i].name, pairs[i].namelen};
            if ((name.ptr[0] == ':') == (pseudo == 1) && passes(&pairs[i])) {
                h2_section_add(section, &limits, name,
                               (struct weir_str){(const char *)pairs[i].value, pairs[i].valuelen});
            }
        }
    }
}

static void same_text(struct text *text, const struct text *said)
{
    if (strcmp(text->at, said->at) != 0) {
        fprintf(stderr, "before: %s\nafter: %s\n", said->at, text->at);
        property_broken("the same after writing", __FILE__, __LINE__);
    }
    text_free(text);
}

/* As an HTTP/1 server gets it, it is the same request. */
static void same_by_h1(struct arena *arena, const struct http_request_head *head,
                       const struct text *said)
{
    size_t size = h1_request_size(head, NULL, 0), used = 0;
    char *out = arena_bytes(arena, size);
    size_t len = h1_write_request(out, size, head, NULL, 0, head->upgrade_websocket);
    const struct http_limits wide = {.head = 8192, .fields = 40, .target = 2048};
    struct http_request_head again;
    struct h1_scan scan = {0};
    struct http_error error = {0};
    struct text text = {0};

    HOLDS(len > 0);
    HOLDS(h1_parse_request(out, len, &wide, &scan, arena, &again, &used, &error) == H1_DONE);
    HOLDS(used == len);
    text_add_request(&text, &again);
    same_text(&text, said);
}

/* Adds what a block decodes to, of which nghttp2 would let everything pass. */
static void decode(struct h2_section *section, const struct h2_block *block)
{
    const struct http_limits wide = {.head = 8192, .fields = 40, .target = 2048};
    const uint8_t *at = block->data;
    size_t left = block->len;
    nghttp2_hd_inflater *inflater = NULL;
    nghttp2_nv pair;
    int flags = 0;

    HOLDS(nghttp2_hd_inflate_new(&inflater) == 0);
    while ((flags & NGHTTP2_HD_INFLATE_FINAL) == 0) {
        ssize_t used = nghttp2_hd_inflate_hd2(inflater, &pair, &flags, at, left, 1);
        HOLDS(used >= 0);
        at += used;
        left -= (size_t)used;
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
            HOLDS(passes(&pair));
            h2_section_add(section, &wide, (struct weir_str){(const char *)pair.name, pair.namelen},
                           (struct weir_str){(const char *)pair.value, pair.valuelen});
        }
    }
    nghttp2_hd_inflate_del(inflater);
}

static void same_by_h2(struct arena *arena, const struct http_request_head *head,
                       const struct text *said)
{
    struct h2_section section = {.arena = arena};
    struct http_request_head again;
    struct http_error error = {0};
    struct text text = {0};
    const struct h2_block *block = h2_request_block(arena, head, true, NULL, 0);

    HOLDS(block != NULL);
    decode(&section, block);
    bool end = head->body == BODY_NONE && !head->upgrade_websocket;
    HOLDS(h2_request_head(&section, end, &again, &error));
    text_add_request(&text, &again);
    same_text(&text, said);
}

void property_h2_fields(const uint8_t *data, size_t len)
{
    struct input input = {data, data + len};
    bool end = (input_byte(&input) & 1) != 0;
    nghttp2_nv pairs[PAIRS_MOST];
    size_t count = read_pairs(&input, pairs);
    struct arena arena;
    struct http_request_head head;
    struct http_response_head response;
    struct http_error error = {0};

    arena_init(&arena, NULL, 0);
    struct h2_section section = {.arena = &arena};
    add_all(&section, pairs, count);
    if (section.method.ptr != NULL && h2_request_head(&section, end, &head, &error)) {
        struct text said = {0};
        head.te_trailers = head.te_trailers && !head.upgrade_websocket; /* which has none */
        text_add_request(&said, &head);
        same_by_h1(&arena, &head, &said);
        same_by_h2(&arena, &head, &said);
        text_free(&said);
    } else if (section.method.ptr != NULL) {
        HOLDS(error.status >= 400 && error.reason != NULL);
    }
    struct weir_str digits = section.status;
    bool number = digits.len == 3; /* as nghttp2 has checked */
    for (size_t i = 0; i < digits.len; i++) {
        number = number && digits.ptr[i] >= '0' && digits.ptr[i] <= '9';
    }
    if (number && h2_response_head(&section, end, METHOD_GET, &response, &error)) {
        HOLDS(response.status >= 100 && response.status <= 599 && response.status != 101);
        const struct h2_block *block = h2_response_block(&arena, &response);
        struct h2_section again = {.arena = &arena};
        HOLDS(block != NULL);
        decode(&again, block);
        HOLDS(str_equal(again.status, section.status));
    }
    arena_reset(&arena);
}
