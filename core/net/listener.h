/* SPDX-License-Identifier: MIT */
/*
 * Listening sockets and accepting. The control thread opens one socket a loop and address
 * (SO_REUSEPORT); each loop accepts on its own. Sockets outlive generations: a reload that names
 * the same address keeps them.
 */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include <stdatomic.h>

#include "base/list.h"
#include "net/address.h"
#include "net/loop.h"
#include "net/tcp_watch.h"

/*
 * The sockets of one address, one for each loop that accepts there (Unix: one, shared). Owner: the
 * control thread; refcounted by it.
 *
 * Closing without losing a client: a socket that closes resets the connections in its queue and in
 * handshakes (SO_REUSEPORT: even if siblings go on). So first it takes no new connection any more
 * (listen_socket_refuse), while the loops accept on; when no handshake is under way
 * (listen_socket_is_settled), it is `dry`: what stands in the queues then is all that ever will.
 * Each loop takes that, and closes (listen_socket_leave).
 */
struct listen_socket {
    struct address address; /* as bound: with the real port where 0 was asked */
    char text[ADDRESS_TEXT_SIZE + 8];
    int *fds;
    size_t count; /* one per loop; one for all: Unix, and the control thread's */
    unsigned refs;
    int backlog;
    unsigned mode;          /* of a Unix socket's file */
    uint64_t device, inode; /* of a Unix socket's file; 0: none */
    bool refusing;
    atomic_bool dry;       /* the control thread tells the loops */
    atomic_uint accepting; /* loops that accept on it */
    struct list link;      /* all that are open */
};

/* Opens, binds and listens; a port on which another socket listens is refused, one of the same user
 * with SO_REUSEPORT too; but where sockets of this process are in the way (a reload takes their
 * address away and gives a part of it, or more, to another listener), both listen until those are
 * shut. `count` 1 for the control thread alone. NULL: `error` says what and why in full ("cannot
 * listen on 127.0.0.1:80: address already in use"). Unix: a dead socket file is replaced, a living
 * one is a mistake; `mode` (e.g. 0660) is set. */
struct listen_socket *listen_socket_open(const struct address *address, size_t count, int backlog,
                                         unsigned mode, char *error, size_t error_size);

/* Whether listen_socket_open would do, as far as can be known without it: nothing listens, nothing
 * is made. `error` as there. `strangers` false: what another program listens on is left out, as it
 * may be the Weir that is to be replaced. */
bool listen_socket_check(const struct address *address, bool strangers, char *error,
                         size_t error_size);

/* The folder of a Unix socket, or other file, that is made where it is missing: one in /run, which
 * is empty after each boot. false: this is none. */
bool listen_run_folder(const char *path, char *folder, size_t size);

/* Applies settings that may change while it listens. false: the file's mode could not be set,
 * `error` says why. */
bool listen_socket_tune(struct listen_socket *socket, int backlog, unsigned mode, char *error,
                        size_t error_size);

struct listen_socket *listen_socket_ref(struct listen_socket *socket);
/* From now on no connection begins here: a Unix socket refuses at once, its file goes; on TCP what
 * asks is not answered, asks again after a second, and is refused then. Loops go on accepting. */
void listen_socket_refuse(struct listen_socket *socket);
/* TCP timeouts of connections accepted from now on. Control thread. */
void listen_socket_watch(struct listen_socket *socket, const struct tcp_watch *watch);
/* Whether no TCP handshake is under way. Asks the kernel; false if unknown. */
bool listen_socket_is_settled(const struct listen_socket *socket);
/* Any loop: begins to accept on it; returns the descriptor. */
int listen_socket_enter(struct listen_socket *socket, unsigned loop);
/* The loop accepts on it with another acceptor from now on: the socket stays. */
void listen_socket_pass(struct listen_socket *socket);
/* The loop stops accepting: closes its own socket; a Unix one is closed by the last loop. Resets
 * queued connections unless acceptor_finish was called. */
void listen_socket_leave(struct listen_socket *socket, unsigned loop);
/* Closes at the last one and removes a Unix socket's file. */
void listen_socket_unref(struct listen_socket **socket);

#endif
