/* SPDX-License-Identifier: MIT */
/* A visitor's connection to the site: one at a time, kept alive, over TLS or plain. */
#ifndef WEIR_DEMO_VISITORS_CHANNEL_H
#define WEIR_DEMO_VISITORS_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#include "visitors_http.h"

struct addrinfo;
struct ssl_ctx_st;

/* Where visitors go; shared by all channels, which it outlives. */
struct target {
    bool tls;
    char host[256]; /* without brackets */
    char port[6];
    char authority[272]; /* as the Host field says it */
    struct addrinfo *addresses;
    struct addrinfo *preferred; /* the one that answered last */
    struct ssl_ctx_st *tls_context;
    uint64_t connections;
    uint64_t resumed; /* of them, with an earlier TLS session */
};

/* Reads https://HOST[:PORT] or http://...; false after a message on standard error. */
bool target_open(struct target *target, const char *url, const char *ca_file);
void target_close(struct target *target);

enum exchange_result {
    EXCHANGE_OK,
    EXCHANGE_NO_CONNECTION,
    EXCHANGE_CUT,
    EXCHANGE_LATE,
    EXCHANGE_BAD
};

/* Called once for each channel_send(), never from within it. `response` is valid until the next
 * channel_send(); `why` says in words what went wrong. */
typedef void (*channel_done)(void *arg, enum exchange_result result,
                             const struct response *response, const char *why);

struct channel;

/* NULL when there is no memory. */
struct channel *channel_new(struct event_base *base, struct target *target, channel_done done,
                            void *arg);
void channel_free(struct channel **channel);
/* Sends a whole request of `len` bytes, connecting first where needed. One at a time. */
void channel_send(struct channel *channel, const char *request, size_t len, bool is_head,
                  unsigned timeout_ms);
/* Closes the connection, which must be idle; the next request makes a new one. */
void channel_hang_up(struct channel *channel);
/* Forgets the TLS session as well: the next connection is a stranger's. */
void channel_forget(struct channel *channel);

#endif
