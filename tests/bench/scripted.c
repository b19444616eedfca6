/* SPDX-License-Identifier: MIT */
/* Scripted servers for the balancing benchmark: many HTTP/1.1 servers in one process, each on a
 * port of its own, whose answers take as long as a model says (service.h). One thread, epoll, a
 * timer.
 *
 *   GET /?draw=N              answers when the model says so; N, of 2^32, is how long that takes
 *                             among all that it could take; X-Server is the server's number
 *   GET /freeze?ms=N          at once; the server does nothing for so long
 *   GET /slow?ms=N&factor=F   at once; what begins within that time takes F times longer
 *
 * usage: scripted SERVER...
 *   SERVER is exponential=MEAN, fixed=TIME or uniform=LOW-HIGH, in microseconds, then, where
 *   wanted, ,workers=N and /STATUS: "fixed=1000,workers=8/503". Prints a line with its port for
 *   each.
 */

#define _GNU_SOURCE

#include <stddef.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>

#include "service.h"
#include "sockets.h"

#define EVENT_BATCH 256
#define INPUT_SIZE  8192

enum source_kind { SOURCE_TIMER, SOURCE_LISTENER, SOURCE_CONN };

/* What an event of epoll belongs to. */
struct source {
    enum source_kind kind;
    int fd;
};

struct server {
    struct source source;
    struct service_server model;
    unsigned number;
    unsigned status;
};

struct conn {
    struct source source; /* its descriptor is -1 once the peer has gone */
    struct server *server;
    struct service_job job; /* the request under way */
    bool busy;
    size_t len;
    char input[INPUT_SIZE];
};

static struct service service;
static int epoll_fd = -1;
static struct source timer = {SOURCE_TIMER, -1};

static uint64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

static void watch(struct source *source)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = source};

    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, source->fd, &event) != 0) {
        die("epoll_ctl");
    }
}

/* Its memory stays while the model has its job. */
static void conn_close(struct conn *conn)
{
    if (conn->source.fd != -1) {
        (void)close(conn->source.fd);
        conn->source.fd = -1;
    }
    if (!conn->busy) {
        free(conn);
    }
}

/* An answer is far smaller than a socket's buffer: it goes out in one call. False: it is gone. */
static bool answer(struct conn *conn, unsigned status)
{
    char text[256];
    int len = snprintf(text, sizeof text,
                       "HTTP/1.1 %u %s\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n"
                       "X-Server: %u\r\n\r\nok\n",
                       status, status == 200 ? "OK" : "Scripted", conn->server->number);

    if (send(conn->source.fd, text, (size_t)len, MSG_NOSIGNAL) != len) {
        conn_close(conn);
        return false;
    }
    return true;
}

/* The number after `name` in the request's target, or -1. */
static double query(const char *head, const char *name)
{
    const char *at = strstr(head, name);

    return at == NULL ? -1 : strtod(at + strlen(name), NULL);
}

/* False: the connection is gone. */
static bool request(struct conn *conn, char *head)
{
    struct service_server *model = &conn->server->model;
    uint64_t now = now_ns();
    double length;

    head[strcspn(head, "\r")] = '\0';
    length = query(head, "ms=") * 1e6;
    if (strncmp(head, "GET /freeze?", 12) == 0 && length >= 0) {
        service_freeze(&service, model, now, (uint64_t)length);
        return answer(conn, 200);
    }
    if (strncmp(head, "GET /slow?", 10) == 0 && length >= 0 && query(head, "factor=") > 0) {
        service_slow(model, now, (uint64_t)length, query(head, "factor="));
        return answer(conn, 200);
    }
    if (strncmp(head, "GET /?draw=", 11) != 0) {
        return answer(conn, 400);
    }
    conn->busy = true;
    conn->job.server = model;
    conn->job.draw = (uint32_t)strtoul(head + 11, NULL, 10);
    service_arrive(&service, &conn->job, now);
    return true;
}

