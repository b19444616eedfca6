/* SPDX-License-Identifier: MIT */
/*
 * The codecs of both sides by ALPN name, and how a connection gets its codec: towards a client,
 * after the TLS handshake. See down_conn.h and up_conn.h.
 */
#include <stdlib.h>

#include "http/h1_down.h"
#include "http/h1_up.h"
#include "http/h2_down.h"

/* By index in the lists of names. The last of each serves plain connections and peers without
 * ALPN. */
static const struct weir_str down_names[] = {WEIR_STR_INIT("h2"), WEIR_STR_INIT("http/1.1"),
                                             WEIR_STR_INIT("http/1.0")};
static const struct down_codec *const downs[] = {&h2_down_codec, &h1_down_codec, &h1_down_codec};
const struct weir_list down_protocols = {down_names, ARRAY_COUNT(down_names)};

static const struct weir_str up_names[] = {WEIR_STR_INIT("http/1.1")};
static const struct up_codec *const ups[] = {&h1_up_codec};
const struct weir_list up_protocols = {up_names, ARRAY_COUNT(up_names)};

/* The index of a name; the last one for an unknown one. */
static size_t place_of(const struct weir_list *protocols, struct weir_str name)
{
    const struct weir_str *names = protocols->items;

    for (size_t i = 0; i + 1 < protocols->count; i++) {
        if (str_equal(names[i], name)) {
            return i;
        }
    }
    return protocols->count - 1;
}

uint32_t up_conn_expected_room(const struct weir_list *protocols)
{
    const struct weir_str *names = protocols != NULL ? protocols->items : up_names;
    return ups[place_of(&up_protocols, names[0])]->room;
}

/* What ALPN has selected; empty: nothing, or a plain connection. */
static struct weir_str protocol_of(const struct conn *conn)
{
    const unsigned char *name = NULL;
    unsigned len = 0;

    if (conn_ssl(conn) != NULL) {
        SSL_get0_alpn_selected(conn_ssl(conn), &name, &len);
    }
    return (struct weir_str){(const char *)name, len};
}

/* ---- towards clients: the handshake, as a codec that has no exchange ---- */

static void opening_drain(struct down_conn *c)
{
    const struct down_conf *conf = c->owner->conf(c);

    if (!c->draining && conf != NULL) {
        c->draining = true;
        if (!conn_is_shaking_hands(c->conn)) {
            down_conn_hurry(c, down_conn_first_grace_ns(conf));
        }
    }
}

static void opening_abort(struct down_conn *c)
{
    down_conn_close(c, END_RESET);
}

static bool opening_is_last(const struct down_conn *c)
{
    (void)c;
    return false;
}

static bool opening_idle(const struct down_conn *c)
{
    (void)c;
    return true;
}

static const struct down_codec opening = {
    .drain = opening_drain,
    .abort = opening_abort,
    .is_last = opening_is_last,
    .idle = opening_idle,
};

/* A handshake takes too long. One that has begun since it was hurried still gets its full time. */
static void opening_late(struct timer *timer)
{
    struct down_conn *c = container_of(timer, struct down_conn, timer);
    const struct down_conf *conf = c->owner->conf(c);

    if (c->hurried && conf != NULL && conn_is_shaking_hands(c->conn)) {
        c->hurried = false;
        timer_set(down_conn_loop(c), &c->timer, conf->handshake_timeout_ns);
    } else {
        down_conn_close(c, END_CLOSE);
    }
}

static void opening_opened(struct conn *conn, bool ok)
{
    struct down_conn *c = conn->owner;
    const struct down_conf *conf = c->owner->conf(c);

    if (!ok || conf == NULL) {
        down_conn_close(c, END_CLOSE);
        return;
    }
    c->codec = downs[place_of(&down_protocols, protocol_of(conn))];
    c->codec->begin(c, conf);
    if (c->conn != NULL) {
        conn_resume_read(conn);
    }
}

static void opening_quiet(struct conn *conn)
{
    (void)conn; /* nothing is read or queued before the handshake is done */
}

static const struct conn_ops opening_ops = {
    .on_readable = opening_quiet,
    .on_drained = opening_quiet,
    .on_open = opening_opened,
};

void down_conn_begin(struct down_conn *c, struct conn *conn, struct batch *batch,
                     const struct down_owner *owner)
{
    const struct down_conf *conf = owner->conf(c);

    c->owner = owner;
    c->conn = conn;
    c->batch = batch;
    if (conn->opening) {
        c->codec = &opening;
        c->timer.fn = opening_late;
        conn_set_owner(conn, &opening_ops, c);
        timer_set(conn->loop, &c->timer, conf->handshake_timeout_ns);
    } else {
        c->codec = downs[place_of(&down_protocols, (struct weir_str){NULL, 0})];
        c->codec->begin(c, conf);
    }
}

/* ---- towards servers ---- */

struct up_conn *up_conn_open(const struct up_codec *codec, struct conn *conn, struct batch *batch,
                             const struct http_limits *limits, const struct up_owner *owner,
                             void *user)
{
    if (codec == NULL) {
        codec = ups[place_of(&up_protocols, protocol_of(conn))];
    }
    struct up_conn *c = calloc(1, codec->size);
    if (c != NULL) {
        *c = (struct up_conn){.codec = codec,
                              .owner = owner,
                              .conn = conn,
                              .batch = batch,
                              .user = user,
                              .idle_since_ns = loop_now_ns(conn->loop)};
    }
    if (c == NULL || !codec->begin(c, limits)) {
        conn_close(&conn, false);
        free(c);
        return NULL;
    }
    return c;
}
