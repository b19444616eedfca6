/* SPDX-License-Identifier: MIT */
/*
 * Socket addresses from text and back; networks for trust lists.
 */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/base.h"

struct address {
    socklen_t len;
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
        struct sockaddr_storage storage;
    } u;
};

/* Longest text of an address without port, NUL included. */
#define ADDRESS_TEXT_SIZE 112

/* IPV4:PORT, [IPV6]:PORT, *:PORT or unix:PATH; no names. false: `error` says why. */
bool address_parse(struct address *address, struct weir_str text, char *error, size_t error_size);
/* The parts of NAME:PORT; false: it is something else. */
bool address_parse_name(struct weir_str text, struct weir_str *host, uint16_t *port);
/* The numeric host (no port) of an address literal; false: it is a name. */
bool address_from_host(struct address *address, struct weir_str host, uint16_t port);
/* From the 4 or 16 bytes of an address of `family` (AF_INET, AF_INET6), in the net's order. */
void address_from_bytes(struct address *address, int family, const void *bytes, uint16_t port);
void address_from_unix(struct address *address, struct weir_str path);

/* The bytes of an IP address, 4 or 16 of them, with `unmap` 4 of IPv4-mapped IPv6 too (RFC 4291
 * section 2.5.5.2); NULL and 0: it is none. */
const uint8_t *address_bytes(const struct address *address, bool unmap, size_t *len);

/* "192.0.2.1", "2001:db8::1" (IPv4-mapped as IPv4), "unix". */
size_t address_text(const struct address *address, char *out, size_t size);
/* With port: "192.0.2.1:80", "[2001:db8::1]:80", "unix:/path". */
size_t address_text_port(const struct address *address, char *out, size_t size);
uint16_t address_port(const struct address *address);
void address_set_port(struct address *address, uint16_t port); /* IP alone */
bool address_equal(const struct address *a, const struct address *b);
bool address_is_loopback(const struct address *address);
/* Whether the system lets only one of them be listened on: one port of one family, and the same
 * address or one that is all of them. Port 0 is a new one each time. Unix: one name in one folder,
 * however written. */
bool address_overlaps(const struct address *a, const struct address *b);

/* A network: address and prefix length. */
struct network {
    uint8_t bytes[16];
    uint8_t bits;
    uint8_t family_bytes; /* 4 or 16; 0: Unix sockets ("unix") */
};
bool network_parse(struct network *network, struct weir_str text);
bool network_contains(const struct network *network, const struct address *address);

#endif
