/* SPDX-License-Identifier: MIT */
/* The origin of the benchmark: an HTTP/1.1 server that costs next to nothing, so that what is
 * measured is the proxy in front of it. Keep-alive, pipelining, one thread, edge-triggered epoll.
 *
 *   GET /1k, /1m, /bytes/N   a body of that size: the alphabet over and over, in blocks of 1 MiB
 *   POST /upload             reads a body (Content-Length or chunked), answers "received N\n"
 *   GET /health              "well", or 503 after SIGUSR1, until SIGUSR2
 *
 * usage: origin [LISTEN_PORT [ADDRESS]]
 */

#define _GNU_SOURCE

#include <signal.h>
#include <stdbool.h>
#include <strings.h>
#include <sys/epoll.h>
#include <time.h>

#include "sockets.h"

#define BLOCK_SIZE   ((size_t)1024 * 1024)
#define SCRATCH_SIZE ((size_t)256 * 1024)
#define HEAD_LIMIT   ((size_t)64 * 1024)
#define EVENT_BATCH  256

enum phase { PHASE_HEAD, PHASE_SIZED_BODY, PHASE_CHUNKED_BODY, PHASE_REPLY };

enum chunk_state { CHUNK_SIZE, CHUNK_EXTENSION, CHUNK_DATA, CHUNK_DATA_END, CHUNK_TRAILER };

struct conn {
    int fd;
    enum phase phase;
    bool readable; /* an edge was seen and the socket was not drained since */
    bool ended;    /* the end of the stream was announced: read on until it is seen */
    bool close_after;
    bool is_upload;
    enum chunk_state chunk_state;
    size_t chunk_line;  /* bytes in the current size or trailer line */
    uint64_t body_left; /* of the request: of its body, or of the current chunk */
    uint64_t body_read;
    const char *head; /* of the response: either a ready-made one or own_head */
    size_t head_left;
    uint64_t reply_left; /* bytes of the response's body that are to be sent */
    uint64_t reply_sent;
    char *saved; /* input that could not be used yet: a partial head, or pipelined requests */
    size_t saved_len;
    char own_head[256];
};

/* A response head that is asked for so often that it is made once. */
struct ready_head {
    uint64_t size;
    size_t len;
    char text[256];
};

static struct ready_head ready_heads[2] = {{.size = 1024}, {.size = BLOCK_SIZE}};
static char block[BLOCK_SIZE];
static char scratch[HEAD_LIMIT + SCRATCH_SIZE];
static char date[64];
static struct conn **conns; /* by descriptor */
static int epoll_fd = -1;
static volatile sig_atomic_t ill;

static void on_signal(int number)
{
    ill = number == SIGUSR1;
}

static void conn_close(struct conn *conn)
{
    (void)close(conn->fd);
    conns[conn->fd] = NULL;
    free(conn->saved);
    free(conn);
}

static size_t format_head(char *to, size_t size, const char *status, uint64_t length, bool closing)
{
    return (size_t)snprintf(to, size,
                            "HTTP/1.1 %s\r\nServer: origin\r\nDate: %s\r\n"
                            "Content-Type: text/plain\r\nContent-Length: %llu\r\n%s\r\n",
                            status, date, (unsigned long long)length,
                            closing ? "Connection: close\r\n" : "");
}

/* Answers with `text` in place of a body of the block. */
static void reply_text(struct conn *conn, const char *status, const char *text)
{
    size_t len =
        format_head(conn->own_head, sizeof conn->own_head, status, strlen(text), conn->close_after);

    len += (size_t)snprintf(conn->own_head + len, sizeof conn->own_head - len, "%s", text);
    conn->head = conn->own_head;
    conn->head_left = len;
    conn->reply_left = 0;
    conn->phase = PHASE_REPLY;
}

static void reply_error(struct conn *conn, const char *status)
{
    conn->close_after = true;
    reply_text(conn, status, "");
}

static void reply_bytes(struct conn *conn, uint64_t size)
{
    conn->reply_left = size;
    conn->reply_sent = 0;
    conn->phase = PHASE_REPLY;
    if (!conn->close_after) {
        for (size_t i = 0; i < sizeof ready_heads / sizeof *ready_heads; i++) {
            if (ready_heads[i].size == size) {
                conn->head = ready_heads[i].text;
                conn->head_left = ready_heads[i].len;
                return;
            }
        }
    }
    conn->head = conn->own_head;
    conn->head_left =
        format_head(conn->own_head, sizeof conn->own_head, "200 OK", size, conn->close_after);
}

static void reply_upload(struct conn *conn)
{
    char text[48];

    (void)snprintf(text, sizeof text, "received %llu\n", (unsigned long long)conn->body_read);
    reply_text(conn, "200 OK", text);
}

