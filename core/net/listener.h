/* SPDX-License-Identifier: MIT */
/*
 * Listening sockets and accepting. The control thread opens one socket a loop and address
 * (SO_REUSEPORT); each loop accepts on its own. Sockets outlive generations: a reload that names the
 * same address keeps them.
 */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include "net/address.h"
#include "net/loop.h"

/* The sockets of one address, one for each loop that accepts there (Unix: one, shared). Owner: the
 * control thread; refcounted by it. */
struct listen_socket {
    struct address address; /* as bound: with the real port where 0 was asked */
    char text[ADDRESS_TEXT_SIZE + 8];
    int *fds; /* one a loop; Unix: the same one for all */
    size_t count;
    unsigned refs;
    uint64_t device, inode; /* of a Unix socket's file; 0: none */
};

/* Opens, binds and listens; a port on which any other socket listens is refused, also one of ours with
 * SO_REUSEPORT. `count` 1 for the control thread alone. NULL: `error` says what and why in
 * full ("cannot listen on 127.0.0.1:80: address already in use"). Unix: a dead socket file is replaced, a
 * living one is a mistake; `mode` (e.g. 0660) is set. */
struct listen_socket *listen_socket_open(const struct address *address, size_t count, int backlog,
                                         unsigned mode, char *error, size_t error_size);
struct listen_socket *listen_socket_ref(struct listen_socket *socket);
/* Stops listening, for all loops and whoever else holds it: new connections are refused from now on. Each
 * loop has stopped accepting before. */
void listen_socket_shut(struct listen_socket *socket);
/* A loop that has stopped accepting: closes the socket that is its alone, at once, so that next to nobody
 * is left in its queue. A Unix socket is all loops' and stays. */
void listen_socket_shut_own(struct listen_socket *socket, unsigned loop);
/* Closes at the last one and removes a Unix socket's file. */
void listen_socket_unref(struct listen_socket **socket);

/* Accepting on one loop. */
struct acceptor;
/* `fd` accepted and non-blocking, TCP_NODELAY set; the callee owns it. */
typedef void (*acceptor_fn)(struct acceptor *acceptor, int fd, const struct address *peer,
                            void *arg);

/* Begins to accept on `fd` (not owned). Out of descriptors: pauses 100 ms, logs once a while, goes on.
 * The callee may pause or free the acceptor. */
struct acceptor *acceptor_new(struct loop *loop, int fd, acceptor_fn fn, void *arg);
void acceptor_free(struct acceptor **acceptor);
/* Takes all connections that the kernel has made already: whoever is in the queue when its socket closes
 * is reset. The owner stays in charge, and closes the socket soon afterwards. */
void acceptor_finish(struct acceptor *acceptor);
/* Asked before each connection is taken: false, and none is (the gate pauses the acceptor, or it is asked
 * again at once). `back` undoes a yes when no connection was there after all. Set before the first one. */
typedef bool (*acceptor_gate_fn)(struct acceptor *acceptor, void *arg);
typedef void (*acceptor_back_fn)(struct acceptor *acceptor, void *arg);
void acceptor_set_gate(struct acceptor *acceptor, acceptor_gate_fn gate, acceptor_back_fn back);
/* Stops and starts taking connections, e.g. at a limit. */
void acceptor_pause(struct acceptor *acceptor, bool pause);

#endif
