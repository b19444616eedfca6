/* SPDX-License-Identifier: MIT */
/* A TLS listener and a client of it on one loop, both ends in this process. */
#ifndef UNIT_TLS_STAGE_H
#define UNIT_TLS_STAGE_H

#include <openssl/ssl.h>

#include "conn_stage.h"
#include "net/listener.h"
#include "net/tls.h"
#include "tls_help.h"

extern struct listen_socket *listening;
extern struct tls_listener *listener;
extern struct tls_listener_conf conf; /* of make_listener */
extern SSL_CTX *client_ctx;
extern struct end client, server;
extern const struct conn_ops *server_ops; /* of the next connection */

/* Certificates "one" (one.example, 127.0.0.1) and "two" (two.example, *.two.example), signed by
 * "ca"; "other_ca" has signed nothing. */
void tls_stage_set_up(void);
void tls_stage_tear_down(void);

struct tls_listener *make_listener(void);
SSL_CTX *make_client_ctx(bool verify, const char *ca);
/* 0: TLS 1.2; 1: TLS 1.3. Of connections from now on. */
void set_version(int index);

/* The client connects. */
void begin(const char *name, SSL_SESSION *session);
bool both_opened(void *arg);
/* Until both ends are open, without a fault. */
void open_both(const char *name, SSL_SESSION *session);
void drop_ends(void);
/* Until `end` has got so many bytes, and no more. */
void end_wait(struct end *end, size_t count);

#endif
