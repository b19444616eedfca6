/* SPDX-License-Identifier: MIT */
/*
 * HTTP/2 towards servers: many exchanges at a time.
 */
#ifndef HTTP_H2_UP_H
#define HTTP_H2_UP_H

#include "http/up_conn.h"

extern const struct up_codec h2_up_codec;

#endif