static bool path_is(const char *path, size_t len, const char *name)
{
    return len == strlen(name) && memcmp(path, name, len) == 0;
}

static void reply_get(struct conn *conn, const char *path, size_t len)
{
    static const char prefix[] = "/bytes/";
    uint64_t size = 0;

    if (path_is(path, len, "/1k")) {
        reply_bytes(conn, 1024);
        return;
    }
    if (path_is(path, len, "/1m")) {
        reply_bytes(conn, BLOCK_SIZE);
        return;
    }
    if (path_is(path, len, "/health")) {
        reply_text(conn, ill ? "503 Service Unavailable" : "200 OK", ill ? "ill" : "well");
        return;
    }
    if (len < sizeof prefix || len > sizeof prefix + 12 ||
        memcmp(path, prefix, sizeof prefix - 1) != 0) {
        reply_error(conn, "404 Not Found");
        return;
    }
    for (size_t i = sizeof prefix - 1; i < len; i++) {
        if (path[i] < '0' || path[i] > '9') {
            reply_error(conn, "404 Not Found");
            return;
        }
        size = size * 10 + (uint64_t)(path[i] - '0');
    }
    reply_bytes(conn, size);
}

/* The value of a field if the line is that field, else NULL. The line is inside a head that ends
 * in CR LF CR LF, so that reading up to its CR stays inside. */
static const char *field_value(const char *line, const char *name, size_t name_len)
{
    if (strncasecmp(line, name, name_len) != 0 || line[name_len] != ':') {
        return NULL;
    }
    line += name_len + 1;
    while (*line == ' ' || *line == '\t') {
        line++;
    }
    return line;
}

/* Reads the fields that this server obeys: Connection, Content-Length, Transfer-Encoding. */
static void read_fields(struct conn *conn, const char *line, const char *end)
{
    while (line < end) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        const char *value;

        if ((*line | 0x20) == 'c') {
            value = field_value(line, "connection", 10);
            if (value != NULL && strncasecmp(value, "close", 5) == 0) {
                conn->close_after = true;
            }
            value = field_value(line, "content-length", 14);
            if (value != NULL) {
                conn->body_left = strtoull(value, NULL, 10);
                conn->phase = PHASE_SIZED_BODY;
            }
        } else if ((*line | 0x20) == 't') {
            value = field_value(line, "transfer-encoding", 17);
            if (value != NULL && strncasecmp(value, "chunked", 7) == 0) {
                conn->phase = PHASE_CHUNKED_BODY;
                conn->chunk_state = CHUNK_SIZE;
                conn->chunk_line = 0;
                conn->body_left = 0;
            }
        }
        line = next == NULL ? end : next + 1;
    }
}

