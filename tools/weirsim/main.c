/* SPDX-License-Identifier: MIT */
/*
 * weirsim: judges balancers before they go live.
 */
#include "sim.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BALANCERS_MAX 32u
#define REQUESTS_MAX  100000000u

struct command {
    struct scenario scenario;
    const char *arrivals, *trace, *pool;
    const char *balancers[BALANCERS_MAX];
    size_t balancer_count;
    size_t limit; /* requests; 0: as many as there are, or 50,000 */
    bool json, show_servers;
};

static const char usage[] =
    "weirsim: what balancers do with servers and requests that are given, in a virtual time\n"
    "\n"
    "  weirsim [--servers \"count=4 time=exp:10ms\"]... --arrivals poisson:800 --balance NAME...\n"
    "  weirsim --trace access.json --balance least_conn --balance ./mine.so\n"
    "\n"
    "  --balance B        a balancer's name or file, and options: 'ewma { half_life = 5s }'\n"
    "  --servers WORDS    servers: count, name, weight, time, body, concurrency, max_requests,\n"
    "                     slow, freeze, cold, fails, fail_time, status, retry_after, joins,\n"
    "                     slow_start, leaves\n"
    "  --arrivals MODEL   poisson:RATE, steps:RATE@FOR,RATE..., closed:CLIENTS, file:PATH\n"
    "  --requests N       how many; 50000 by default, or all of a file\n"
    "  --trace FILE       requests and servers of an access log in JSON; - is standard input\n"
    "  --pool NAME        of a trace with several pools, this one\n"
    "  --warm-up N        the first N requests are not counted\n"
    "  --clients N        how many different clients there are; 1000 by default\n"
    "  --workers N        workers, each with an instance of the balancer; 1 by default\n"
    "  --timeout TIME     until an answer begins; none by default\n"
    "  --retries N        other servers that a request is tried on; 2 by default\n"
    "  --seed N           another run of the same kind; 1 by default\n"
    "  --each             shows each server\n"
    "  --json             prints JSON\n"
    "  --help             prints this\n"
    "\n"
    "See weirsim(1).\n";

enum {
    BALANCE = 256,
    SERVERS,
    ARRIVALS,
    REQUESTS,
    TRACE,
    POOL,
    WARM_UP,
    CLIENTS,
    WORKERS,
    TIMEOUT,
    RETRIES,
    SEED,
    EACH,
    JSON,
    HELP
};

static const struct option options[] = {
    {"balance", required_argument, NULL, BALANCE},
    {"servers", required_argument, NULL, SERVERS},
    {"arrivals", required_argument, NULL, ARRIVALS},
    {"requests", required_argument, NULL, REQUESTS},
    {"trace", required_argument, NULL, TRACE},
    {"pool", required_argument, NULL, POOL},
    {"warm-up", required_argument, NULL, WARM_UP},
    {"clients", required_argument, NULL, CLIENTS},
    {"workers", required_argument, NULL, WORKERS},
    {"timeout", required_argument, NULL, TIMEOUT},
    {"retries", required_argument, NULL, RETRIES},
    {"seed", required_argument, NULL, SEED},
    {"each", no_argument, NULL, EACH},
    {"json", no_argument, NULL, JSON},
    {"help", no_argument, NULL, HELP},
    {NULL, 0, NULL, 0},
};

static bool number(const char *name, const char *text, uint64_t least, uint64_t most, uint64_t *out)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);

    if (end == text || *end != '\0' || text[0] == '-' || value < least || value > most) {
        fprintf(stderr, "weirsim: --%s wants a number from %llu to %llu, not \"%s\"\n", name,
                (unsigned long long)least, (unsigned long long)most, text);
        return false;
    }
    *out = value;
    return true;
}

static bool told(const char *option, const char *text, const char *wrong)
{
    if (wrong != NULL) {
        fprintf(stderr, "weirsim: --%s \"%s\": %s\n", option, text, wrong);
    }
    return wrong == NULL;
}

