/* SPDX-License-Identifier: MIT */
/* The demo's visitors: simulated people who shop through Weir and check what they get. This file
 * reads the command line, lets them in, and ends. */
#include "visitors.h"

#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { VISITOR_LIMIT = 1000, SECONDS_LIMIT = 86400, THINK_LIMIT_MS = 60000, STOP_CHECK_MS = 10 };

static const char usage[] =
    "Usage: weir-visitors [OPTION]...\n"
    "People who browse, search, fill carts, log in and order, and check every answer.\n"
    "\n"
    "  --url URL          where the shop is (default https://localhost:8443)\n"
    "  --ca FILE          certificates to trust, PEM (default: the system's)\n"
    "  --visitors N       how many (default 8, at most 1000)\n"
    "  --seconds N        end after that time (default: go on until Ctrl-C)\n"
    "  --think MIN-MAX    milliseconds of thinking before a request (default 50-400)\n"
    "  --timeout MS       an answer that takes longer has failed (default 10000)\n"
    "  --seed N           repeat the decisions of an earlier run\n"
    "  --quiet            no live line each second\n"
    "  --help             this text\n"
    "\n"
    "The last line is \"visitors: R requests, F failed\"; the exit status is 0 only if F is 0 and\n"
    "R is not. A cart that is lost is a failure, unless the server that kept it is gone: it is\n"
    "never heard of again.\n";

struct options {
    const char *url;
    const char *ca_file;
    unsigned visitors;
    unsigned seconds; /* 0: no end */
    uint64_t seed;
};

struct run {
    struct world world;
    struct event *tick;       /* the live line */
    struct event *end;        /* --seconds */
    struct event *stop_check; /* looks whether all have their answers */
    struct event *interrupted[2];
    size_t count;
    struct visitor *visitors[VISITOR_LIMIT];
};

static void bad_option(const char *option, const char *value, const char *wanted)
{
    fprintf(stderr, "weir-visitors: %s \"%s\": wanted %s\n", option, value, wanted);
    exit(2);
}

static unsigned read_number(const char *option, const char *value, unsigned min, unsigned max)
{
    size_t digits = strspn(value, "0123456789");
    unsigned long number = strtoul(value, NULL, 10);
    if (digits == 0 || digits > 9 || value[digits] != '\0' || number < min || number > max) {
        char wanted[60];
        snprintf(wanted, sizeof wanted, "a number from %u to %u", min, max);
        bad_option(option, value, wanted);
    }
    return (unsigned)number;
}

static void read_think(const char *value, struct world *world)
{
    char *end;
    unsigned long min = strtoul(value, &end, 10);
    unsigned long max = *end == '-' ? strtoul(end + 1, &end, 10) : min;
    if (*value < '0' || *value > '9' || *end != '\0' || min > max || max > THINK_LIMIT_MS) {
        bad_option("--think", value, "MIN-MAX in milliseconds, such as 50-400");
    }
    world->think_min_ms = (unsigned)min;
    world->think_max_ms = (unsigned)max;
}

static void read_options(int argc, char **argv, struct world *world, struct options *options)
{
    static const struct option names[] = {
        {"url", required_argument, NULL, 'u'},      {"ca", required_argument, NULL, 'c'},
        {"visitors", required_argument, NULL, 'v'}, {"seconds", required_argument, NULL, 's'},
        {"think", required_argument, NULL, 't'},    {"timeout", required_argument, NULL, 'o'},
        {"seed", required_argument, NULL, 'r'},     {"quiet", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "h", names, NULL)) != -1) {
        switch (option) {
        case 'u': options->url = optarg; break;
        case 'c': options->ca_file = optarg; break;
        case 'v': options->visitors = read_number("--visitors", optarg, 1, VISITOR_LIMIT); break;
        case 's': options->seconds = read_number("--seconds", optarg, 1, SECONDS_LIMIT); break;
        case 't': read_think(optarg, world); break;
        case 'o': world->timeout_ms = read_number("--timeout", optarg, 1, 600000); break;
        case 'r': options->seed = read_number("--seed", optarg, 0, 999999999); break;
        case 'q': world->quiet = true; break;
        case 'h': fputs(usage, stdout); exit(0);
        default: fputs("Try: weir-visitors --help\n", stderr); exit(2);
        }
    }
    if (optind < argc) {
        fprintf(stderr, "weir-visitors: \"%s\" is not an option; try --help\n", argv[optind]);
        exit(2);
    }
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct run *run = arg;
    report_second(&run->world);
}

