/* SPDX-License-Identifier: MIT */
/*
 * Names to addresses without waiting: c-ares on a loop. Reads /etc/hosts, then asks the servers of
 * /etc/resolv.conf (RFC 1035), for A and AAAA records, or for SRV records (RFC 2782).
 *
 * Thread: the loop's.
 */
#ifndef NET_RESOLVER_H
#define NET_RESOLVER_H

#include "net/address.h"
#include "net/loop.h"

struct resolver;
struct resolver_query;

/* One address that a name has. `priority` and `weight` are an SRV record's; 0 otherwise. */
struct resolved {
    struct address address;
    uint16_t priority, weight;
};

/* `error` NULL: `count` (1 or more) addresses, IPv4 first, good for `ttl_s` seconds. Else static text, and
 * no addresses. Valid for the call; never inside resolver_ask. */
typedef void (*resolver_fn)(void *arg, const struct resolved *addresses, size_t count,
                            uint32_t ttl_s, const char *error);

/* `servers`: nameservers as IPV4[:PORT] or [IPV6]:PORT, separated by commas; empty: the system's. NULL:
 * `error` says why. */
struct resolver *resolver_new(struct loop *loop, struct weir_str servers, char *error,
                              size_t error_size);
/* Queries that run are dropped without a call. */
void resolver_free(struct resolver **resolver);

/* Asks for the addresses of `host`, each with `port`. */
struct resolver_query *resolver_ask(struct resolver *resolver, struct weir_str host, uint16_t port,
                                    resolver_fn fn, void *arg);
/* Asks for the SRV records of `service` (_http._tcp.example), and the addresses of their targets. */
struct resolver_query *resolver_ask_srv(struct resolver *resolver, struct weir_str service,
                                        resolver_fn fn, void *arg);
/* No call comes any more. Not from inside fn, where the query has ended. */
void resolver_forget(struct resolver_query *query);

#endif
