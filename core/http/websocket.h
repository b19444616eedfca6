/* SPDX-License-Identifier: MIT */
/*
 * The key of a WebSocket's opening handshake and the answer to it (RFC 6455 section 4), for
 * exchanges whose other side speaks HTTP/2, which has neither (RFC 8441).
 */
#ifndef HTTP_WEBSOCKET_H
#define HTTP_WEBSOCKET_H

#include "http/message.h"

#define WEBSOCKET_KEY    STR("Sec-WebSocket-Key")
#define WEBSOCKET_ACCEPT STR("Sec-WebSocket-Accept")

/* A random key. .ptr NULL: out of memory or of random numbers. */
struct weir_str websocket_key(struct arena *arena);
/* The answer to the key. .ptr NULL: out of memory. */
struct weir_str websocket_accept(struct weir_str key, struct arena *arena);

#endif
