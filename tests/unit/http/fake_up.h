/* SPDX-License-Identifier: MIT */
/*
 * A codec towards servers that sends nothing: connections with room for three exchanges, which the
 * test lets go.
 */
#ifndef WEIR_TESTS_UNIT_HTTP_FAKE_UP_H
#define WEIR_TESTS_UNIT_HTTP_FAKE_UP_H

#include "http/up_conn.h"

#define FAKE_UP_ROOM 3u

extern const struct up_codec fake_up_codec;
/* Connections begin no exchange, though they have room; the ones that end leave no room. */
extern bool fake_up_refuses, fake_up_winds_down;

/* The server allows so many more. */
void fake_up_set_room(struct up_conn *c, uint32_t room);
/* One of its exchanges is over. */
void fake_up_let_go(struct up_conn *c);
/* The server has ended it, whatever runs. */
void fake_up_break(struct up_conn *c);

#endif