/* One whole request head, its empty line included. */
static void read_head(struct conn *conn, const char *head, size_t len)
{
    const char *line_end = memchr(head, '\n', len);
    const char *target = memchr(head, ' ', (size_t)(line_end - head));
    const char *target_end;

    conn->body_left = 0;
    conn->body_read = 0;
    if (target == NULL) {
        reply_error(conn, "400 Bad Request");
        return;
    }
    target++;
    target_end = memchr(target, ' ', (size_t)(line_end - target));
    if (target_end == NULL || line_end - target_end < 9) {
        reply_error(conn, "400 Bad Request");
        return;
    }
    conn->close_after = memcmp(target_end, " HTTP/1.1", 9) != 0;
    read_fields(conn, line_end + 1, head + len - 2);
    conn->is_upload = len > 5 && memcmp(head, "POST ", 5) == 0;
    if (conn->is_upload) {
        if (!path_is(target, (size_t)(target_end - target), "/upload")) {
            reply_error(conn, "404 Not Found");
        } else if (conn->phase == PHASE_HEAD) {
            reply_upload(conn);
        }
    } else if (len < 4 || memcmp(head, "GET ", 4) != 0) {
        reply_error(conn, "405 Method Not Allowed");
    } else if (conn->phase != PHASE_HEAD) {
        reply_error(conn, "400 Bad Request");
    } else {
        reply_get(conn, target, (size_t)(target_end - target));
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One byte of chunked framing that is not chunk data. */
static void chunk_byte(struct conn *conn, char c)
{
    int digit;

    switch (conn->chunk_state) {
    case CHUNK_SIZE:
        digit = hex_digit(c);
        if (digit >= 0 && conn->chunk_line < 15) {
            conn->body_left = conn->body_left * 16 + (uint64_t)digit;
            conn->chunk_line++;
            return;
        }
        if (conn->chunk_line == 0 || (c != ';' && c != ' ' && c != '\r' && c != '\n')) {
            reply_error(conn, "400 Bad Request");
            return;
        }
        conn->chunk_state = CHUNK_EXTENSION;
        /* fallthrough */
    case CHUNK_EXTENSION:
        if (c == '\n') {
            conn->chunk_line = 0;
            conn->chunk_state = conn->body_left > 0 ? CHUNK_DATA : CHUNK_TRAILER;
        }
        return;
    case CHUNK_DATA:
        conn->chunk_state = CHUNK_DATA_END;
        /* fallthrough */
    case CHUNK_DATA_END:
        if (c == '\n') {
            conn->chunk_state = CHUNK_SIZE;
        } else if (c != '\r') {
            reply_error(conn, "400 Bad Request");
        }
        return;
    case CHUNK_TRAILER:
        if (c == '\n') {
            if (conn->chunk_line == 0) {
                reply_upload(conn);
            }
            conn->chunk_line = 0;
        } else if (c != '\r') {
            conn->chunk_line++;
        }
        return;
    }
}

/* Takes what it can of a request's body; returns how many bytes that was. */
static size_t read_body(struct conn *conn, const char *data, size_t len)
{
    size_t used = 0;

    while (used < len || (conn->phase == PHASE_SIZED_BODY && conn->body_left == 0)) {
        bool in_data = conn->phase == PHASE_SIZED_BODY || conn->chunk_state == CHUNK_DATA;

        if (conn->phase == PHASE_REPLY) {
            break;
        }
        if (in_data && conn->body_left > 0) {
            size_t take = len - used < conn->body_left ? len - used : (size_t)conn->body_left;

            used += take;
            conn->body_left -= take;
            conn->body_read += take;
        } else if (conn->phase == PHASE_SIZED_BODY) {
            reply_upload(conn);
        } else {
            chunk_byte(conn, data[used++]);
        }
    }
    return used;
}

enum reply_result { REPLY_DONE, REPLY_BLOCKED, REPLY_CLOSED };

/* Sends what is left of the response: the head and the body in one call where they fit. */
static enum reply_result reply_send(struct conn *conn)
{
    while (conn->head_left > 0 || conn->reply_left > 0) {
        size_t offset = (size_t)(conn->reply_sent % BLOCK_SIZE);
        size_t size = BLOCK_SIZE - offset;
        struct iovec iov[2] = {{(char *)conn->head, conn->head_left}, {block + offset, 0}};
        struct msghdr message = {.msg_iov = iov, .msg_iovlen = 2};
        ssize_t sent;
        size_t of_head;

        iov[1].iov_len = conn->reply_left < size ? (size_t)conn->reply_left : size;
        sent = sendmsg(conn->fd, &message, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EAGAIN) {
                return REPLY_BLOCKED;
            }
            conn_close(conn);
            return REPLY_CLOSED;
        }
        of_head = (size_t)sent < conn->head_left ? (size_t)sent : conn->head_left;
        conn->head += of_head;
        conn->head_left -= of_head;
        conn->reply_sent += (size_t)sent - of_head;
        conn->reply_left -= (size_t)sent - of_head;
    }
    if (conn->close_after) {
        (void)shutdown(conn->fd, SHUT_WR);
        conn_close(conn);
        return REPLY_CLOSED;
    }
    conn->phase = PHASE_HEAD;
    return REPLY_DONE;
}

/* Works through the input, answering each request in it; stops when it is used up, when a head is
 * not whole, or when a response does not fit into the socket. Returns false if the connection is
 * gone; else `*used` is how much was taken. */
static bool work(struct conn *conn, const char *data, size_t len, size_t *used)
{
    *used = 0;
    for (;;) {
        if (conn->phase == PHASE_REPLY) {
            switch (reply_send(conn)) {
            case REPLY_DONE: break;
            case REPLY_BLOCKED: return true;
            case REPLY_CLOSED: return false;
            }
        }
        if (conn->phase == PHASE_HEAD) {
            const char *start = data + *used;
            const char *end = memmem(start, len - *used, "\r\n\r\n", 4);

            if (end == NULL) {
                return true;
            }
            read_head(conn, start, (size_t)(end - start) + 4);
            *used += (size_t)(end - start) + 4;
        }
        if (conn->phase == PHASE_SIZED_BODY || conn->phase == PHASE_CHUNKED_BODY) {
            *used += read_body(conn, data + *used, len - *used);
            if (conn->phase != PHASE_REPLY) {
                return true;
            }
        }
    }
}

/* Keeps input that is not used yet. `data` may be what is already saved, or begin with it. */
static bool save(struct conn *conn, const char *data, size_t len)
{
    char *copy = NULL;

    if (len > 0) {
        copy = malloc(len);
        if (copy == NULL) {
            die("malloc");
        }
        memcpy(copy, data, len);
    }
    free(conn->saved);
    conn->saved = copy;
    conn->saved_len = len;
    if (len >= HEAD_LIMIT && conn->phase == PHASE_HEAD) {
        conn_close(conn);
        return false;
    }
    return true;
}

/* Reads and answers until the socket is drained or a response blocks. Nothing is read while a
 * response waits, so that what is saved stays below one scratch buffer. */
static void run(struct conn *conn)
{
    if (conn->phase == PHASE_REPLY) {
        size_t len = conn->saved_len;
        size_t used;

        memcpy(scratch, conn->saved == NULL ? "" : conn->saved, len);
        if (!work(conn, scratch, len, &used)) {
            return;
        }
        if (used > 0 && !save(conn, scratch + used, len - used)) {
            return;
        }
    }
    while (conn->readable && conn->phase != PHASE_REPLY) {
        size_t before = conn->saved_len;
        size_t room = sizeof scratch - before;
        size_t used;
        ssize_t n;

        /* A sized body is dropped inside the kernel: nothing is copied. */
        if (conn->phase == PHASE_SIZED_BODY) {
            room = conn->body_left < BLOCK_SIZE ? (size_t)conn->body_left : BLOCK_SIZE;
            n = recv(conn->fd, NULL, room, MSG_TRUNC);
        } else {
            if (before > 0) {
                memcpy(scratch, conn->saved, before);
            }
            n = recv(conn->fd, scratch + before, room, 0);
        }
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            conn_close(conn);
            return;
        }
        if (n < 0) {
            conn->readable = false;
            return;
        }
        if ((size_t)n < room && !conn->ended) {
            conn->readable = false;
        }
        if (!work(conn, scratch, before + (size_t)n, &used)) {
            return;
        }
        if ((used < before + (size_t)n || before > 0) &&
            !save(conn, scratch + used, before + (size_t)n - used)) {
            return;
        }
    }
}

