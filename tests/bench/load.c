/* SPDX-License-Identifier: MIT */
/* The benchmark's load where wrk does not fit: new connections, and large responses.
 *
 * N clients, each in a closed loop: connect, with --tls a full TLS 1.3 handshake (no resumption,
 * one cipher suite and one group, so that every contender does the same work), GET with
 * "Connection: close", read to the end of the stream, check, again. With --keep-alive a client
 * stays on its connection. Prints one line of JSON. wrk may resume TLS sessions, and reads 8 KiB
 * at a time, so that with large responses one would measure wrk.
 *
 * usage: load --port PORT [--tls] [--keep-alive] [--clients N] [--seconds S] [--path PATH]
 *             [--size BODY_BYTES]
 */

#define _GNU_SOURCE

#include <getopt.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <time.h>

#include "sockets.h"

#define HEAD_LIMIT        4096
#define CLIENTS_MAX       4096
#define EVENT_BATCH       256
#define CLIENT_TIMEOUT_NS (5 * 1000000000ULL)
#define SUB_BUCKETS       64 /* a power of two: the histogram is exact to 1 in 64 */
#define BUCKETS           (SUB_BUCKETS * 40)

enum phase { PHASE_IDLE, PHASE_CONNECT, PHASE_HANDSHAKE, PHASE_READ };

struct client {
    int fd;
    enum phase phase;
    SSL *ssl;
    uint64_t started_ns;
    uint64_t answered_ns; /* when the body was whole; 0 before */
    size_t received;
    size_t head_len; /* 0 while the head is not whole */
    char head[HEAD_LIMIT];
};

/* What can go wrong with a request, each counted apart. */
struct faults {
    uint64_t connect;
    uint64_t tls;
    uint64_t read;
    uint64_t status;
    uint64_t length;
    uint64_t timeout;
    uint64_t resumed;
};

static struct {
    uint16_t port;
    bool tls;
    bool keep_alive;
    size_t clients;
    unsigned long seconds_ms;
    const char *path;
    size_t size;
} options = {.clients = 32, .seconds_ms = 3000, .path = "/1k", .size = 1024};

static struct faults faults;
static uint64_t requests;
static uint64_t histogram[BUCKETS]; /* microseconds */
static char request[1024];
static size_t request_len;
static char scratch[262144];
static SSL_CTX *ssl_ctx;
static int epoll_fd = -1;
static uint64_t deadline_ns;
static size_t active;

static void client_start(struct client *client);

static uint64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

/* Values below 2 * SUB_BUCKETS have a bucket each; above, each doubling has SUB_BUCKETS. */
static size_t bucket_of(uint64_t us)
{
    size_t shift;
    size_t index;

    if (us < 2 * SUB_BUCKETS) {
        return (size_t)us;
    }
    shift = (size_t)(63 - __builtin_clzll(us)) - 6;
    index = shift * SUB_BUCKETS + (size_t)(us >> shift);
    return index < BUCKETS ? index : BUCKETS - 1;
}

static uint64_t bucket_value(size_t index)
{
    size_t shift;

    if (index < 2 * SUB_BUCKETS) {
        return index;
    }
    shift = index / SUB_BUCKETS - 1;
    return ((uint64_t)(index - shift * SUB_BUCKETS) << shift) + (1ULL << shift) / 2;
}

static uint64_t percentile(double part)
{
    uint64_t rank = (uint64_t)((double)requests * part);
    uint64_t seen = 0;

    for (size_t i = 0; i < BUCKETS; i++) {
        seen += histogram[i];
        if (seen > rank) {
            return bucket_value(i);
        }
    }
    return 0;
}

/* Counts a request, as good or by its fault. */
static void count(const struct client *client, uint64_t *fault)
{
    if (fault != NULL) {
        (*fault)++;
    } else {
        requests++;
        histogram[bucket_of((client->answered_ns - client->started_ns) / 1000)]++;
    }
}

static void client_reset(struct client *client)
{
    client->received = 0;
    client->head_len = 0;
    client->answered_ns = 0;
    client->started_ns = now_ns();
}

/* Ends this request and its connection, and begins the client's next one. */
static void client_done(struct client *client, uint64_t *fault)
{
    count(client, fault);
    SSL_free(client->ssl);
    client->ssl = NULL;
    (void)close(client->fd);
    client->fd = -1;
    client->phase = PHASE_IDLE;
    active--;
    ERR_clear_error();
    if (now_ns() < deadline_ns) {
        client_start(client);
    }
}

static bool status_is_200(const struct client *client)
{
    return strncmp(client->head, "HTTP/1.1 200 ", 13) == 0;
}

/* The server has ended the stream: was the answer whole and right? */
static void client_judge(struct client *client)
{
    if (client->head_len == 0) {
        client_done(client, &faults.read);
    } else if (!status_is_200(client)) {
        client_done(client, &faults.status);
    } else if (client->received - client->head_len != options.size) {
        client_done(client, &faults.length);
    } else {
        client_done(client, NULL);
    }
}

