/* SPDX-License-Identifier: MIT */
/*
 * The PROXY protocol, versions 1 and 2: a header in front of everything else on a connection, by
 * which a proxy tells whose connection it passes on. Parsing is strict: what is not exactly a
 * header is none, or a bad one.
 *
 * Specification: https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt
 */
#ifndef NET_PROXY_HEADER_H
#define NET_PROXY_HEADER_H

#include "net/address.h"

/* A longer header is refused: addresses need 232 bytes at most, the rest is for TLVs. */
#define PROXY_HEADER_MAX 4096u
/* The longest one that proxy_header_write makes. */
#define PROXY_HEADER_WRITE_MAX 232u

enum proxy_header_result {
    PROXY_HEADER_OK,
    PROXY_HEADER_INCOMPLETE, /* so far it may be one: more bytes are needed */
    PROXY_HEADER_NONE,       /* the connection begins with something else */
    PROXY_HEADER_BAD,        /* it begins like one, and is none; *reason says why */
};

struct proxy_header {
    size_t len;       /* bytes that the header takes */
    unsigned version; /* 1 or 2 */
    /* The proxy knows the client. false: LOCAL (its own connection, a health check say), UNKNOWN or
     * UNSPEC; the socket's own addresses count. */
    bool known;
    struct address source, destination; /* where `known` */
};

/* Parses data[0..len). On PROXY_HEADER_BAD `*reason` is a fixed text for the log. */
enum proxy_header_result proxy_header_parse(const char *data, size_t len,
                                            struct proxy_header *header, const char **reason);

/* Writes a header of that version (1 or 2) and says its length. `source` NULL: the connection is
 * Weir's own (LOCAL, UNKNOWN). An IPv4 end beside an IPv6 one is written as IPv4-mapped; Unix
 * sockets are UNKNOWN in version 1, which has no words for them. A `destination` with len 0 is not
 * known: zeros in version 2, and all UNKNOWN in version 1. */
size_t proxy_header_write(char out[PROXY_HEADER_WRITE_MAX], unsigned version,
                          const struct address *source, const struct address *destination);

#endif
