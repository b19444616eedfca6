/* SPDX-License-Identifier: MIT */
/*
 * Listening sockets: how they are opened, and how they end.
 */
#include "net/listener.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

/* ---- opening ---- */

/* All listening sockets. Control thread. */
static struct list all = {&all, &all};

/* This process's socket on the address; NULL: none. */
static const struct listen_socket *own_socket(const struct address *address)
{
    list_each(link, &all)
    {
        const struct listen_socket *socket = container_of(link, struct listen_socket, link);
        if (address_overlaps(&socket->address, address)) {
            return socket;
        }
    }
    return NULL;
}

/* EINVAL: a valid address, but not one to listen on. */
static const char *advice_on_address(const struct address *address)
{
    if (address->u.any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&address->u.in6.sin6_addr)) {
        return "it is an IPv4 address in IPv6; write the IPv4 address";
    }
    if (address->u.any.sa_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&address->u.in6.sin6_addr)) {
        return "a link-local address needs its interface, as in [fe80::1%eth0]";
    }
    return strerror(EINVAL);
}

/* What an operator can do about it. */
static const char *advice(int error, const struct address *address)
{
    switch (error) {
    case EADDRINUSE:
        return own_socket(address) != NULL
                   ? "Weir itself listens there, started by another user; a restart is needed"
                   : "address already in use; another program listens there (`ss -ltnp` shows "
                     "which)";
    case EACCES:
    case EPERM:
        if (address->u.any.sa_family == AF_UNIX) {
            return "permission denied; the folder must be writable for this user";
        }
        return address_port(address) < 1024
                   ? "permission denied; ports below 1024 need root or CAP_NET_BIND_SERVICE"
                   : "permission denied";
    case EINVAL: return advice_on_address(address);
    case EADDRNOTAVAIL: return "no network interface of this machine has this address";
    case EAFNOSUPPORT: return "address family unsupported on this machine";
    case EMFILE:
    case ENFILE: return "no file descriptor is left; raise the limit (`ulimit -n`)";
    case ENOENT: return "the folder of the socket is not there";
    default: return strerror(error);
    }
}

static void explain(char *out, size_t size, const struct address *address, const char *why)
{
    char text[ADDRESS_TEXT_SIZE + 8];

    address_text_port(address, text, sizeof(text));
    snprintf(out, size, "cannot listen on %s: %s", text, why);
}

static bool set_option(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value)) == 0;
}

static int close_failed(int fd)
{
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

/*
 * One TCP socket, bound. SO_REUSEPORT lets a foreign socket of the same user share the port without
 * a word. So the first one binds and listens without it, which fails where anyone else listens, and
 * is opened to its siblings only afterwards (the kernel takes it into their group when they
 * listen).
 */
static int bind_tcp(const struct address *address, bool share)
{
    int fd = socket(address->u.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd == -1) {
        return -1;
    }
    bool ok =
        set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) &&
        (!share || set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1)) &&
        (address->u.any.sa_family != AF_INET6 || set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)) &&
        /* Accepted sockets inherit it: a call less for each. */
        set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) && bind(fd, &address->u.any, address->len) == 0;
    return ok ? fd : close_failed(fd);
}

static int open_tcp(const struct address *address, int backlog, bool share)
{
    int fd = bind_tcp(address, share);

    if (fd == -1) {
        return -1;
    }
    bool ok = listen(fd, backlog) == 0 && (share || set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1));
    return ok ? fd : close_failed(fd);
}