/* Ends the loop once every request that was begun has its answer, or has failed. */
static void on_stop_check(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct run *run = arg;
    static const struct timeval soon = {.tv_usec = STOP_CHECK_MS * 1000};
    bool busy = false;
    for (size_t i = 0; i < run->count; i++) {
        busy |= run->visitors[i]->busy;
    }
    if (busy) {
        evtimer_add(run->stop_check, &soon);
    } else {
        event_base_loopbreak(run->world.base);
    }
}

static void on_end(evutil_socket_t fd, short what, void *arg)
{
    struct run *run = arg;
    if (!run->world.stopping) {
        run->world.stopping = true;
        on_stop_check(fd, what, run);
    }
}

static bool run_prepare(struct run *run, const struct options *options)
{
    static const struct timeval second = {.tv_sec = 1};
    struct event_base *base = run->world.base;
    const struct timeval end = {.tv_sec = options->seconds};
    run->tick = event_new(base, -1, EV_PERSIST, on_tick, run);
    run->end = evtimer_new(base, on_end, run);
    run->stop_check = evtimer_new(base, on_stop_check, run);
    run->interrupted[0] = evsignal_new(base, SIGINT, on_end, run);
    run->interrupted[1] = evsignal_new(base, SIGTERM, on_end, run);
    if (run->tick == NULL || run->end == NULL || run->stop_check == NULL ||
        run->interrupted[0] == NULL || run->interrupted[1] == NULL) {
        return false;
    }
    for (unsigned i = 0; i < options->visitors; i++) {
        run->visitors[i] = visitor_new(&run->world, i + 1, options->seed);
        if (run->visitors[i] == NULL) {
            return false;
        }
        run->count++;
    }
    if (options->seconds > 0) {
        evtimer_add(run->end, &end);
    }
    event_add(run->interrupted[0], NULL);
    event_add(run->interrupted[1], NULL);
    return event_add(run->tick, &second) == 0;
}

static void run_clean(struct run *run)
{
    struct event *events[] = {run->tick, run->end, run->stop_check, run->interrupted[0],
                              run->interrupted[1]};
    for (size_t i = 0; i < run->count; i++) {
        visitor_free(&run->visitors[i]);
    }
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        if (events[i] != NULL) {
            event_free(events[i]);
        }
    }
    target_close(&run->world.target);
    if (run->world.base != NULL) {
        event_base_free(run->world.base);
    }
}

int main(int argc, char **argv)
{
    static struct run run = {
        .world = {.think_min_ms = 50, .think_max_ms = 400, .timeout_ms = 10000}};
    struct options options = {.url = "https://localhost:8443", .visitors = 8};
    struct world *world = &run.world;
    int status = 2;
    if (getrandom(&options.seed, sizeof options.seed, 0) < 0) {
        options.seed = now_ns();
    }
    signal(SIGPIPE, SIG_IGN);
    read_options(argc, argv, world, &options);
    world->base = event_base_new();
    world->started_ns = now_ns();
    if (!target_open(&world->target, options.url, options.ca_file)) {
        status = 2;
    } else if (world->base == NULL || !run_prepare(&run, &options)) {
        fputs("weir-visitors: not enough memory\n", stderr);
    } else {
        event_base_dispatch(world->base);
        world_settle(world);
        report_end(world);
        status = world->failed == 0 && world->requests > 0 ? 0 : 1;
    }
    run_clean(&run);
    return status;
}
