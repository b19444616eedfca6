/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1 towards clients: one exchange at a time; pipelined requests wait in the connection.
 */
#ifndef HTTP_H1_DOWN_H
#define HTTP_H1_DOWN_H

#include "http/down_conn.h"

extern const struct down_codec h1_down_codec;

#endif
