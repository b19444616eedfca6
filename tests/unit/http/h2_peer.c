/* SPDX-License-Identifier: MIT */
/* A peer of HTTP/2. See h2_peer.h. */
#include "h2_peer.h"

#include <stdlib.h>

#include "base/base.h"

#define FIELDS_MOST 32u
#define PATIENCE_NS (10 * NS_PER_SECOND)

static uint32_t number(const uint8_t *at, unsigned bytes)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < bytes; i++) {
        value = value << 8 | at[i];
    }
    return value;
}

static void put_number(uint8_t *at, unsigned bytes, uint32_t value)
{
    for (unsigned i = bytes; i-- > 0; value >>= 8) {
        at[i] = (uint8_t)value;
    }
}

void peer_frame(struct h2_peer *peer, uint8_t type, uint8_t flags, int32_t stream,
                const void *payload, size_t len)
{
    uint8_t head[9];

    put_number(head, 3, (uint32_t)len);
    head[3] = type;
    head[4] = flags;
    put_number(head + 5, 4, (uint32_t)stream);
    struct iovec parts[] = {{head, sizeof(head)}, {(void *)(uintptr_t)payload, len}};
    ck_assert(conn_write(peer->end.conn, parts, len > 0 ? 2 : 1));
}

void peer_begin(struct h2_peer *peer, struct loop *loop, int fd, bool client)
{
    *peer = (struct h2_peer){.loop = loop};
    peer->notes = base_zalloc(sizeof(*peer->notes));
    peer->end.conn = conn_accept(loop, fd, NULL, &end_ops, &peer->end);
    ck_assert_int_eq(nghttp2_hd_inflate_new(&peer->inflater), 0);
    ck_assert_int_eq(nghttp2_hd_deflate_new(&peer->deflater, 4096), 0);
    if (client) {
        ck_assert(end_send(&peer->end, NGHTTP2_CLIENT_MAGIC));
        peer_settings(peer, 0, 0);
    } else {
        peer->at = NGHTTP2_CLIENT_MAGIC_LEN;
    }
}

void peer_end(struct h2_peer *peer)
{
    nghttp2_hd_inflate_del(peer->inflater);
    nghttp2_hd_deflate_del(peer->deflater);
    end_free(&peer->end);
    free(peer->notes);
}

void peer_head(struct h2_peer *peer, int32_t stream, bool end, const char *fields)
{
    nghttp2_nv pairs[FIELDS_MOST];
    size_t count = 0;
    char *text = base_strdup(fields), *rest = NULL;
    uint8_t block[16384];

    for (char *field = strtok_r(text, " ", &rest); field != NULL;
         field = strtok_r(NULL, " ", &rest)) {
        char *value = strchr(field, '=');
        ck_assert_ptr_nonnull(value);
        *value++ = '\0';
        ck_assert_uint_lt(count, FIELDS_MOST);
        pairs[count++] = (nghttp2_nv){.name = (uint8_t *)field,
                                      .value = (uint8_t *)value,
                                      .namelen = strlen(field),
                                      .valuelen = strlen(value)};
    }
    ssize_t len = nghttp2_hd_deflate_hd(peer->deflater, block, sizeof(block), pairs, count);
    ck_assert(len >= 0);
    free(text);
    peer_frame(peer, NGHTTP2_HEADERS,
               NGHTTP2_FLAG_END_HEADERS | (end ? NGHTTP2_FLAG_END_STREAM : 0), stream, block,
               (size_t)len);
}

void peer_data(struct h2_peer *peer, int32_t stream, bool end, const char *text)
{
    peer_frame(peer, NGHTTP2_DATA, end ? NGHTTP2_FLAG_END_STREAM : 0, stream, text, strlen(text));
}

void peer_rst(struct h2_peer *peer, int32_t stream, uint32_t code)
{
    uint8_t payload[4];
    put_number(payload, 4, code);
    peer_frame(peer, NGHTTP2_RST_STREAM, 0, stream, payload, sizeof(payload));
}

void peer_goaway(struct h2_peer *peer, int32_t last, uint32_t code)
{
    uint8_t payload[8];
    put_number(payload, 4, (uint32_t)last);
    put_number(payload + 4, 4, code);
    peer_frame(peer, NGHTTP2_GOAWAY, 0, 0, payload, sizeof(payload));
}

/* Not before its own SETTINGS. */
static void acknowledge(struct h2_peer *peer)
{
    while (peer->owed > 0 && peer->said && peer->end.conn != NULL && !peer->end.ended) {
        peer->owed--;
        peer_frame(peer, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, NULL, 0);
    }
}

