/* SPDX-License-Identifier: MIT */
/* The demo shop: a small e-commerce application behind which Weir stands. This file reads the
 * command line, listens, and stops. */
#include "shop.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <event2/listener.h>

enum {
    DEFAULT_SESSIONS = 10000,
    /* Longer than a proxy keeps an idle connection: the proxy closes first, so that no request
     * meets a connection that is being closed. */
    IDLE_SECONDS = 120,
    STOP_LIMIT_MS = 5000,
    NAME_LIMIT = 40,
};

static const char usage[] =
    "Usage: weir-shop --port PORT --name NAME --role api|web [OPTION]...\n"
    "A small shop over HTTP: /api/... as role api, pages as role web, /health on both.\n"
    "\n"
    "  --port PORT         listen on this port; 0 takes a free one and tells it\n"
    "  --name NAME         what X-Served-By says, such as api-1 (letters, digits, '-', '.', '_')\n"
    "  --role api|web      JSON or pages\n"
    "  --bind ADDRESS      listen here (default 127.0.0.1)\n"
    "  --sessions N        keep at most N carts (default 10000)\n"
    "  --session-ttl TIME  forget a cart that was left alone so long (default 30m)\n"
    "  --slow TIME         wait before each answer: 200ms, 1.5s\n"
    "  --fail-rate SHARE   answer that share with 500: 10%\n"
    "  --drop-rate SHARE   close that share of connections without an answer\n"
    "  --help              this text\n"
    "\n"
    "While it runs, POST /_control?slow=200ms changes its faults; see demo/README.md.\n";

struct options {
    const char *bind;
    unsigned port;
    bool has_port;
    bool has_role;
    unsigned sessions;
    uint64_t session_ttl_ms;
};

static void bad_option(const char *option, const char *value, const char *wanted)
{
    fprintf(stderr, "weir-shop: %s \"%s\": wanted %s\n", option, value, wanted);
    exit(2);
}

static bool is_name(const char *text)
{
    size_t len = strlen(text);
    return len > 0 && len <= NAME_LIMIT &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") == len;
}

static void read_option(int option, const char *value, struct shop *shop, struct options *options)
{
    switch (option) {
    case 'p':
        options->has_port = shop_number(value, 65535, &options->port);
        if (!options->has_port) {
            bad_option("--port", value, "a number from 0 to 65535");
        }
        break;
    case 'n':
        if (!is_name(value)) {
            bad_option("--name", value, "1 to 40 letters, digits, '-', '.' or '_'");
        }
        shop->name = value;
        break;
    case 'r':
        options->has_role = strcmp(value, "api") == 0 || strcmp(value, "web") == 0;
        if (!options->has_role) {
            bad_option("--role", value, "api or web");
        }
        shop->role = strcmp(value, "api") == 0 ? SHOP_API : SHOP_WEB;
        break;
    case 'b': options->bind = value; break;
    case 's':
        if (!shop_number(value, 1000000, &options->sessions) || options->sessions == 0) {
            bad_option("--sessions", value, "a number from 1 to 1000000");
        }
        break;
    case 't':
        if (!shop_parse_duration(value, &options->session_ttl_ms) || options->session_ttl_ms == 0) {
            bad_option("--session-ttl", value, "a time such as 30m, at most 60m");
        }
        break;
    case 'w':
        if (!shop_parse_duration(value, &shop->faults.slow_ms)) {
            bad_option("--slow", value, "a time such as 200ms or 1.5s, at most 60m");
        }
        break;
    case 'f':
        if (!shop_parse_share(value, &shop->faults.fail_share)) {
            bad_option("--fail-rate", value, "a share such as 10%");
        }
        break;
    case 'd':
        if (!shop_parse_share(value, &shop->faults.drop_share)) {
            bad_option("--drop-rate", value, "a share such as 5%");
        }
        break;
    case 'h': fputs(usage, stdout); exit(0);
    default: fputs("Try: weir-shop --help\n", stderr); exit(2);
    }
}

static void read_options(int argc, char **argv, struct shop *shop, struct options *options)
{
    static const struct option names[] = {
        {"port", required_argument, NULL, 'p'},
        {"name", required_argument, NULL, 'n'},
        {"role", required_argument, NULL, 'r'},
        {"bind", required_argument, NULL, 'b'},
        {"sessions", required_argument, NULL, 's'},
        {"session-ttl", required_argument, NULL, 't'},
        {"slow", required_argument, NULL, 'w'},
        {"fail-rate", required_argument, NULL, 'f'},
        {"drop-rate", required_argument, NULL, 'd'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "h", names, NULL)) != -1) {
        read_option(option, optarg, shop, options);
    }
    if (optind < argc) {
        fprintf(stderr, "weir-shop: \"%s\" is not an option\n", argv[optind]);
        exit(2);
    }
    if (!options->has_port || !options->has_role || shop->name == NULL) {
        fputs("weir-shop: --port, --name and --role are needed; try --help\n", stderr);
        exit(2);
    }
}

