/* SPDX-License-Identifier: MIT */
/*
 * What both sides of HTTP/2 have in common: frames that nghttp2 passes over in silence, where the
 * peer is to hear that it has broken the protocol, or the account is to grow. It reads the heads of
 * frames before nghttp2 does. See h2.h.
 *
 * nghttp2 forgets a stream when it closes. Frames on a closed stream are an error (RFC 9113 section
 * 5.1), unless we have reset it, of which the peer may not know yet. So the last WATCH_STREAMS
 * streams of a client are remembered in two bits each; frames on older ones are dropped.
 */
#include <arpa/inet.h>

#include "http/h2_parts.h"

static uint32_t get32(const uint8_t *from)
{
    uint32_t value = 0;

    memcpy(&value, from, sizeof(value));
    return ntohl(value);
}

void h2_watch_begin(struct h2 *h2)
{
    h2->watch.left = h2->server ? NGHTTP2_CLIENT_MAGIC_LEN : 0;
}

/* The bit of a client's stream; 0: not remembered. */
static uint64_t bit_of(const struct h2_watch *watch, int32_t id)
{
    uint32_t back = ((uint32_t)watch->last - (uint32_t)id) / 2;

    return id % 2 == 1 && id <= watch->last && back < WATCH_STREAMS ? UINT64_C(1) << back : 0;
}

void h2_watch_reset(struct h2 *h2, int32_t id)
{
    h2->watch.lost |= bit_of(&h2->watch, id);
}

static void note_begun(struct h2_watch *watch, int32_t id)
{
    uint32_t by = ((uint32_t)id - (uint32_t)watch->last) / 2;

    if (watch->last == 0) {
        by = WATCH_STREAMS;
    }
    watch->begun = by < WATCH_STREAMS ? watch->begun << by : 0;
    watch->lost = by < WATCH_STREAMS ? watch->lost << by : 0;
    watch->last = id;
    watch->begun |= 1;
}

/* Of a PRIORITY frame with its whole payload (section 6.3; RFC 7540 section 5.3.1). */
static uint32_t judge_priority(struct h2 *h2, const uint8_t *frame, uint32_t id)
{
    bool wrong = id == 0 || (get32(frame + FRAME_HEAD) & INT32_MAX) == id;

    h2_odd(h2, 1, "PRIORITY");
    return wrong && h2->server ? NGHTTP2_PROTOCOL_ERROR : NGHTTP2_NO_ERROR;
}

/* Of DATA or HEADERS on a stream that nobody listens to; all before it has been processed. */
static uint32_t judge_late(struct h2 *h2, uint8_t type, uint32_t len, int32_t id)
{
    const struct h2_watch *watch = &h2->watch;
    uint64_t bit = bit_of(watch, id);

    if (h2_stream_of(h2->session, id) != NULL) {
        return NGHTTP2_NO_ERROR;
    }
    if (h2->server && bit != 0 && (watch->lost & bit) == 0 &&
        nghttp2_session_find_stream(h2->session, id) == NULL &&
        id <= nghttp2_session_get_last_proc_stream_id(h2->session)) {
        bool skipped = (watch->begun & bit) == 0; /* closed by a later one (section 5.1.1) */
        return skipped ? NGHTTP2_PROTOCOL_ERROR : NGHTTP2_STREAM_CLOSED;
    }
    /* What streams that we have reset still have on their way is innocent: DATA as small as a
     * message may be, a window full of it. */
    if (type == NGHTTP2_HEADERS) {
        h2_late(h2, type);
    } else if (len == 0) {
        h2_odd(h2, 1, "DATA after the end");
    }
    return NGHTTP2_NO_ERROR;
}

/* Whether somebody listens to the stream when it is nghttp2's turn; false: perhaps not. */
static bool is_alive(struct h2 *h2, int32_t id)
{
    const struct h2_watch *watch = &h2->watch;
    bool begun = id > watch->processed && (watch->begun & bit_of(watch, id)) != 0;

    if (h2->server && (watch->resets || begun)) { /* in this read */
        return !watch->resets;
    }
    return h2_stream_of(h2->session, id) != NULL;
}

/* Frames that nghttp2 gets at once. Where the account is full nothing more is given: the rest of a
 * flood costs nothing. */
#define FRAMES_AT_ONCE 64u

/* CONTINUATION frames of a block. nghttp2 would count the reads that bring them: a head of one that
 * comes byte by byte is no flood. */