static bool open_tcp_all(struct listen_socket *socket, char *error, size_t error_size)
{
    for (size_t i = 0; i < socket->count; i++) {
        socket->fds[i] = open_tcp(&socket->address, socket->backlog, i > 0);
        /* Ours would let a sibling in. */
        if (socket->fds[i] == -1 && i == 0 && errno == EADDRINUSE &&
            own_socket(&socket->address) != NULL) {
            socket->fds[i] = open_tcp(&socket->address, socket->backlog, true);
        }
        if (socket->fds[i] == -1) {
            explain(error, error_size, &socket->address, advice(errno, &socket->address));
            return false;
        }
        /* Where port 0 was asked, the others follow the first one. */
        socklen_t len = sizeof(socket->address.u);
        if (i == 0 && getsockname(socket->fds[0], &socket->address.u.any, &len) == 0) {
            socket->address.len = len;
        }
    }
    return true;
}

bool listen_run_folder(const char *path, char *folder, size_t size)
{
    const char *slash = strrchr(path, '/');

    if (strncmp(path, "/run/", 5) != 0 || slash <= path + 4 ||
        memchr(path + 5, '/', (size_t)(slash - path) - 5) != NULL) {
        return false;
    }
    return (size_t)snprintf(folder, size, "%.*s", (int)(slash - path), path) < size;
}

/* The socket's folder must be there, and its place free of other files. */
static bool check_path(const struct address *address, char *error, size_t error_size)
{
    const char *path = address->u.un.sun_path;
    char folder[sizeof(address->u.un.sun_path)], made[sizeof(folder)], why[sizeof(folder) + 80];
    const char *slash = strrchr(path, '/');
    struct stat status;

    snprintf(folder, sizeof(folder), "%.*s", slash != NULL ? (int)(slash - path) : 1,
             slash != NULL ? path : ".");
    if (slash == path) {
        snprintf(folder, sizeof(folder), "/");
    }
    why[0] = '\0';
    if (stat(folder, &status) != 0) {
        bool can_make = errno == ENOENT && listen_run_folder(path, made, sizeof(made)) &&
                        faccessat(AT_FDCWD, "/run", W_OK | X_OK, AT_EACCESS) == 0;
        if (!can_make && errno == ENOENT) {
            snprintf(why, sizeof(why), "there is no folder %s; make it", folder);
        } else if (!can_make) {
            snprintf(why, sizeof(why), "the folder %s: %s", folder, strerror(errno));
        }
    } else if (!S_ISDIR(status.st_mode)) {
        snprintf(why, sizeof(why), "%s is no folder", folder);
    } else if (faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) != 0) {
        snprintf(why, sizeof(why), "the folder %s must be writable for this user", folder);
    } else if (lstat(path, &status) == 0 && !S_ISSOCK(status.st_mode)) {
        snprintf(why, sizeof(why), "a file that is no socket has this name; remove it");
    }
    if (why[0] != '\0') {
        explain(error, error_size, address, why);
    }
    return why[0] == '\0';
}

/* Whether some program listens on the socket's file. */
static bool path_lives(const struct address *address, char *error, size_t error_size)
{
    struct stat status;

    if (lstat(address->u.un.sun_path, &status) != 0) {
        return false;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd == -1) {
        explain(error, error_size, address, advice(errno, address));
        return true;
    }
    bool dead = connect(fd, &address->u.any, address->len) != 0 && errno == ECONNREFUSED;
    close(fd);
    if (!dead) {
        explain(error, error_size, address,
                own_socket(address) != NULL ? "Weir itself listens there"
                                            : "another program listens there");
    }
    return !dead;
}

static int open_unix(const struct address *address, int backlog, unsigned mode)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd == -1) {
        return -1;
    }
    /* bind gives the file at most the descriptor's mode, less the umask, so the file is never more
     * accessible than it should be. */
    bool ok = fchmod(fd, mode) == 0 && bind(fd, &address->u.any, address->len) == 0 &&
              chmod(address->u.un.sun_path, mode) == 0 && listen(fd, backlog) == 0;
    return ok ? fd : close_failed(fd);
}

