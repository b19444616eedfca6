/* SPDX-License-Identifier: MIT */
/*
 * HTTP/2 towards clients: many exchanges at a time.
 */
#ifndef HTTP_H2_DOWN_H
#define HTTP_H2_DOWN_H

#include "http/down_conn.h"

extern const struct down_codec h2_down_codec;

#endif