static void on_event(struct conn *conn, uint32_t events)
{
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
        conn->ended = true;
    }
    if (conn->ended || (events & EPOLLIN) != 0) {
        conn->readable = true;
    }
    run(conn);
}

static void accept_all(int listen_fd, size_t limit)
{
    for (;;) {
        int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};

        if (fd == -1) {
            if (errno == EAGAIN) {
                return;
            }
            if (errno != ECONNABORTED && errno != EINTR) {
                die("accept");
            }
            continue;
        }
        if ((size_t)fd >= limit) {
            die("too many connections");
        }
        conns[fd] = calloc(1, sizeof **conns);
        if (conns[fd] == NULL) {
            die("calloc");
        }
        conns[fd]->fd = fd;
        sock_nodelay(fd);
        event.data.fd = fd;
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
            die("epoll_ctl");
        }
    }
}

static void prepare(void)
{
    time_t now = time(NULL);
    struct tm parts;

    for (size_t i = 0; i < BLOCK_SIZE; i++) {
        block[i] = (char)('a' + i % 26);
    }
    (void)gmtime_r(&now, &parts);
    (void)strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    for (size_t i = 0; i < sizeof ready_heads / sizeof *ready_heads; i++) {
        ready_heads[i].len = format_head(ready_heads[i].text, sizeof ready_heads[i].text, "200 OK",
                                         ready_heads[i].size, false);
    }
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENT_BATCH];
    struct epoll_event listening = {.events = EPOLLIN | EPOLLET};
    size_t limit = sock_file_limit();
    int listen_fd;

    if (argc > 3) {
        fprintf(stderr, "usage: origin [LISTEN_PORT [ADDRESS]]\n");
        return 2;
    }
    prepare();
    (void)signal(SIGUSR1, on_signal);
    (void)signal(SIGUSR2, on_signal);
    conns = calloc(limit, sizeof *conns);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    listen_fd = sock_listen(argc >= 2 ? (uint16_t)number_argument(argv[1], UINT16_MAX) : 0,
                            argc == 3 ? argv[2] : "127.0.0.1");
    listening.data.fd = listen_fd;
    if (conns == NULL || epoll_fd == -1 ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listen_fd, &listening) != 0) {
        die("epoll");
    }
    for (;;) {
        int n = epoll_wait(epoll_fd, events, EVENT_BATCH, -1);

        for (int i = 0; i < n; i++) {
            struct conn *conn = conns[events[i].data.fd];

            if (events[i].data.fd == listen_fd) {
                accept_all(listen_fd, limit);
            } else if (conn != NULL) {
                on_event(conn, events[i].events);
            }
        }
    }
}