/* Once stopping: ends the loop when nothing waits for an answer, or after five seconds. A turn of
 * the loop passes between, so that what was answered is also written. */
static void on_stop_check(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct shop *shop = arg;
    static const struct timeval soon = {.tv_usec = 50000};
    if (shop->waiting == NULL) {
        event_base_loopexit(shop->base, &soon);
    } else {
        evtimer_add(shop->stop_event, &soon);
    }
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
    (void)number;
    (void)what;
    struct shop *shop = arg;
    if (shop->stopping) {
        event_base_loopbreak(shop->base);
        return;
    }
    static const struct timeval limit = {.tv_sec = STOP_LIMIT_MS / 1000};
    shop->stopping = true;
    evhttp_del_accept_socket(shop->http, shop->socket);
    event_base_loopexit(shop->base, &limit);
    on_stop_check(-1, 0, shop);
}

static void on_expire(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct shop *shop = arg;
    session_expire(shop->sessions, shop_now_ms());
}

static unsigned bound_port(struct evhttp_bound_socket *socket)
{
    struct sockaddr_storage addr;
    socklen_t len = sizeof addr;
    if (getsockname(evhttp_bound_socket_get_fd(socket), (struct sockaddr *)&addr, &len) != 0) {
        return 0;
    }
    return ntohs(addr.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&addr)->sin6_port
                                            : ((struct sockaddr_in *)&addr)->sin_port);
}

static bool shop_listen(struct shop *shop, const struct options *options)
{
    shop->http = evhttp_new(shop->base);
    if (shop->http == NULL) {
        return false;
    }
    /* Methods that the shop does not know come through as well: it says 405 itself. The body's
     * limit is the shop's own, so that its 413 looks like its other answers; this one only bounds
     * memory. */
    evhttp_set_allowed_methods(shop->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD |
                                               EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
                                               EVHTTP_REQ_OPTIONS | EVHTTP_REQ_PATCH);
    evhttp_set_max_headers_size(shop->http, 32 * 1024);
    evhttp_set_max_body_size(shop->http, 1024 * 1024);
    evhttp_set_timeout(shop->http, IDLE_SECONDS);
    evhttp_set_gencb(shop->http, shop_handle, shop);
    shop->socket =
        evhttp_bind_socket_with_handle(shop->http, options->bind, (uint16_t)options->port);
    if (shop->socket == NULL) {
        fprintf(stderr, "weir-shop: %s cannot listen on %s port %u: %s\n", shop->name,
                options->bind, options->port, strerror(errno));
        return false;
    }
    return true;
}

static int shop_run(struct shop *shop, const struct options *options)
{
    static const int signals[] = {SIGINT, SIGTERM};
    static const struct timeval minute = {.tv_sec = 60};
    struct event *events[3] = {NULL};
    int status = 1;
    for (size_t i = 0; i < 2; i++) {
        events[i] = evsignal_new(shop->base, signals[i], on_signal, shop);
        if (events[i] == NULL || event_add(events[i], NULL) != 0) {
            goto done;
        }
    }
    events[2] = event_new(shop->base, -1, EV_PERSIST, on_expire, shop);
    shop->stop_event = evtimer_new(shop->base, on_stop_check, shop);
    if (events[2] == NULL || shop->stop_event == NULL || event_add(events[2], &minute) != 0) {
        goto done;
    }
    bool six = strchr(options->bind, ':') != NULL;
    printf("weir-shop: %s ready on http://%s%s%s:%u\n", shop->name, six ? "[" : "", options->bind,
           six ? "]" : "", bound_port(shop->socket));
    fflush(stdout);
    status = event_base_dispatch(shop->base) == -1;
done:
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        if (events[i] != NULL) {
            event_free(events[i]);
        }
    }
    if (shop->stop_event != NULL) {
        event_free(shop->stop_event);
    }
    return status;
}

int main(int argc, char **argv)
{
    struct shop shop = {.started_ms = shop_now_ms()};
    struct options options = {
        .bind = "127.0.0.1", .sessions = DEFAULT_SESSIONS, .session_ttl_ms = 30 * 60 * 1000};
    int status = 1;
    signal(SIGPIPE, SIG_IGN);
    read_options(argc, argv, &shop, &options);
    shop.base = event_base_new();
    shop.sessions = session_table_new(options.sessions, options.session_ttl_ms);
    if (shop.base == NULL || shop.sessions == NULL || !session_random_hex(shop.instance, 16) ||
        getrandom(&shop.random_state, sizeof shop.random_state, 0) < 0) {
        fputs("weir-shop: not enough memory, or no randomness\n", stderr);
    } else if (shop_listen(&shop, &options)) {
        shop.random_state |= 1; /* zero would stay zero */
        status = shop_run(&shop, &options);
    }
    shop_forget_waiting(&shop);
    if (shop.http != NULL) {
        evhttp_free(shop.http);
    }
    session_table_free(&shop.sessions);
    if (shop.base != NULL) {
        event_base_free(shop.base);
    }
    return status;
}
