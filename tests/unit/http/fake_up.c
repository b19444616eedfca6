/* SPDX-License-Identifier: MIT */
/* A codec with room for three exchanges. See fake_up.h. */
#include "fake_up.h"

bool fake_up_refuses, fake_up_winds_down;

static void nothing(struct conn *conn)
{
    (void)conn;
}

static const struct conn_ops ops = {.on_readable = nothing, .on_drained = nothing};

static bool begin(struct up_conn *c, const struct http_limits *limits)
{
    (void)limits;
    c->room = FAKE_UP_ROOM;
    conn_set_owner(c->conn, &ops, c);
    return true;
}

static bool use(struct up_conn *c, struct exchange *exchange, bool probe)
{
    (void)exchange;
    (void)probe;
    ASSERT(c->room > 0 && c->conn != NULL);
    if (fake_up_refuses) {
        return false;
    }
    c->room--;
    c->running++;
    c->served++;
    return true;
}

static void end(struct up_conn *c)
{
    ASSERT(c->running == 0);
    up_conn_end(c, END_CLOSE);
}

const struct up_codec fake_up_codec = {
    .version = HTTP_2,
    .size = sizeof(struct up_conn),
    .room = FAKE_UP_ROOM,
    .begin = begin,
    .use = use,
    .close = end,
};

void fake_up_let_go(struct up_conn *c)
{
    c->room += !fake_up_winds_down;
    if (--c->running == 0) {
        c->idle_since_ns = loop_now_ns(c->conn->loop);
    }
    c->owner->on_room(c);
}

void fake_up_set_room(struct up_conn *c, uint32_t room)
{
    c->room = room;
    c->owner->on_room(c);
}

void fake_up_break(struct up_conn *c)
{
    c->running = 0;
    up_conn_end(c, END_RESET);
}
