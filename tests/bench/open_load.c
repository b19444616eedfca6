/* SPDX-License-Identifier: MIT */
/* An open-loop load for the balancing benchmark: requests are sent when their time has come,
 * however many are under way, as users do. Poisson arrivals; a request takes an idle connection, or
 * opens one. Its latency counts from the time when it was to be sent. Arrivals, and the draw that
 * each request carries for the servers, follow from the seed alone.
 *
 * usage: open_load --port PORT --rate PER_SECOND --seconds S [--seed N] [--start NS] [--drain S]
 *                  [--schedule]
 *   --start     when time 0 is, by CLOCK_MONOTONIC (default: now)
 *   --drain     how long answers are waited for after the last request (default: 15 seconds)
 *   --schedule  prints what would be sent, "AT_NS DRAW" a line, and sends nothing
 *
 * Prints a line a request in the order of sending: "AT_NS LATENCY_NS STATUS SERVER LATE_NS", in
 * nanoseconds since time 0; STATUS is 0 where no answer came, SERVER -1 where no server put its
 * name to it. LATE_NS is what of the latency went by before this program had its turn on a core.
 */

#define _GNU_SOURCE

#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>

#include "draws.h"
#include "sockets.h"

#define EVENT_BATCH  256
#define HEAD_LIMIT   2048
#define CONNS_MAX    16384
#define REQUESTS_MAX 10000000

struct request {
    uint64_t at; /* since time 0 */
    uint64_t latency;
    uint64_t late;
    uint32_t draw;
    int status;
    int server;
};

enum phase { PHASE_CONNECT, PHASE_IDLE, PHASE_WAIT };

struct conn {
    int fd;
    enum phase phase;
    struct request *request;
    struct conn *next;          /* of those that are idle */
    struct conn *newer, *older; /* of all */
    size_t len;
    char input[HEAD_LIMIT];
};

static struct {
    uint16_t port;
    double rate;
    double seconds;
    double drain;
    unsigned long seed;
    uint64_t start_ns;
    bool schedule;
} options = {.drain = 15, .seed = 1};

static struct request *requests;
static size_t request_count;
static size_t sent;
static size_t under_way;
static size_t conn_count;
static struct conn *idle; /* the one that was used last is the first: most of the others rest */
static struct conn *newest;
static int epoll_fd = -1;
static int timer_fd = -1;

static uint64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

/* All that will be sent: an arrival process of exponential gaps. */
static void plan(void)
{
    struct draws draws = {options.seed};
    size_t room = 0;
    double at = 0;

    for (;;) {
        at += exponential(1e9 / options.rate, draw(&draws));
        if (at >= options.seconds * 1e9) {
            return;
        }
        if (request_count == room) {
            room = room == 0 ? 4096 : room * 2;
            requests = realloc(requests, room * sizeof *requests);
            if (requests == NULL || room > REQUESTS_MAX) {
                die("too many requests");
            }
        }
        requests[request_count++] =
            (struct request){.at = (uint64_t)at, .draw = draw(&draws), .server = -1};
    }
}

static void conn_close(struct conn *conn)
{
    if (conn->newer != NULL) {
        conn->newer->older = conn->older;
    } else {
        newest = conn->older;
    }
    if (conn->older != NULL) {
        conn->older->newer = conn->newer;
    }
    if (conn->phase == PHASE_IDLE) {
        struct conn **link = &idle;

        while (*link != conn) {
            link = &(*link)->next;
        }
        *link = conn->next;
    }
    (void)close(conn->fd);
    free(conn);
    conn_count--;
}

/* The request's end; `status` 0 is none. */
static void finish(struct request *request, int status)
{
    request->status = status;
    request->latency = now_ns() - options.start_ns - request->at;
    under_way--;
}

static void fail(struct conn *conn)
{
    if (conn->phase != PHASE_IDLE) {
        finish(conn->request, 0);
    }
    conn_close(conn);
}

static void conn_send(struct conn *conn)
{
    char text[128];
    int len = snprintf(text, sizeof text, "GET /?draw=%lu HTTP/1.1\r\nHost: localhost\r\n\r\n",
                       (unsigned long)conn->request->draw);

    conn->phase = PHASE_WAIT;
    conn->len = 0;
    if (send(conn->fd, text, (size_t)len, MSG_NOSIGNAL) != len) {
        fail(conn);
    }
}

static struct conn *conn_open(struct request *request)
{
    struct sockaddr_in addr = sock_loopback(options.port);
    struct conn *conn = calloc(1, sizeof *conn);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = conn};

    if (conn == NULL || ++conn_count > CONNS_MAX) {
        die("too many connections");
    }
    conn->older = newest;
    if (newest != NULL) {
        newest->newer = conn;
    }
    newest = conn;
    conn->phase = PHASE_CONNECT;
    conn->request = request;
    conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (conn->fd == -1) {
        die("socket");
    }
    sock_nodelay(conn->fd);
    if (connect(conn->fd, (struct sockaddr *)&addr, sizeof addr) != 0 && errno != EINPROGRESS) {
        die("connect");
    }
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, conn->fd, &event) != 0) {
        die("epoll_ctl");
    }
    return conn;
}

static void send_due(uint64_t now)
{
    while (sent < request_count && options.start_ns + requests[sent].at <= now) {
        struct request *request = &requests[sent++];
        struct conn *conn = idle;

        under_way++;
        request->late = now - options.start_ns - request->at;
        if (conn == NULL) {
            (void)conn_open(request);
        } else {
            idle = conn->next;
            conn->request = request;
            conn_send(conn);
        }
    }
}