/* Takes the requests that have come, one at a time. */
static void conn_work(struct conn *conn)
{
    char *end;

    while (!conn->busy && (end = memmem(conn->input, conn->len, "\r\n\r\n", 4)) != NULL) {
        size_t used = (size_t)(end - conn->input) + 4;

        if (!request(conn, conn->input)) {
            return;
        }
        conn->len -= used;
        memmove(conn->input, conn->input + used, conn->len);
    }
}

static void conn_read(struct conn *conn)
{
    ssize_t n = recv(conn->source.fd, conn->input + conn->len, INPUT_SIZE - conn->len, 0);

    if (n <= 0) {
        if (n == 0 || errno != EAGAIN) {
            conn_close(conn);
        }
        return;
    }
    conn->len += (size_t)n;
    conn_work(conn);
}

static void accept_one(struct server *server)
{
    int fd = accept4(server->source.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct conn *conn;

    if (fd == -1) {
        if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) {
            die("accept");
        }
        return;
    }
    conn = calloc(1, sizeof *conn);
    if (conn == NULL) {
        die("calloc");
    }
    conn->source = (struct source){SOURCE_CONN, fd};
    conn->server = server;
    sock_nodelay(fd);
    watch(&conn->source);
}

static void answer_done(void)
{
    uint64_t expired;
    struct service_job *job;

    (void)!read(timer.fd, &expired, sizeof expired);
    while ((job = service_pop(&service, now_ns())) != NULL) {
        struct conn *conn = (struct conn *)((char *)job - offsetof(struct conn, job));

        conn->busy = false;
        if (conn->source.fd == -1) {
            free(conn);
        } else if (answer(conn, conn->server->status)) {
            conn_work(conn);
        }
    }
}

static void set_timer(void)
{
    static uint64_t set_for = SERVICE_NEVER;
    uint64_t next = service_next(&service);
    struct itimerspec when = {
        .it_value = {.tv_sec = (time_t)(next / 1000000000), .tv_nsec = (long)(next % 1000000000)}};

    if (next == set_for) {
        return;
    }
    set_for = next;
    if (next != SERVICE_NEVER && timerfd_settime(timer.fd, TFD_TIMER_ABSTIME, &when, NULL) != 0) {
        die("timerfd_settime");
    }
}

static void add_server(const char *spec, unsigned number)
{
    struct server *server = calloc(1, sizeof *server);
    char *text = strdup(spec);
    char *status = text == NULL ? NULL : strchr(text, '/');

    if (server == NULL || text == NULL) {
        die("calloc");
    }
    server->number = number;
    server->status = 200;
    if (status != NULL) {
        *status++ = '\0';
        server->status = (unsigned)number_argument(status, 599);
    }
    if (!service_parse(&server->model, text)) {
        fprintf(stderr, "'%s' is no server: KIND=TIME[,workers=N][/STATUS]\n", spec);
        exit(2);
    }
    free(text);
    server->source = (struct source){SOURCE_LISTENER, sock_listen(0, "127.0.0.1")};
    watch(&server->source);
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENT_BATCH];

    if (argc < 2) {
        fprintf(stderr, "usage: scripted SERVER...\n");
        return 2;
    }
    (void)sock_file_limit();
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (epoll_fd == -1 || timer.fd == -1) {
        die("epoll");
    }
    watch(&timer);
    for (int i = 1; i < argc; i++) {
        add_server(argv[i], (unsigned)i - 1);
    }
    for (;;) {
        int n = epoll_wait(epoll_fd, events, EVENT_BATCH, -1);

        for (int i = 0; i < n; i++) {
            struct source *source = events[i].data.ptr;

            switch (source->kind) {
            case SOURCE_TIMER: break;
            case SOURCE_LISTENER: accept_one((struct server *)source); break;
            case SOURCE_CONN: conn_read((struct conn *)source); break;
            }
        }
        /* After the events: a connection that is freed here has none of this batch left. */
        answer_done();
        set_timer();
    }
}