static void client_take(struct client *client, size_t len)
{
    if (client->head_len == 0 && client->received < HEAD_LIMIT) {
        size_t room = HEAD_LIMIT - client->received;
        size_t kept = client->received + (len < room ? len : room);
        const char *end;

        memcpy(client->head + client->received, scratch, len < room ? len : room);
        end = memmem(client->head, kept, "\r\n\r\n", 4);
        if (end != NULL) {
            client->head_len = (size_t)(end - client->head) + 4;
        }
    }
    client->received += len;
    if (client->head_len > 0 && client->answered_ns == 0 &&
        client->received - client->head_len >= options.size) {
        client->answered_ns = now_ns();
    }
}

/* Bytes read into the scratch buffer, 0 at the end of the stream, -1 for later, -2 for a fault. */
static ssize_t client_recv(struct client *client)
{
    ssize_t n;

    if (client->ssl == NULL) {
        /* Of a body only the length is looked at: the kernel need not copy it. */
        bool in_body = client->head_len > 0;

        n = recv(client->fd, in_body ? NULL : scratch, sizeof scratch, in_body ? MSG_TRUNC : 0);
        return n >= 0 ? n : errno == EAGAIN ? -1 : -2;
    }
    n = SSL_read(client->ssl, scratch, sizeof scratch);
    if (n > 0) {
        return n;
    }
    switch (SSL_get_error(client->ssl, (int)n)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: return -1;
    case SSL_ERROR_ZERO_RETURN: return 0;
    default: return -2;
    }
}

static bool send_request(struct client *client)
{
    if (client->ssl != NULL) {
        return SSL_write(client->ssl, request, (int)request_len) == (int)request_len;
    }
    return send(client->fd, request, request_len, MSG_NOSIGNAL) == (ssize_t)request_len;
}

/* The answer is whole, and the connection stays: asks again. False if that connection is done. */
static bool client_again(struct client *client)
{
    if (client->received - client->head_len != options.size || !status_is_200(client) ||
        now_ns() >= deadline_ns) {
        client_judge(client);
        return false;
    }
    count(client, NULL);
    client_reset(client);
    if (!send_request(client)) {
        client_done(client, &faults.connect);
        return false;
    }
    return true;
}

static void client_read(struct client *client)
{
    for (;;) {
        ssize_t n = client_recv(client);

        if (n > 0) {
            client_take(client, (size_t)n);
            if (options.keep_alive && client->head_len > 0 &&
                (client->answered_ns != 0 || !status_is_200(client)) && !client_again(client)) {
                return;
            }
        } else if (n == -1) {
            return;
        } else if (n == 0) {
            client_judge(client);
            return;
        } else {
            client_done(client, &faults.read);
            return;
        }
    }
}

/* The request is far smaller than a fresh socket's send buffer: it goes out in one call. */
static void client_send(struct client *client)
{
    if (!send_request(client)) {
        client_done(client, &faults.connect);
        return;
    }
    client->phase = PHASE_READ;
    if (client->ssl != NULL) {
        client_read(client);
    }
}

static void client_handshake(struct client *client)
{
    int result = SSL_connect(client->ssl);

    if (result == 1) {
        if (SSL_session_reused(client->ssl)) {
            client_done(client, &faults.resumed);
        } else {
            client_send(client);
        }
        return;
    }
    switch (SSL_get_error(client->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: return;
    default: client_done(client, &faults.tls);
    }
}

static void client_connected(struct client *client)
{
    int error = 0;
    socklen_t len = sizeof error;

    if (getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0) {
        client_done(client, &faults.connect);
        return;
    }
    if (!options.tls) {
        client_send(client);
        return;
    }
    client->ssl = SSL_new(ssl_ctx);
    if (client->ssl == NULL || SSL_set_fd(client->ssl, client->fd) != 1) {
        die("SSL_new");
    }
    client->phase = PHASE_HANDSHAKE;
    client_handshake(client);
}

static void client_event(struct client *client, uint32_t events)
{
    switch (client->phase) {
    case PHASE_IDLE: return;
    case PHASE_CONNECT:
        if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) {
            client_connected(client);
        }
        return;
    case PHASE_HANDSHAKE: client_handshake(client); return;
    case PHASE_READ:
        if ((events & ~(uint32_t)EPOLLOUT) != 0) {
            client_read(client);
        }
        return;
    }
}

/* Its events come through epoll, never before this returns: a client that fails at once and again
 * does not recurse. */
