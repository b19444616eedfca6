/* SPDX-License-Identifier: MIT */
/*
 * What a request is held to before anybody asks who sent it: whose name it calls us by, and which
 * page made it. Pure; any thread.
 */
#ifndef ADMIN_CHECK_H
#define ADMIN_CHECK_H

#include <weir/option.h>

#include "text.h"

/* Whether we are meant by that host: an address, localhost, or one of `allowed` (struct
 * weir_str). A name that somebody else's DNS points here (rebinding) is none of them. */
bool check_host(struct weir_str host, const struct weir_list *allowed);

/* Whether a browser sent it from one of our own pages, or no browser did (RFC 6454; Fetch
 * Metadata). */
bool check_origin(const struct weir_request *req);

/* Whether the address is of IPv4 or IPv6, in text, without port or brackets. */
bool check_is_address(struct weir_str host);

/* Whether the request has passed through a proxy, so that the socket's peer is not who asks. */
bool check_is_forwarded(const struct weir_request *req);

#endif
