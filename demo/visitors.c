/* SPDX-License-Identifier: MIT */
/* The demo's visitors: simulated people who shop through Weir and check what they get. This file
 * reads the command line, lets them in, and ends. */
#include "visitors.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    VISITOR_LIMIT = 1000,
    SECONDS_LIMIT = 86400,
    THINK_LIMIT_MS = 60000,
    STACK_SIZE = 256 * 1024
};

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

static bool read_think(const char *value, void *to)
{
    struct world *world = to;
    char end;
    return sscanf(value, "%u-%u%c", &world->think_min_ms, &world->think_max_ms, &end) == 2 &&
           world->think_min_ms <= world->think_max_ms && world->think_max_ms <= THINK_LIMIT_MS;
}

/* Begins to live; false: no memory. They do not all come through the door in the same moment. */
static bool let_in(struct world *world, struct visitor *visitor, unsigned number, uint64_t seed)
{
    *visitor = (struct visitor){.world = world,
                                .number = number,
                                .random_state = (seed + number) * UINT64_C(0x9e3779b97f4a7c15) | 1};
    return become_stranger(visitor) &&
           pthread_create(&visitor->thread, NULL, visitor_live, visitor) == 0;
}

static void let_out(struct world *world, struct visitor *visitors, unsigned count)
{
    pthread_mutex_lock(&world->lock);
    world->stopping = true;
    pthread_cond_broadcast(&world->stop);
    pthread_mutex_unlock(&world->lock);
    for (unsigned i = 0; i < count; i++) {
        pthread_join(visitors[i].thread, NULL);
    }
}

/* Tells the live line each second, until a signal comes or the time is over. */
static void watch(struct world *world, const sigset_t *signals, unsigned seconds)
{
    static const struct timespec second = {.tv_sec = 1};
    for (unsigned i = 0; seconds == 0 || i < seconds; i++) {
        if (sigtimedwait(signals, NULL, &second) > 0) {
            return;
        }
        report_second(world);
    }
}

int main(int argc, char **argv)
{
    static struct world world = {.url = "https://localhost:8443",
                                 .think_min_ms = 50,
                                 .think_max_ms = 400,
                                 .timeout_ms = 10000,
                                 .lock = PTHREAD_MUTEX_INITIALIZER};
    static struct visitor visitors[VISITOR_LIMIT];
    unsigned wanted = 8, seconds = 0, count = 0, seed = (unsigned)now_ns() % 1000000000;
    const struct demo_option rows[] = {
        {"url", &world.url, option_text, 0, 0, NULL},
        {"ca", &world.ca_file, option_text, 0, 0, NULL},
        {"visitors", &wanted, NULL, 1, VISITOR_LIMIT, "a number from 1 to 1000"},
        {"seconds", &seconds, NULL, 1, 86400, "a number from 1 to 86400"},
        {"think", &world, read_think, 0, 0, "MIN-MAX in milliseconds, such as 50-400"},
        {"timeout", &world.timeout_ms, NULL, 1, 600000, "a number from 1 to 600000"},
        {"seed", &seed, NULL, 0, 999999999, "a number from 0 to 999999999"},
        {"quiet", &world.quiet, NULL, 0, 0, NULL},
        {NULL, NULL, NULL, 0, 0, NULL},
    };
    pthread_condattr_t clock;
    sigset_t signals;
    options_read(argc, argv, usage, rows);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&world.stop, &clock);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    world.started_ns = now_ns();
    while (count < wanted && let_in(&world, &visitors[count], count + 1, seed)) {
        count++;
    }
    if (count < wanted) {
        fputs("weir-visitors: not enough memory\n", stderr);
    } else {
        watch(&world, &signals, seconds);
    }
    let_out(&world, visitors, count);
    world_settle(&world);
    report_end(&world);
    for (unsigned i = 0; i < wanted; i++) {
        curl_easy_cleanup(visitors[i].curl);
        free(visitors[i].body);
    }
    cJSON_Delete(world.goods);
    curl_global_cleanup();
    return count < wanted ? 2 : world.failed == 0 && world.requests > 0 ? 0 : 1;
}