static void client_start(struct client *client)
{
    struct sockaddr_in addr = sock_loopback(options.port);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};

    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->fd == -1) {
        die("socket");
    }
    client->phase = PHASE_CONNECT;
    client_reset(client);
    active++;
    sock_nodelay(client->fd);
    if (connect(client->fd, (struct sockaddr *)&addr, sizeof addr) != 0 && errno != EINPROGRESS) {
        die("connect"); /* no free port or no memory: the numbers would mean nothing */
    }
    event.data.ptr = client;
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, client->fd, &event) != 0) {
        die("epoll_ctl");
    }
}

static void give_up_late(struct client *clients)
{
    uint64_t now = now_ns();

    for (size_t i = 0; i < options.clients; i++) {
        if (clients[i].phase != PHASE_IDLE && now - clients[i].started_ns > CLIENT_TIMEOUT_NS) {
            client_done(&clients[i], &faults.timeout);
        }
    }
}

static void prepare_tls(void)
{
    ssl_ctx = SSL_CTX_new(TLS_client_method());
    if (ssl_ctx == NULL || SSL_CTX_set_min_proto_version(ssl_ctx, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(ssl_ctx, "TLS_AES_128_GCM_SHA256") != 1 ||
        SSL_CTX_set1_groups_list(ssl_ctx, "X25519") != 1) {
        die("SSL_CTX_new");
    }
    (void)SSL_CTX_set_session_cache_mode(ssl_ctx, SSL_SESS_CACHE_OFF);
    /* Whether the answer was whole is told by its length. */
    (void)SSL_CTX_set_options(ssl_ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
}

static void read_options(int argc, char **argv)
{
    static const struct option names[] = {
        {"port", required_argument, NULL, 'p'},    {"tls", no_argument, NULL, 't'},
        {"clients", required_argument, NULL, 'c'}, {"seconds", required_argument, NULL, 's'},
        {"keep-alive", no_argument, NULL, 'k'},    {"path", required_argument, NULL, 'u'},
        {"size", required_argument, NULL, 'n'},    {NULL, 0, NULL, 0},
    };
    int name;

    while ((name = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (name) {
        case 'p': options.port = (uint16_t)number_argument(optarg, UINT16_MAX); break;
        case 't': options.tls = true; break;
        case 'k': options.keep_alive = true; break;
        case 'c': options.clients = number_argument(optarg, CLIENTS_MAX); break;
        case 's': options.seconds_ms = (unsigned long)(strtod(optarg, NULL) * 1000.0); break;
        case 'u': options.path = optarg; break;
        case 'n': options.size = number_argument(optarg, 1UL << 40); break;
        default: exit(2);
        }
    }
    if (options.port == 0 || options.clients == 0 || optind != argc) {
        fprintf(stderr,
                "usage: load --port PORT [--tls] [--keep-alive] [--clients N] [--seconds S] "
                "[--path PATH] [--size BODY_BYTES]\n");
        exit(2);
    }
}

static void report(uint64_t elapsed_ns)
{
    printf("{\"requests\": %llu, \"seconds\": %.6f, \"p50_us\": %llu, \"p99_us\": %llu, "
           "\"errors\": {\"connect\": %llu, \"tls\": %llu, \"read\": %llu, \"status\": %llu, "
           "\"length\": %llu, \"timeout\": %llu, \"resumed\": %llu}}\n",
           (unsigned long long)requests, (double)elapsed_ns / 1e9,
           (unsigned long long)percentile(0.50), (unsigned long long)percentile(0.99),
           (unsigned long long)faults.connect, (unsigned long long)faults.tls,
           (unsigned long long)faults.read, (unsigned long long)faults.status,
           (unsigned long long)faults.length, (unsigned long long)faults.timeout,
           (unsigned long long)faults.resumed);
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENT_BATCH];
    struct client *clients;
    uint64_t started_ns;
    uint64_t checked_ns;

    read_options(argc, argv);
    (void)sock_file_limit();
    if (options.tls) {
        prepare_tls();
    }
    request_len =
        (size_t)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n",
                         options.path, options.keep_alive ? "" : "Connection: close\r\n");
    clients = calloc(options.clients, sizeof *clients);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (clients == NULL || epoll_fd == -1 || request_len >= sizeof request) {
        die("start");
    }
    started_ns = now_ns();
    checked_ns = started_ns;
    deadline_ns = started_ns + options.seconds_ms * 1000000ULL;
    for (size_t i = 0; i < options.clients; i++) {
        client_start(&clients[i]);
    }
    /* After the deadline no request begins, and those under way are still counted. */
    while (active > 0) {
        int n = epoll_wait(epoll_fd, events, EVENT_BATCH, 500);

        for (int i = 0; i < n; i++) {
            client_event(events[i].data.ptr, events[i].events);
        }
        if (now_ns() - checked_ns > 500000000ULL) {
            checked_ns = now_ns();
            give_up_late(clients);
        }
    }
    report(now_ns() - started_ns);
    free(clients);
    SSL_CTX_free(ssl_ctx);
    (void)close(epoll_fd);
    return 0;
}
