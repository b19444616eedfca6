/* SPDX-License-Identifier: MIT */
/*
 * weirsim: what a balancer does with servers and arrivals that are given, in a virtual time. The
 * balancer is the module itself, `.so` and all, in the SDK's fake host.
 *
 * Times are ns since the simulation's start unless said otherwise.
 */
#ifndef WEIRSIM_SIM_H
#define WEIRSIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/balancer.h>

#define NS_PER_MS     UINT64_C(1000000)
#define NS_PER_SECOND UINT64_C(1000000000)
#define NEVER         UINT64_MAX

#define DEFAULT_REQUESTS 50000u

/* ---- what is simulated ---- */

/* How long something takes, ns. */
struct spread {
    enum { CONSTANT, EXPONENTIAL, UNIFORM, LOGNORMAL } kind;
    double from, to; /* UNIFORM; else `from` is the mean, of LOGNORMAL the median */
    double sigma;    /* LOGNORMAL */
};

/* `factor` is in force from `from` until `until`; a server that is frozen has INFINITY. */
struct phase {
    uint64_t from, until;
    double factor;
};
#define PHASES_MAX 16u

/* As many as Weir takes. */
#define SLOW_START_STEPS 20u

/* A request that a server of a trace has had. */
struct sample {
    uint64_t at, first_byte, total;
    uint32_t status;
    enum weir_outcome outcome;
};

struct server_model {
    char name[64];
    uint32_t weight;
    struct spread time;    /* until the first byte */
    struct spread body;    /* from then on */
    uint32_t concurrency;  /* requests that it works on at once, others wait there; 0: any number */
    uint32_t max_requests; /* that it is sent at once, others wait in the pool; 0: any number */
    struct phase phases[PHASES_MAX]; /* how many times as long what begins then takes */
    uint32_t phase_count;
    uint64_t hiccup_every, hiccup; /* stands still about so often, for about so long; 0: never */
    struct phase failures[PHASES_MAX]; /* the part that fails */
    uint32_t failure_count;
    struct spread failure_time;
    uint32_t failure_status; /* 0: no answer at all */
    uint64_t retry_after;
    uint64_t joins, leaves;
    uint64_t slow_start;    /* after it has joined its weight rises in so long; 0: at once */
    bool timed;             /* `time` was given: it is not the trace's */
    struct sample *samples; /* of the trace, in order of time */
    size_t sample_count;
};

/* One request that comes, in order of time. */
struct arrival {
    uint64_t at;
    uint32_t client;
    int32_t sample; /* of the server that had it in the trace: its number; -1: none */
    uint32_t server;
};

struct rate_step {
    uint64_t until;
    double per_second;
};

struct scenario {
    struct server_model *servers;
    uint32_t server_count;
    struct arrival *arrivals; /* NULL: a closed loop */
    uint32_t closed;          /* how many clients that has */
    size_t requests;
    size_t warm_up; /* so many of the first are not reported */
    uint32_t clients;
    uint32_t workers;
    uint32_t retries;
    uint64_t timeout; /* until the first byte; 0: none */
    uint64_t seed;
};

/* ---- what came of it ---- */

struct server_result {
    uint64_t requests, failures;
    uint32_t most_in_flight;
    uint64_t p50, p99;
};

struct result {
    char name[1024]; /* as it was asked for */
    char options[256];
    uint64_t requests, failures, retries;
    uint64_t p50, p99, p999, most, mean;
    double seconds;   /* of virtual time */
    double imbalance; /* the busiest server's share over its fair one, by weight */
    double picks;     /* decisions a second of real time */
    size_t problems;  /* breaches of the contract that the fake host has seen */
    struct server_result *servers;
};

/* ---- model.c: numbers that repeat ---- */

/* From 0 to below 1: that of request number `request`, for the purpose `what`. */
double draw(uint64_t seed, uint64_t request, uint32_t what);
uint64_t draw_time(const struct spread *spread, double u, double v);
/* The factor at `at`; the last of several counts. `fallback` where there is none. */
double phase_at(const struct phase *phases, uint32_t count, uint64_t at, double fallback);
/* When work of `ns` is done that begins at `at`: nothing is done while the server is frozen, or has
 * a hiccup. `seed`: of the server's hiccups. */
uint64_t work_until(const struct server_model *server, uint64_t seed, uint64_t at, uint64_t ns);
/* Arrivals: a Poisson process whose rate is that of the steps, the last one without end. */
struct arrival *poisson_arrivals(const struct rate_step *steps, size_t step_count, size_t count,
                                 uint32_t clients, uint64_t seed);

/* ---- spec.c: text of the command line; NULL: good, else what is wrong ---- */

const char *read_duration(const char *text, uint64_t *ns);
/* Adds the servers that `text` tells of to `*servers`. */
const char *read_servers(const char *text, struct server_model **servers, uint32_t *count);
/* "poisson:RATE", "steps:RATE@FOR,...", "closed:N", "file:PATH". `limit`: so many requests; 0: the
 * default, or all of the file. */
const char *read_arrivals(const char *text, size_t limit, struct scenario *scenario);

/* ---- trace.c ---- */

/* Arrivals of an access log in JSON, what the scenario's servers of the same names took for each,
 * and where it has no servers, those of the log. `pool` NULL: the log has one alone. `limit`: so
 * many of the first requests; 0: all. false: told on standard error. */
bool read_trace(const char *path, const char *pool, size_t limit, struct scenario *scenario);

/* ---- balancer.c: the module in the fake host ---- */

struct balancer;

/* `what`: a name or a path, and options in a pool's words, maybe in braces. NULL: told on standard
 * error. */
struct balancer *balancer_open(const char *what, const struct scenario *scenario,
                               struct result *result);
/* Fills in decisions a second, and problems. */
void balancer_close(struct balancer *balancer, struct result *result);

void balancer_advance(struct balancer *balancer, uint64_t now);
void balancer_members(struct balancer *balancer, uint64_t now);
/* The server's number, which has the request then; WEIR_PICK_NONE: none has room. Those of `tried`
 * are left out. */
uint32_t balancer_send(struct balancer *balancer, uint32_t client, uint32_t attempt,
                       const uint32_t *tried, uint32_t tried_count);
void balancer_head(struct balancer *balancer, uint32_t client, uint32_t server,
                   const struct weir_feedback *how);
void balancer_complete(struct balancer *balancer, uint32_t client, uint32_t server,
                       const struct weir_feedback *how);
uint32_t balancer_in_flight(const struct balancer *balancer, uint32_t server);

/* ---- engine.c ---- */

/* `result` has room for the servers. */
void simulate(const struct scenario *scenario, struct balancer *balancer, struct result *result);

/* ---- report.c ---- */

void report_text(const struct scenario *scenario, const struct result *results, size_t count,
                 bool servers);
void report_json(const struct scenario *scenario, const struct result *results, size_t count);

/* Memory that cannot be had ends the program. */
void *need(void *memory);

#endif
