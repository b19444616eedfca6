/* SPDX-License-Identifier: MIT */
/*
 * The codecs of both sides by ALPN name, and how a connection gets its codec: towards a client,
 * after the TLS handshake. See down_conn.h and up_conn.h.
 */
#include <stdlib.h>

#include "http/h1_down.h"
#include "http/h1_up.h"
#include "http/h2_down.h"
#include "http/h2_up.h"

/* What a client of HTTP/2 that knows of it beforehand says first (RFC 9113 section 3.4). */
#define PREFACE STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")

/* By index in the lists of names. The last of each serves plain connections and peers without
 * ALPN. */
static const struct weir_str down_names[] = {WEIR_STR_INIT("h2"), WEIR_STR_INIT("http/1.1"),
                                             WEIR_STR_INIT("http/1.0")};
static const struct down_codec *const downs[] = {&h2_down_codec, &h1_down_codec, &h1_down_codec};
const struct weir_list down_protocols = {down_names, ARRAY_COUNT(down_names)};

static const struct weir_str up_names[] = {WEIR_STR_INIT("h2"), WEIR_STR_INIT("http/1.1")};
static const struct up_codec *const ups[] = {&h2_up_codec, &h1_up_codec};
static const struct weir_list up_protocols = {up_names, ARRAY_COUNT(up_names)};
/* By enum up_protocol. */
static const struct weir_list offered[] = {{up_names + 1, 1}, {up_names, 1}, {up_names, 2}};

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

const struct weir_list *up_protocol_names(enum up_protocol protocol)
{
    return &offered[protocol];
}

const struct up_codec *up_protocol_codec(enum up_protocol protocol, bool tls)
{
    return protocol == UP_HTTP_2 ? &h2_up_codec : protocol == UP_AUTO && tls ? NULL : &h1_up_codec;
}

uint32_t up_protocol_room(enum up_protocol protocol, bool tls)
{
    const struct up_codec *codec = up_protocol_codec(protocol, tls);
    return codec != NULL ? codec->room : ups[0]->room;
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

/* ---- towards clients: the beginning, as a codec that has no exchange ---- */

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

/* A handshake, or the first bytes, take too long. A handshake that has begun since it was hurried
 * still gets its full time. */
static void opening_late(struct timer *timer)
{
    struct down_conn *c = container_of(timer, struct down_conn, timer);
    const struct down_conf *conf = c->owner->conf(c);

    if (c->hurried && conf != NULL && conn_is_shaking_hands(c->conn)) {
        c->hurried = false;
        timer_set(down_conn_loop(c), &c->timer, conf->handshake_timeout_ns);
        return;
    }
    if (!c->conn->opening) {
        conn_look_again(c->conn); /* something may have arrived unnoticed */
    }
    if (c->codec == &opening && c->conn != NULL) {
        down_conn_close(c, END_CLOSE);
    }
}

/* The protocol is known. */
static void opening_ends(struct down_conn *c, struct weir_str protocol)
{
    struct conn *conn = c->conn;
    const struct down_conf *conf = c->owner->conf(c);

    if (conf == NULL) {
        down_conn_close(c, END_CLOSE);
        return;
    }
    c->codec = downs[place_of(&down_protocols, protocol)];
    if (c->owner->on_protocol != NULL) {
        c->owner->on_protocol(c);
    }
    c->codec->begin(c, conf);
    if (c->conn != NULL) {
        conn_resume_read(conn);
    }
}

static void opening_opened(struct conn *conn, bool ok)
{
    struct down_conn *c = conn->owner;

    if (ok) {
        opening_ends(c, protocol_of(conn));
    } else {
        down_conn_close(c, END_CLOSE);
    }
}

/* Whether it may be HTTP/1: a first line that is here as a whole and names no version of HTTP is
 * rather a preface that is wrong (RFC 9113 section 3.4). */
static bool may_be_http_1(const char *data, size_t len)
{
    const char *end = memchr(data, '\n', len);
    const char *last = end != NULL ? memrchr(data, ' ', (size_t)(end - data)) : NULL;
    struct weir_str name = STR("HTTP/");

    return end == NULL || (last != NULL && (size_t)(end - last) > name.len &&
                           memcmp(last + 1, name.ptr, name.len) == 0);
}

/* Bytes of a read, all of which are kept. */
#define OPENING_MOST 16384u

/* The first bytes of a plain connection tell whether it speaks HTTP/2. */
static void opening_readable(struct conn *conn)
{
    struct down_conn *c = conn->owner;
    char *data = NULL;
    size_t len = 0;

    if (conn->opening) {
        return; /* nothing is read before the handshake is done */
    }
    while (conn_read(conn, &data, &len, OPENING_MOST) == CONN_DATA) {
        size_t seen = len < PREFACE.len ? len : PREFACE.len;
        bool same = memcmp(data, PREFACE.ptr, seen) == 0;
        conn_keep(conn, data, len);
        if (!same && !may_be_http_1(data, len)) {
            down_conn_close(c, END_LINGER);
            return;
        }
        if (!same || seen == PREFACE.len) {
            opening_ends(c, same ? STR("h2") : STR("http/1.1"));
            return;
        }
    }
    if (conn->eof_seen || conn->write_failed || conn->error != CONN_OK) {
        opening_ends(c, STR("http/1.1")); /* which knows what a cut head is */
    }
}

static void opening_quiet(struct conn *conn)
{
    (void)conn; /* nothing is written yet */
}

static const struct conn_ops opening_ops = {
    .on_readable = opening_readable,
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
    if (conn->opening || conf->h2c) {
        c->codec = &opening;
        c->timer.fn = opening_late;
        conn_set_owner(conn, &opening_ops, c);
        timer_set(conn->loop, &c->timer,
                  conn->opening ? conf->handshake_timeout_ns : conf->header_timeout_ns);
    } else {
        c->codec = downs[place_of(&down_protocols, (struct weir_str){NULL, 0})];
        c->codec->begin(c, conf);
    }
}

/* ---- towards servers ---- */

bool up_protocol_agreed(enum up_protocol protocol, const struct conn *conn)
{
    return protocol != UP_HTTP_2 || conn_ssl(conn) == NULL ||
           str_equal(protocol_of(conn), STR("h2"));
}

bool up_protocol_is_2(enum up_protocol protocol, const struct conn *conn)
{
    const struct up_codec *codec = up_protocol_codec(protocol, conn_ssl(conn) != NULL);

    return (codec != NULL ? codec : ups[place_of(&up_protocols, protocol_of(conn))]) ==
           &h2_up_codec;
}

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