static bool open_unix_all(struct listen_socket *socket, char *error, size_t error_size)
{
    const char *path = socket->address.u.un.sun_path;
    char folder[sizeof(socket->address.u.un.sun_path)];
    struct stat status;

    if (!check_path(&socket->address, error, error_size) ||
        path_lives(&socket->address, error, error_size)) {
        return false;
    }
    unlink(path); /* nobody listens there */
    if (listen_run_folder(path, folder, sizeof(folder))) {
        (void)mkdir(folder, 0755); /* if that fails, so does the socket, and is reported */
    }
    int fd = open_unix(&socket->address, socket->backlog, socket->mode);
    if (fd == -1) {
        explain(error, error_size, &socket->address, advice(errno, &socket->address));
        return false;
    }
    socket->fds[0] = fd;
    socket->count = 1;
    if (lstat(path, &status) == 0) {
        socket->device = (uint64_t)status.st_dev;
        socket->inode = (uint64_t)status.st_ino;
    }
    return true;
}

struct listen_socket *listen_socket_open(const struct address *address, size_t count, int backlog,
                                         unsigned mode, char *error, size_t error_size)
{
    struct listen_socket *socket = base_zalloc(sizeof(*socket));

    ASSERT(count > 0);
    socket->address = *address;
    socket->count = count;
    socket->refs = 1;
    socket->backlog = backlog;
    socket->mode = mode;
    socket->fds = base_alloc(count * sizeof(*socket->fds));
    for (size_t i = 0; i < count; i++) {
        socket->fds[i] = -1;
    }
    bool ok = address->u.any.sa_family == AF_UNIX ? open_unix_all(socket, error, error_size)
                                                  : open_tcp_all(socket, error, error_size);
    if (!ok) {
        listen_socket_unref(&socket);
        return NULL;
    }
    address_text_port(&socket->address, socket->text, sizeof(socket->text));
    list_push_back(&all, &socket->link);
    return socket;
}

bool listen_socket_check(const struct address *address, bool strangers, char *error,
                         size_t error_size)
{
    if (address->u.any.sa_family == AF_UNIX) {
        return check_path(address, error, error_size) &&
               !(strangers && path_lives(address, error, error_size));
    }
    int fd = bind_tcp(address, false);
    if (fd == -1 && errno == EADDRINUSE && own_socket(address) != NULL) {
        fd = bind_tcp(address, true);
    }
    if (fd == -1 && (strangers || errno != EADDRINUSE)) {
        explain(error, error_size, address, advice(errno, address));
        return false;
    }
    if (fd != -1) {
        close(fd);
    }
    return true;
}

/* Whether the socket's file is still ours: another process may have taken the name over. */
static bool owns_file(const struct listen_socket *socket)
{
    struct stat status;

    return socket->inode != 0 && lstat(socket->address.u.un.sun_path, &status) == 0 &&
           (uint64_t)status.st_dev == socket->device && (uint64_t)status.st_ino == socket->inode;
}

/* Only what is still ours. */
static void remove_file(const struct listen_socket *socket)
{
    if (owns_file(socket)) {
        unlink(socket->address.u.un.sun_path);
    }
}

bool listen_socket_tune(struct listen_socket *socket, int backlog, unsigned mode, char *error,
                        size_t error_size)
{
    bool local = socket->address.u.any.sa_family == AF_UNIX;

    if (local && socket->mode != mode && owns_file(socket)) {
        if (chmod(socket->address.u.un.sun_path, mode) != 0) {
            snprintf(error, error_size, "cannot set the mode of %s to %04o: %s", socket->text, mode,
                     strerror(errno));
            return false;
        }
        socket->mode = mode;
    }
    /* On a listening socket this only sets the queue's length. */
    for (size_t i = 0; socket->backlog != backlog && i < socket->count; i++) {
        (void)listen(socket->fds[i], backlog);
    }
    socket->backlog = backlog;
    return true;
}

void listen_socket_watch(struct listen_socket *socket, const struct tcp_watch *watch)
{
    for (size_t i = 0; socket->address.u.any.sa_family != AF_UNIX && i < socket->count; i++) {
        tcp_watch_set(socket->fds[i], watch);
    }
}

