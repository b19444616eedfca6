/* SPDX-License-Identifier: MIT */
/*
 * Accept-Encoding (RFC 9110 section 12.5.3): which content coding a client likes best. Pure; any
 * thread.
 */
#ifndef COMPRESS_ACCEPT_H
#define COMPRESS_ACCEPT_H

#include <weir/text.h>

#include "encoder.h"

/* What has been read of a request's fields. Weights in thousandths; -1: not named. */
struct accept {
    int weight[ENCODING_COUNT];
    int identity;
    int any; /* `*` */
};

/* Before the first field. */
void accept_begin(struct accept *accept);
/* One field's value; elements that are malformed accept nothing. */
void accept_read(struct accept *accept, struct weir_str value);
/* The best of `order`, the server's preference among equals, `count` of them; ENCODING_NONE: the
 * body goes as it is. */
enum encoding accept_choose(const struct accept *accept, const enum encoding *order, size_t count);

#endif