/* The value of a field of the head, which is a string, or -1. */
static long field(const char *head, const char *name)
{
    const char *at = strcasestr(head, name);

    return at == NULL ? -1 : strtol(at + strlen(name), NULL, 10);
}

/* Whether the answer is whole; then the request is done. */
static bool conn_answered(struct conn *conn)
{
    char *end;
    long length;

    conn->input[conn->len] = '\0';
    end = strstr(conn->input, "\r\n\r\n");
    if (end == NULL) {
        return false;
    }
    length = field(conn->input, "\r\ncontent-length:");
    if (length < 0 || conn->len < (size_t)(end - conn->input) + 4 + (size_t)length) {
        return false;
    }
    conn->request->server = (int)field(conn->input, "\r\nx-server:");
    finish(conn->request, (int)field(conn->input, "HTTP/1.1 "));
    return true;
}

static void conn_read(struct conn *conn)
{
    for (;;) {
        ssize_t n = recv(conn->fd, conn->input + conn->len, HEAD_LIMIT - 1 - conn->len, 0);

        if (n <= 0) {
            if (n == 0 || errno != EAGAIN) {
                fail(conn);
            }
            return;
        }
        conn->len += (size_t)n;
        if (conn->phase == PHASE_WAIT && conn_answered(conn)) {
            conn->phase = PHASE_IDLE;
            conn->next = idle;
            idle = conn;
            conn->len = 0;
        }
    }
}

static void conn_event(struct conn *conn, uint32_t events)
{
    if (conn->phase == PHASE_CONNECT) {
        int error = 0;
        socklen_t len = sizeof error;

        if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0) {
            return;
        }
        if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0) {
            fail(conn);
        } else {
            conn_send(conn);
        }
    } else if ((events & ~(uint32_t)EPOLLOUT) != 0) {
        conn_read(conn);
    }
}

static void set_timer(uint64_t at)
{
    struct itimerspec when = {
        .it_value = {.tv_sec = (time_t)(at / 1000000000), .tv_nsec = (long)(at % 1000000000)}};

    if (timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &when, NULL) != 0) {
        die("timerfd_settime");
    }
}

static void run(void)
{
    struct epoll_event events[EVENT_BATCH];
    struct epoll_event timer_event = {.events = EPOLLIN, .data.ptr = NULL};
    uint64_t end = options.start_ns + (uint64_t)((options.seconds + options.drain) * 1e9);
    uint64_t timer_at = 0;

    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (epoll_fd == -1 || timer_fd == -1 ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer_fd, &timer_event) != 0) {
        die("epoll");
    }
    while (sent < request_count || (under_way > 0 && now_ns() < end)) {
        uint64_t next = sent < request_count ? options.start_ns + requests[sent].at : end;
        int n;

        if (next != timer_at) {
            timer_at = next;
            set_timer(next);
        }
        n = epoll_wait(epoll_fd, events, EVENT_BATCH, -1);
        for (int i = 0; i < n; i++) {
            uint64_t expired;

            if (events[i].data.ptr == NULL) {
                (void)!read(timer_fd, &expired, sizeof expired);
            } else {
                conn_event(events[i].data.ptr, events[i].events);
            }
        }
        /* After the events: a connection that is freed here has none of this batch left. */
        send_due(now_ns());
    }
}

static void read_options(int argc, char **argv)
{
    static const struct option names[] = {
        {"port", required_argument, NULL, 'p'},    {"rate", required_argument, NULL, 'r'},
        {"seconds", required_argument, NULL, 's'}, {"seed", required_argument, NULL, 'e'},
        {"start", required_argument, NULL, 't'},   {"drain", required_argument, NULL, 'd'},
        {"schedule", no_argument, NULL, 'n'},      {NULL, 0, NULL, 0},
    };
    int name;

    while ((name = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (name) {
        case 'p': options.port = (uint16_t)number_argument(optarg, UINT16_MAX); break;
        case 'r': options.rate = strtod(optarg, NULL); break;
        case 's': options.seconds = strtod(optarg, NULL); break;
        case 'e': options.seed = number_argument(optarg, UINT32_MAX); break;
        case 't': options.start_ns = number_argument(optarg, ULONG_MAX - 1); break;
        case 'd': options.drain = strtod(optarg, NULL); break;
        case 'n': options.schedule = true; break;
        default: exit(2);
        }
    }
    if ((options.port == 0 && !options.schedule) || !(options.rate > 0) || !(options.seconds > 0) ||
        optind != argc) {
        fprintf(stderr, "usage: open_load --port PORT --rate PER_SECOND --seconds S [--seed N] "
                        "[--start NS] [--drain S] [--schedule]\n");
        exit(2);
    }
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    plan();
    if (!options.schedule) {
        (void)sock_file_limit();
        if (options.start_ns == 0) {
            options.start_ns = now_ns();
        }
        run();
    }
    while (newest != NULL) {
        conn_close(newest);
    }
    for (size_t i = 0; i < request_count; i++) {
        const struct request *request = &requests[i];

        if (options.schedule) {
            printf("%llu %lu\n", (unsigned long long)request->at, (unsigned long)request->draw);
        } else {
            printf("%llu %llu %d %d %llu\n", (unsigned long long)request->at,
                   (unsigned long long)request->latency, request->status, request->server,
                   (unsigned long long)request->late);
        }
    }
    free(requests);
    return 0;
}