struct listen_socket *listen_socket_ref(struct listen_socket *socket)
{
    socket->refs++;
    return socket;
}

/* ---- the end ---- */

/* Drops segments that ask for a connection (SYN without ACK). All others pass, those that end a
 * handshake among them. Data begins with the TCP header; accepted sockets inherit the filter, to
 * which it is nothing. */
static void drop_new(int fd)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13), /* the flags */
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x12),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x02, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    struct sock_fprog program = {.len = ARRAY_COUNT(code), .filter = code};

    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) != 0) {
        log_write(WEIR_LOG_DEBUG, "listener",
                  "SO_ATTACH_FILTER: %s; a connection that comes at "
                  "the very end may be reset",
                  strerror(errno));
    }
}

void listen_socket_refuse(struct listen_socket *socket)
{
    if (socket->refusing) {
        return;
    }
    socket->refusing = true;
    if (socket->address.u.any.sa_family == AF_UNIX) {
        remove_file(socket);
        socket->inode = 0;
        shutdown(socket->fds[0], SHUT_RD); /* what has connected can still be accepted */
        return;
    }
    for (size_t i = 0; i < socket->count; i++) {
        if (socket->fds[i] != -1) {
            drop_new(socket->fds[i]);
        }
    }
}

/* Asks for the first socket of `port` that is shaking hands. */
static bool ask_handshakes(int fd, int family, uint16_t port)
{
    struct {
        struct nlmsghdr header;
        struct inet_diag_req_v2 body;
    } question = {
        .header = {.nlmsg_len = sizeof(question),
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .body = {.sdiag_family = (uint8_t)family,
                 .sdiag_protocol = IPPROTO_TCP,
                 .idiag_states = 1u << TCP_SYN_RECV,
                 .id.idiag_sport = htons(port)},
    };
    return send(fd, &question, sizeof(question), 0) == (ssize_t)sizeof(question);
}

bool listen_socket_is_settled(const struct listen_socket *listening)
{
    int family = listening->address.u.any.sa_family;
    union {
        struct nlmsghdr header;
        char bytes[8192];
    } answer;
    bool settled = false;

    if (family == AF_UNIX) {
        return true;
    }
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
    if (fd == -1) {
        return false;
    }
    if (ask_handshakes(fd, family, address_port(&listening->address)) &&
        recv(fd, &answer, sizeof(answer), 0) >= (ssize_t)sizeof(answer.header)) {
        settled = answer.header.nlmsg_type == NLMSG_DONE;
    }
    close(fd);
    return settled;
}

int listen_socket_enter(struct listen_socket *socket, unsigned loop)
{
    atomic_fetch_add(&socket->accepting, 1);
    return socket->fds[socket->count > 1 ? loop : 0];
}

void listen_socket_pass(struct listen_socket *socket)
{
    atomic_fetch_sub(&socket->accepting, 1);
}

void listen_socket_leave(struct listen_socket *socket, unsigned loop)
{
    bool last = atomic_fetch_sub(&socket->accepting, 1) == 1;
    int *fd = &socket->fds[socket->count > 1 ? loop : 0];

    if (socket->address.u.any.sa_family != AF_UNIX || last) {
        close(*fd);
        *fd = -1;
    }
}

void listen_socket_unref(struct listen_socket **socket)
{
    struct listen_socket *s = *socket;

    if (s == NULL) {
        return;
    }
    *socket = NULL;
    if (--s->refs > 0) {
        return;
    }
    ASSERT(s->accepting == 0);
    list_remove(&s->link);
    if (s->address.u.any.sa_family == AF_UNIX) {
        remove_file(s);
    }
    for (size_t i = 0; i < s->count; i++) {
        if (s->fds[i] != -1) {
            close(s->fds[i]);
        }
    }
    free(s->fds);
    free(s);
}