static bool take(struct command *command, int option, const char *text)
{
    struct scenario *scenario = &command->scenario;
    uint64_t value = 0;
    bool good = true;

    switch (option) {
    case BALANCE:
        if (command->balancer_count == BALANCERS_MAX) {
            return told("balance", text, "there are too many");
        }
        command->balancers[command->balancer_count++] = text;
        break;
    case SERVERS:
        return told("servers", text,
                    read_servers(text, &scenario->servers, &scenario->server_count));
    case ARRIVALS: command->arrivals = text; break;
    case REQUESTS:
        good = number("requests", text, 1, REQUESTS_MAX, &value);
        command->limit = value;
        break;
    case TRACE: command->trace = text; break;
    case POOL: command->pool = text; break;
    case WARM_UP:
        good = number("warm-up", text, 0, REQUESTS_MAX, &value);
        scenario->warm_up = value;
        break;
    case CLIENTS:
        good = number("clients", text, 1, 10000000, &value);
        scenario->clients = (uint32_t)value;
        break;
    case WORKERS:
        good = number("workers", text, 1, 1024, &value);
        scenario->workers = (uint32_t)value;
        break;
    case TIMEOUT: return told("timeout", text, read_duration(text, &scenario->timeout));
    case RETRIES:
        good = number("retries", text, 0, 10, &value);
        scenario->retries = (uint32_t)value;
        break;
    case SEED: return number("seed", text, 0, UINT32_MAX, &scenario->seed);
    case EACH: command->show_servers = true; break;
    case JSON: command->json = true; break;
    default: return false;
    }
    return good;
}

/* The requests and servers, when all options are known. */
static bool make_scenario(struct command *command)
{
    struct scenario *scenario = &command->scenario;

    if ((command->trace == NULL) == (command->arrivals == NULL)) {
        fprintf(stderr, "weirsim: say when requests come, by --arrivals or by --trace\n");
        return false;
    }
    if (command->trace != NULL &&
        !read_trace(command->trace, command->pool, command->limit, scenario)) {
        return false;
    }
    if (command->arrivals != NULL &&
        !told("arrivals", command->arrivals,
              read_arrivals(command->arrivals, command->limit, scenario))) {
        return false;
    }
    if (scenario->server_count == 0) {
        fprintf(stderr, "weirsim: there are no servers: --servers \"count=4 time=exp:10ms\"\n");
        return false;
    }
    if (command->balancer_count == 0) {
        fprintf(stderr, "weirsim: there is no balancer: --balance least_conn\n");
        return false;
    }
    if (scenario->warm_up >= scenario->requests) {
        fprintf(stderr, "weirsim: --warm-up leaves no request of %zu\n", scenario->requests);
        return false;
    }
    return true;
}

static int run(const struct command *command)
{
    const struct scenario *scenario = &command->scenario;
    struct result *results = need(calloc(command->balancer_count, sizeof(*results)));
    int status = 0;

    for (size_t i = 0; i < command->balancer_count && status != 2; i++) {
        struct result *result = &results[i];
        result->servers = need(calloc(scenario->server_count, sizeof(*result->servers)));
        struct balancer *balancer = balancer_open(command->balancers[i], scenario, result);
        if (balancer == NULL) {
            status = 2;
            break;
        }
        simulate(scenario, balancer, result);
        balancer_close(balancer, result);
        status = result->problems > 0 ? 1 : status;
    }
    if (status != 2 && command->json) {
        report_json(scenario, results, command->balancer_count);
    } else if (status != 2) {
        report_text(scenario, results, command->balancer_count, command->show_servers);
    }
    for (size_t i = 0; i < command->balancer_count; i++) {
        free(results[i].servers);
    }
    free(results);
    return status;
}

int main(int argc, char **argv)
{
    struct command command = {.scenario = {.clients = 1000, .workers = 1, .retries = 2, .seed = 1}};
    int status = 2, option;
    bool good = true;

    while (good && (option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == HELP || option == 'h') {
            fputs(usage, stdout);
            return 0;
        }
        good = take(&command, option, optarg);
    }
    if (good && optind < argc) {
        fprintf(stderr, "weirsim: \"%s\" is no option; see weirsim --help\n", argv[optind]);
        good = false;
    }
    if (good && make_scenario(&command)) {
        status = run(&command);
    }
    for (uint32_t i = 0; i < command.scenario.server_count; i++) {
        free(command.scenario.servers[i].samples);
    }
    free(command.scenario.servers);
    free(command.scenario.arrivals);
    return status;
}
