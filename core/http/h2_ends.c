/* SPDX-License-Identifier: MIT */
/*
 * What both sides of HTTP/2 have in common: the account of odd frames, and how streams and
 * connections end. See h2.h.
 */
#include "http/h2_parts.h"

/* Odd things are forgiven at this rate, a second. */
#define ABUSE_REFILL 33.0

/* ---- the account ---- */

static void be_wary(struct h2 *h2, unsigned points, const char *what)
{
    bool first = !h2->wary;

    h2->wary = true;
    h2->side->odd(h2, points, first ? what : NULL);
}

static void calm(struct h2 *h2)
{
    h2->calmed = true;
    h2->doubt = NULL;
    nghttp2_session_terminate_session(h2->session, NGHTTP2_ENHANCE_YOUR_CALM);
}

void h2_abuse(struct h2 *h2, const char *what)
{
    calm(h2); /* first: no graceful GOAWAY goes before it */
    be_wary(h2, h2->abuse_limit, what);
    h2_wake(h2);
}

void h2_faulted(struct h2 *h2, uint32_t code)
{
    if (h2->calmed) {
        return;
    }
    if (code == NGHTTP2_ENHANCE_YOUR_CALM) {
        h2->calmed = true;
        h2->doubt = NULL;
        be_wary(h2, h2->abuse_limit, "too many SETTINGS");
    } else {
        h2_odd(h2, H2_FAULT, H2_FAULT_WORD);
    }
}

double h2_points(const struct h2 *h2)
{
    uint64_t now_ns = loop_now_ns(h2->conn->loop);
    double forgiven = (double)(now_ns - h2->abuse_ns) / (double)NS_PER_SECOND * ABUSE_REFILL;

    return h2->abuse > forgiven ? h2->abuse - forgiven : 0;
}

void h2_odd(struct h2 *h2, unsigned points, const char *what)
{
    if (h2->over || h2->ending) { /* its streams tell of what the peer has not done */
        return;
    }
    h2->abuse = h2_points(h2) + points;
    h2->abuse_ns = loop_now_ns(h2->conn->loop);
    if (h2->abuse_limit == 0 || h2->abuse < h2->abuse_limit * 0.75) {
        h2->side->odd(h2, points, NULL);
        return;
    }
    if (h2->abuse >= h2->abuse_limit && !h2->calmed) {
        calm(h2);
    }
    if (h2->calmed || h2->wary) {
        be_wary(h2, points, what);
    } else {
        h2->doubt = what;
        h2->side->odd(h2, points, NULL);
    }
    h2_wake(h2);
}

/* A peer of whom there is doubt is to go; not before all has been looked at that is here, since
 * nghttp2 takes nothing behind a GOAWAY, and it may be abuse. */
static void settle_doubt(struct h2 *h2)
{
    const char *what = h2->doubt;

    if (unlikely(what != NULL) && conn_kept(h2->conn) == 0) {
        h2->doubt = NULL;
        be_wary(h2, 0, what);
    }
}

/* ---- frames about streams that are over ---- */

void h2_late(struct h2 *h2, uint8_t type)
{
    bool update = type == NGHTTP2_WINDOW_UPDATE;
    uint32_t *innocent = update ? &h2->late_updates : &h2->late_ends;

    if (*innocent > 0) {
        (*innocent)--;
    } else {
        h2_odd(h2, 1, "frames after the end");
    }
}

/* ---- ends ---- */

void h2_tell_ended(struct h2 *h2)
{
    struct list *link = NULL;

    while ((link = list_pop_front(&h2->ended)) != NULL) {
        struct h2_stream *stream = container_of(link, struct h2_stream, link);
        h2_forget(stream);
        h2->earned += stream->code == NGHTTP2_NO_ERROR && h2->earned < H2_EARNED_MOST;
        h2->side->closed(stream, stream->code, stream->reset_by_peer);
        if (h2->over) {
            return;
        }
    }
}

void h2_over(struct h2 *h2, enum codec_end how, bool by_peer)
{
    uint32_t code = by_peer ? NGHTTP2_INTERNAL_ERROR : NGHTTP2_PROTOCOL_ERROR;

    if (h2->over) {
        return;
    }
    h2->ending = true;
    if (h2->side->broken != NULL) {
        h2->side->broken(h2);
    }
    while (!list_empty(&h2->streams)) {
        h2_end_stream(container_of(h2->streams.next, struct h2_stream, link), code, by_peer);
    }
    h2_tell_ended(h2);
    if (!h2->over) {
        h2->over = true;
        h2->side->over(h2, how);
    }
}

void h2_abort(struct h2 *h2)
{
    h2_over(h2, END_RESET, true);
}

void h2_close(struct h2 *h2)
{
    ASSERT(list_empty(&h2->streams) && list_empty(&h2->ended));
    h2->over = true;
    task_cancel(&h2->task);
}

/* Whether the connection is over; then the side has been told. */
static bool check_over(struct h2 *h2)
{
    if (!h2->over && !nghttp2_session_want_read(h2->session) &&
        !nghttp2_session_want_write(h2->session)) {
        h2_over(h2, END_LINGER, false);
    }
    return h2->over;
}

/* Those whose bytes were held up hear that they are on their way. */
static void tell_drained(struct h2 *h2)
{
    struct list *link = NULL, still;

    list_init(&still);
    while (!h2->over && (link = list_pop_front(&h2->blocked)) != NULL) {
        struct h2_stream *stream = container_of(link, struct h2_stream, blocked);
        if (h2_blocked_bytes(stream) > 0) {
            list_push_back(&still, link);
        } else {
            h2->side->drained(stream);
        }
    }
    while ((link = list_pop_front(&still)) != NULL) {
        list_push_back(&h2->blocked, link);
    }
}

/* Those whose ends have not gone out hear of it. */
static void tell_stalled(struct h2 *h2)
{
    struct list *link = NULL;

    while (!h2->over && (link = list_pop_front(&h2->finishing)) != NULL) {
        struct h2_stream *stream = container_of(link, struct h2_stream, finishing);
        if (!stream->ended && !stream->sent_end) {
            h2->side->stalled(stream);
        }
    }
}

bool h2_is_due(const struct h2 *h2)
{
    return h2->dead || nghttp2_session_want_write(h2->session) ||
           !nghttp2_session_want_read(h2->session) || !list_empty(&h2->ended) ||
           !list_empty(&h2->blocked) || !list_empty(&h2->finishing) || !list_empty(&h2->resumed) ||
           h2->doubt != NULL;
}

void h2_pump(struct h2 *h2)
{
    if (h2->inside || h2->over) {
        return;
    }
    settle_doubt(h2);
    h2_send_frames(h2);
    if (h2->dead) {
        h2_over(h2, END_RESET, true);
        return;
    }
    h2_tell_ended(h2);
    if (!h2->over && !check_over(h2)) {
        tell_drained(h2);
        tell_stalled(h2);
    }
}
