/* SPDX-License-Identifier: MIT */
/*
 * Request targets: split and normalised before any decision, so that routing and the server see the
 * same.
 */
#ifndef HTTP_URI_H
#define HTTP_URI_H

#include "base/arena.h"
#include "http/message.h"

/*
 * Normalises the path of a target (RFC 3986 section 6.2.2): %XX of unreserved characters is
 * decoded, other %XX get upper-case digits, dot segments are removed (also those written %2e),
 * empty segments and %2F stay as they are. Refuses (false) bytes outside the grammar of a path,
 * malformed %XX and %00; a path that climbs above the root is clamped there. `*out` is `in` itself
 * if nothing changes.
 */
bool uri_normalise_path(struct weir_str in, struct arena *arena, struct weir_str *out);

/* Bytes allowed in a query (RFC 3986 section 3.4, and [ ] { } | ^ ` " < > \ which clients send
 * raw, are accepted: no server reads them differently). Controls, spaces, DEL and '#' never;
 * bytes above 0x7f never. */
bool uri_query_valid(struct weir_str query);

/* Splits `host[:port]` and checks it (reg-name, IPv4, [IPv6]); the host in lower case. Userinfo
 * is refused. *port 0: none given. */
bool uri_parse_authority(struct weir_str authority, struct arena *arena, struct weir_str *host,
                         uint16_t *port);

#endif