#define CONTINUATIONS_MOST 8u

/* A head is complete (that of PRIORITY with its payload). `first`: all before it has been
 * processed. false: it must be, or the turn has done enough. */
static bool look_at(struct h2 *h2, bool first, uint32_t *code)
{
    struct h2_watch *watch = &h2->watch;
    const uint8_t *frame = watch->frame;
    uint8_t type = frame[3];
    uint32_t len = get32(frame) >> 8;
    int32_t id = (int32_t)(get32(frame + 5) & INT32_MAX);

    watch->continuations = type == NGHTTP2_CONTINUATION ? watch->continuations : 0;
    if (type == NGHTTP2_RST_STREAM) {
        watch->resets = true;
    } else if (type == NGHTTP2_CONTINUATION) {
        watch->continuations++;
        *code = watch->continuations > CONTINUATIONS_MOST ? NGHTTP2_ENHANCE_YOUR_CALM : 0;
    } else if (type == NGHTTP2_PRIORITY && len == PRIORITY_LEN) {
        *code = judge_priority(h2, frame, (uint32_t)id);
    } else if ((type == NGHTTP2_DATA || type == NGHTTP2_HEADERS) && id > 0) {
        if (h2->server && id > watch->last) {
            if (type == NGHTTP2_HEADERS && id % 2 == 1) {
                if (watch->heads_left == 0) {
                    return false;
                }
                watch->heads_left--;
                note_begun(watch, id);
            }
        } else if (!is_alive(h2, id)) {
            if (!first) {
                return false;
            }
            *code = judge_late(h2, type, len, id);
        }
    }
    return true;
}

/* Bytes of a frame that are looked at. */
static uint8_t looked_at(const struct h2_watch *watch)
{
    bool priority = watch->have >= FRAME_HEAD && watch->frame[3] == NGHTTP2_PRIORITY &&
                    get32(watch->frame) >> 8 == PRIORITY_LEN;

    return priority ? FRAME_HEAD + PRIORITY_LEN : FRAME_HEAD;
}

/* What a frame costs beside its bytes, and a byte of fields, in bytes of DATA: to decode and check
 * it takes 20 ns, crumbs of cookies more. Times the price. */
#define FRAME_COST  128u
#define FIELDS_COST 16u

static void spend(struct h2_watch *watch, size_t bytes)
{
    watch->bytes_left -= bytes < watch->bytes_left ? (uint32_t)bytes : watch->bytes_left;
}

/* How much of what comes of a frame's payload is taken, as far as the turn allows. */
static size_t take_payload(struct h2_watch *watch, size_t len)
{
    uint8_t type = watch->frame[3];
    bool fields = type == NGHTTP2_HEADERS || type == NGHTTP2_CONTINUATION;
    size_t cost = fields ? (size_t)FIELDS_COST * watch->price : 1;
    size_t most = (watch->bytes_left + cost - 1) / cost;

    len = len < watch->left ? len : watch->left;
    len = len < most ? len : most;
    watch->left -= (uint32_t)len;
    spend(watch, len * cost);
    return len;
}

size_t h2_watch(struct h2 *h2, const uint8_t *data, size_t len, uint32_t *code)
{
    struct h2_watch *watch = &h2->watch;
    size_t at = 0;
    unsigned frames = 0;

    *code = NGHTTP2_NO_ERROR;
    watch->processed = watch->last;
    watch->resets = false;
    while (at < len) {
        if (watch->left > 0) {
            at += take_payload(watch, len - at);
            if (watch->left > 0) {
                return at;
            }
            continue;
        }
        if (frames == FRAMES_AT_ONCE || watch->bytes_left == 0) {
            return at;
        }
        size_t begin = at;
        uint8_t had = watch->have;
        while (at < len && watch->have < looked_at(watch)) {
            watch->frame[watch->have++] = data[at++];
        }
        if (watch->have < looked_at(watch)) {
            break;
        }
        if (!look_at(h2, begin == 0, code)) {
            watch->have = had;
            return begin;
        }
        if (*code != NGHTTP2_NO_ERROR) {
            return begin;
        }
        watch->left = (get32(watch->frame) >> 8) + FRAME_HEAD - watch->have;
        watch->have = 0;
        watch->frames++;
        frames++;
        spend(watch, (size_t)FRAME_COST * watch->price);
    }
    return len;
}
