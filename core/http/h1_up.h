/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1 towards servers: one exchange at a time.
 */
#ifndef HTTP_H1_UP_H
#define HTTP_H1_UP_H

#include "http/up_conn.h"

extern const struct up_codec h1_up_codec;

#endif