void peer_settings(struct h2_peer *peer, uint16_t id, uint32_t value)
{
    uint8_t payload[6];
    put_number(payload, 2, id);
    put_number(payload + 2, 4, value);
    peer_frame(peer, NGHTTP2_SETTINGS, 0, 0, payload, id == 0 ? 0 : sizeof(payload));
    peer->said = true;
    acknowledge(peer);
}

void peer_update(struct h2_peer *peer, int32_t stream, uint32_t by)
{
    uint8_t payload[4];
    put_number(payload, 4, by);
    peer_frame(peer, NGHTTP2_WINDOW_UPDATE, 0, stream, payload, sizeof(payload));
}

/* ---- what comes ---- */

static void note_head(struct h2_peer *peer, uint32_t stream, const uint8_t *block, size_t len)
{
    bool trailers = stream < ARRAY_COUNT(peer->heads) && peer->heads[stream];
    bool interim = false;

    notes_add(peer->notes, "%s %u", trailers ? "TRAILERS" : "HEAD", stream);
    for (;;) {
        nghttp2_nv pair;
        int flags = 0;
        ssize_t used = nghttp2_hd_inflate_hd2(peer->inflater, &pair, &flags, block, len, 1);
        ck_assert(used >= 0);
        block += used;
        len -= (size_t)used;
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
            const char *name = (const char *)pair.name, *value = (const char *)pair.value;
            if (trailers) {
                notes_add(peer->notes, " %s=%s", name, value);
            } else if (strcmp(name, ":method") == 0 || strcmp(name, ":path") == 0 ||
                       strcmp(name, ":status") == 0) {
                notes_add(peer->notes, " %s", value);
                interim = name[1] == 's' && value[0] == '1';
            }
        }
        if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) {
            nghttp2_hd_inflate_end_headers(peer->inflater);
            break;
        }
    }
    if (stream < ARRAY_COUNT(peer->heads)) {
        peer->heads[stream] = !interim;
    }
}

static void note_frame(struct h2_peer *peer, const uint8_t *head, const uint8_t *payload,
                       size_t len)
{
    uint32_t stream = number(head + 5, 4);
    uint8_t type = head[3], flags = head[4];

    switch (type) {
    case NGHTTP2_DATA:
        notes_add(peer->notes, "DATA %u ", stream);
        notes_add_bytes(peer->notes, (const char *)payload, len);
        break;
    case NGHTTP2_HEADERS:
        ck_assert((flags & NGHTTP2_FLAG_END_HEADERS) != 0);
        note_head(peer, stream, payload, len);
        break;
    case NGHTTP2_RST_STREAM:
        notes_add(peer->notes, "RST %u %u ", stream, number(payload, 4));
        return;
    case NGHTTP2_GOAWAY:
        notes_add(peer->notes, "GOAWAY %u %u ", number(payload, 4), number(payload + 4, 4));
        return;
    case NGHTTP2_SETTINGS:
        if ((flags & NGHTTP2_FLAG_ACK) != 0) {
            notes_add(peer->notes, "ACK ");
        } else {
            peer->owed++;
            acknowledge(peer);
        }
        return;
    case NGHTTP2_PING:
        notes_add(peer->notes, (flags & NGHTTP2_FLAG_ACK) != 0 ? "PONG " : "PING ");
        return;
    case NGHTTP2_WINDOW_UPDATE: peer->increment += stream != 0 ? number(payload, 4) : 0; return;
    default: ck_abort_msg("frame of type %u", type);
    }
    notes_add(peer->notes, (flags & NGHTTP2_FLAG_END_STREAM) != 0 ? ". " : " ");
}

const char *peer_noted(struct h2_peer *peer)
{
    const struct end *end = &peer->end;

    while (end->len >= peer->at + 9) {
        const uint8_t *head = (const uint8_t *)end->data + peer->at;
        size_t len = number(head, 3);
        if (end->len < peer->at + 9 + len) {
            break;
        }
        peer->at += 9 + len;
        note_frame(peer, head, head + 9, len);
    }
    return peer->notes->text;
}

void wait_peer(struct h2_peer *peer, const char *wanted)
{
    uint64_t until_ns = loop_now_refresh(peer->loop) + PATIENCE_NS;

    while (strcmp(peer_noted(peer), wanted) != 0) {
        ck_assert_msg(loop_now_refresh(peer->loop) < until_ns, "\n  got    %s\n  wanted %s",
                      peer->notes->text, wanted);
        run_turns(peer->loop, 2);
    }
    run_turns(peer->loop, 4); /* nothing more comes of it */
    ck_assert_str_eq(peer_noted(peer), wanted);
}
