/* SPDX-License-Identifier: MIT */
/*
 * The simulation: events in order of time. A request comes, is sent to the server that the balancer
 * picks, waits there for one of its places, is answered and ends. One for which no server has room
 * waits in the pool, first come first served; one that fails without an answer is tried elsewhere.
 */
#include "sim.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NOBODY    UINT32_MAX
#define TRIED_MAX 12u

enum what { ARRIVES, ANSWERED, ENDS, OVERDUE, MEMBERS };

/* A request of the simulation. */
struct request {
    uint64_t arrived;
    uint32_t client, arrival;
    uint32_t next; /* that waits in the pool behind it */
    uint32_t tried[TRIED_MAX];
    uint8_t tried_count;
};

/* One attempt: a request at a server. */
struct job {
    struct job *next; /* in the server's queue, or free */
    struct job *older;
    uint64_t number; /* memory is used again, numbers are not */
    uint32_t request, server;
    uint64_t assigned, ends;
    struct weir_feedback how;
    bool answered; /* the first byte is there */
    bool given_up; /* the balancer has been told that it timed out; the server still works on it */
};

struct event {
    uint64_t at, order;
    enum what what;
    uint64_t number; /* ARRIVES: of the request; else of the job */
    struct job *job;
};

/* A server as it is now. */
struct server {
    uint32_t running;
    struct job *first, **last; /* wait for a place there */
};

/* One request that has ended. */
struct ended {
    uint64_t took;
    uint32_t server;
};

struct engine {
    const struct scenario *scenario;
    struct balancer *balancer;
    struct result *result;
    uint64_t now, order;
    struct event *events; /* a heap */
    size_t event_count, event_room;
    struct server *servers;
    struct request *requests;
    size_t come, finished;
    uint32_t queue_first, queue_last; /* of the pool */
    struct job *jobs, *free_jobs;     /* the newest */
    struct ended *ended;              /* that count, with success */
    size_t ended_count;
    double sum;
};

/* ---- events ---- */

static bool sooner(const struct event *a, const struct event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void plan(struct engine *engine, uint64_t at, enum what what, uint64_t number,
                 struct job *job)
{
    struct event event = {at, engine->order++, what, number, job};
    size_t i = engine->event_count++;

    if (i == engine->event_room) {
        engine->event_room = i > 0 ? 2 * i : 1024;
        engine->events =
            need(realloc(engine->events, engine->event_room * sizeof(*engine->events)));
    }
    for (; i > 0 && sooner(&event, &engine->events[(i - 1) / 2]); i = (i - 1) / 2) {
        engine->events[i] = engine->events[(i - 1) / 2];
    }
    engine->events[i] = event;
}

static struct event next_event(struct engine *engine)
{
    struct event first = engine->events[0], last = engine->events[--engine->event_count];
    size_t i = 0, count = engine->event_count;

    for (size_t child = 1; child < count; child = 2 * i + 1) {
        child += child + 1 < count && sooner(&engine->events[child + 1], &engine->events[child]);
        if (!sooner(&engine->events[child], &last)) {
            break;
        }
        engine->events[i] = engine->events[child];
        i = child;
    }
    engine->events[i] = last;
    return first;
}

/* ---- servers ---- */

/* A request of the trace that the server has had: this one, or another of about that time. */
static const struct sample *sample_for(const struct engine *engine,
                                       const struct server_model *model,
                                       const struct request *request, uint32_t server)
{
    const struct arrival *arrival = &engine->scenario->arrivals[request->arrival];
    size_t low = 0, high = model->sample_count;

    if (arrival->sample >= 0 && arrival->server == server) {
        return &model->samples[arrival->sample];
    }
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (model->samples[middle].at < engine->now) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    size_t span = model->sample_count < 9 ? model->sample_count : 9;
    size_t start = low < span / 2 ? 0 : low - span / 2;
    start = start + span > model->sample_count ? model->sample_count - span : start;
    return &model->samples[start + (size_t)(draw(engine->scenario->seed, request->arrival, 5) *
                                            (double)span)];
}

/* The server begins to work on it: what it will answer, and when. */
static void job_start(struct engine *engine, struct job *job)
{
    const struct request *request = &engine->requests[job->request];
    const struct server_model *model = &engine->scenario->servers[job->server];
    uint64_t seed = engine->scenario->seed + request->tried_count * UINT64_C(0x51ed2701);
    double factor = 1;
    uint64_t work, body = 0;

    for (uint32_t i = 0; i < model->phase_count; i++) {
        const struct phase *phase = &model->phases[i];
        bool now = engine->now >= phase->from && engine->now < phase->until;
        factor *= now && isfinite(phase->factor) ? phase->factor : 1;
    }
    engine->servers[job->server].running++;
    job->how.status = 200;
    job->how.outcome = WEIR_OUTCOME_SUCCESS;
    if (draw(seed, request->arrival, 2) <
        phase_at(model->failures, model->failure_count, engine->now, 0)) {
        work = draw_time(&model->failure_time, draw(seed, request->arrival, 3), 0);
        job->how.status = model->failure_status;
        job->how.outcome = job->how.status == 0 ? WEIR_OUTCOME_FAILED : WEIR_OUTCOME_ERROR;
        job->how.outcome =
            job->how.status > 0 && job->how.status < 500 ? WEIR_OUTCOME_SUCCESS : job->how.outcome;
        job->how.retry_after_ns = model->retry_after;
    } else if (model->sample_count > 0) {
        const struct sample *sample = sample_for(engine, model, request, job->server);
        work = (uint64_t)((double)sample->first_byte * factor);
        body = (uint64_t)((double)(sample->total - sample->first_byte) * factor);
        job->how.status = sample->status;
        job->how.outcome = sample->outcome;
    } else {
        double u = draw(seed, request->arrival, 3), v = draw(seed, request->arrival, 4);
        work = (uint64_t)((double)draw_time(&model->time, u, v) * factor);
        body = (uint64_t)((double)draw_time(&model->body, v, u) * factor);
    }
    uint64_t hiccups = engine->scenario->seed + (job->server + 1) * UINT64_C(0x2545f491);
    uint64_t answered = work_until(model, hiccups, engine->now, work);
    job->ends = work_until(model, hiccups, answered, body);
    plan(engine, answered, ANSWERED, job->number, job);
}

static void server_take(struct engine *engine, struct job *job)
{
    struct server *server = &engine->servers[job->server];
    uint32_t places = engine->scenario->servers[job->server].concurrency;

    if (places == 0 || server->running < places) {
        job_start(engine, job);
    } else {
        *server->last = job;
        server->last = &job->next;
    }
}

static struct job *job_new(struct engine *engine, uint32_t request, uint32_t server)
{
    struct job *job = engine->free_jobs;

    if (job != NULL) {
        engine->free_jobs = job->next;
    } else {
        job = need(calloc(1, sizeof(*job)));
        job->older = engine->jobs;
        engine->jobs = job;
    }
    *job = (struct job){.older = job->older,
                        .number = engine->order++,
                        .request = request,
                        .server = server,
                        .assigned = engine->now};
    return job;
}

static void server_leave(struct engine *engine, uint32_t number)
{
    struct server *server = &engine->servers[number];
    struct job *next = server->first;

    server->running--;
    if (next != NULL) {
        server->first = next->next;
        server->last = server->first == NULL ? &server->first : server->last;
        next->next = NULL;
        job_start(engine, next);
    }
}

/* ---- requests ---- */

static void finish(struct engine *engine, uint32_t number, uint32_t server, bool success)
{
    struct result *result = engine->result;
    const struct request *request = &engine->requests[number];

    engine->finished++;
    if (engine->scenario->closed > 0 && engine->come < engine->scenario->requests) {
        uint32_t next = (uint32_t)engine->come++;
        plan(engine, engine->now, ARRIVES, next, NULL);
    }
    if (number < engine->scenario->warm_up) {
        return;
    }
    result->requests++;
    if (server != NOBODY) {
        result->servers[server].requests++;
        result->servers[server].failures += success ? 0 : 1;
    }
    if (!success) {
        result->failures++;
        return;
    }
    uint64_t took = engine->now - request->arrived;
    engine->sum += (double)took;
    engine->ended[engine->ended_count++] = (struct ended){took, server};
}

/* false: no server has room. */
static bool send(struct engine *engine, uint32_t number)
{
    struct request *request = &engine->requests[number];
    uint32_t server = balancer_send(engine->balancer, request->client, request->tried_count,
                                    request->tried, request->tried_count);

    if (server == WEIR_PICK_NONE) {
        return false;
    }
    struct job *job = job_new(engine, number, server);
    uint32_t in_flight = balancer_in_flight(engine->balancer, server);
    if (in_flight > engine->result->servers[server].most_in_flight) {
        engine->result->servers[server].most_in_flight = in_flight;
    }
    if (engine->scenario->timeout > 0) {
        plan(engine, engine->now + engine->scenario->timeout, OVERDUE, job->number, job);
    }
    server_take(engine, job);
    return true;
}

static void wait_in_pool(struct engine *engine, uint32_t number)
{
    engine->requests[number].next = NOBODY;
    if (engine->queue_first == NOBODY) {
        engine->queue_first = number;
    } else {
        engine->requests[engine->queue_last].next = number;
    }
    engine->queue_last = number;
}

/* A server has room, or there is another one. */
static void send_waiting(struct engine *engine)
{
    while (engine->queue_first != NOBODY && send(engine, engine->queue_first)) {
        engine->queue_first = engine->requests[engine->queue_first].next;
    }
}

static void arrive(struct engine *engine, uint32_t number)
{
    struct request *request = &engine->requests[number];

    request->arrived = engine->now;
    request->arrival = number;
    if (engine->scenario->arrivals != NULL) {
        request->client = engine->scenario->arrivals[number].client;
        if (engine->come < engine->scenario->requests) {
            uint32_t next = (uint32_t)engine->come++;
            plan(engine, engine->scenario->arrivals[next].at, ARRIVES, next, NULL);
        }
    } else {
        request->client =
            (uint32_t)(draw(engine->scenario->seed, number, 1) * engine->scenario->clients);
    }
    if (engine->queue_first != NOBODY || !send(engine, number)) {
        wait_in_pool(engine, number);
    }
}

/* It has left the server: `job->how` is how. */
static void leave(struct engine *engine, struct job *job)
{
    struct request *request = &engine->requests[job->request];
    enum weir_outcome outcome = job->how.outcome;

    job->how.total_ns = engine->now - job->assigned;
    balancer_complete(engine->balancer, request->client, job->server, &job->how);
    bool failed = outcome == WEIR_OUTCOME_FAILED || outcome == WEIR_OUTCOME_TIMEOUT;
    if (failed && job->how.first_byte_ns == 0 && request->tried_count < engine->scenario->retries &&
        request->tried_count < TRIED_MAX) {
        request->tried[request->tried_count++] = job->server;
        engine->result->retries++;
        if (send(engine, job->request)) {
            send_waiting(engine);
            return;
        }
    }
    finish(engine, job->request, job->server, outcome == WEIR_OUTCOME_SUCCESS);
    send_waiting(engine);
}

static void end(struct engine *engine, struct job *job)
{
    server_leave(engine, job->server);
    if (!job->given_up) {
        leave(engine, job);
    }
    job->number = 0;
    job->next = engine->free_jobs;
    engine->free_jobs = job;
}

static void answer(struct engine *engine, struct job *job)
{
    job->answered = true;
    if (!job->given_up && job->how.status > 0) {
        job->how.first_byte_ns = engine->now - job->assigned;
        job->how.first_byte_ns += job->how.first_byte_ns == 0;
        balancer_head(engine->balancer, engine->requests[job->request].client, job->server,
                      &job->how);
    }
    if (job->ends > engine->now) {
        plan(engine, job->ends, ENDS, job->number, job);
    } else {
        end(engine, job);
    }
}

static void overdue(struct engine *engine, struct job *job)
{
    struct job mine = *job; /* `job` stays the server's */

    mine.how = (struct weir_feedback){.outcome = WEIR_OUTCOME_TIMEOUT};
    job->given_up = true;
    leave(engine, &mine);
}

/* ---- all of it ---- */

static void run(struct engine *engine)
{
    while (engine->finished < engine->scenario->requests && engine->event_count > 0) {
        struct event event = next_event(engine);
        engine->now = event.at;
        balancer_advance(engine->balancer, event.at);
        switch (event.what) {
        case ARRIVES: arrive(engine, (uint32_t)event.number); break;
        case ANSWERED: answer(engine, event.job); break;
        case ENDS: end(engine, event.job); break;
        case OVERDUE:
            if (event.job->number == event.number && !event.job->answered) {
                overdue(engine, event.job);
            }
            break;
        case MEMBERS:
            balancer_members(engine->balancer, event.at);
            send_waiting(engine);
            break;
        }
    }
}

static int by_time(const void *a, const void *b)
{
    const struct ended *x = a, *y = b;
    return x->took < y->took ? -1 : x->took > y->took;
}

static int by_server(const void *a, const void *b)
{
    const struct ended *x = a, *y = b;
    return x->server != y->server ? (x->server < y->server ? -1 : 1) : by_time(a, b);
}

static uint64_t quantile(const struct ended *ended, size_t count, double part)
{
    size_t rank = (size_t)ceil((double)count * part);
    return count > 0 ? ended[rank > 0 ? rank - 1 : 0].took : 0;
}

static void sum_up(struct engine *engine)
{
    struct result *result = engine->result;
    const struct scenario *scenario = engine->scenario;
    struct ended *ended = engine->ended;
    size_t count = engine->ended_count;
    double weights = 0, most = 0;

    qsort(ended, count, sizeof(*ended), by_time);
    result->p50 = quantile(ended, count, 0.5);
    result->p99 = quantile(ended, count, 0.99);
    result->p999 = quantile(ended, count, 0.999);
    result->most = quantile(ended, count, 1);
    result->mean = count > 0 ? (uint64_t)(engine->sum / (double)count) : 0;
    result->seconds = (double)engine->now / 1e9;
    qsort(ended, count, sizeof(*ended), by_server);
    for (size_t from = 0, to; from < count; from = to) {
        struct server_result *server = &result->servers[ended[from].server];
        for (to = from; to < count && ended[to].server == ended[from].server; to++) {
            continue;
        }
        server->p50 = quantile(ended + from, to - from, 0.5);
        server->p99 = quantile(ended + from, to - from, 0.99);
    }
    for (uint32_t i = 0; i < scenario->server_count; i++) {
        double share = (double)result->servers[i].requests / scenario->servers[i].weight;
        most = share > most ? share : most;
        weights += scenario->servers[i].weight;
    }
    result->imbalance = result->requests > 0 ? most * weights / (double)result->requests : 0;
}

/* When the server comes, its weight rises, and it goes. */
static void plan_members(struct engine *engine, const struct server_model *model)
{
    if (model->leaves != NEVER) {
        plan(engine, model->leaves, MEMBERS, 0, NULL);
    }
    if (model->joins == 0) {
        return;
    }
    plan(engine, model->joins, MEMBERS, 0, NULL);
    for (uint64_t step = 1; step <= SLOW_START_STEPS && model->slow_start > 0; step++) {
        uint64_t at = model->joins + (model->slow_start * step - 1) / SLOW_START_STEPS + 1;
        plan(engine, at, MEMBERS, 0, NULL);
    }
}

void simulate(const struct scenario *scenario, struct balancer *balancer, struct result *result)
{
    struct engine engine = {.scenario = scenario,
                            .order = 1,
                            .balancer = balancer,
                            .result = result,
                            .queue_first = NOBODY,
                            .queue_last = NOBODY};
    size_t begin = scenario->closed > 0 ? scenario->closed : 1;

    engine.servers = need(calloc(scenario->server_count, sizeof(*engine.servers)));
    engine.requests = need(calloc(scenario->requests + 1, sizeof(*engine.requests)));
    engine.ended = need(calloc(scenario->requests + 1, sizeof(*engine.ended)));
    for (uint32_t i = 0; i < scenario->server_count; i++) {
        engine.servers[i].last = &engine.servers[i].first;
        plan_members(&engine, &scenario->servers[i]);
    }
    for (size_t i = 0; i < begin && i < scenario->requests; i++) {
        uint64_t at = scenario->arrivals != NULL ? scenario->arrivals[i].at : 0;
        plan(&engine, at, ARRIVES, (uint32_t)engine.come++, NULL);
    }
    run(&engine);
    sum_up(&engine);
    for (struct job *job = engine.jobs, *older; job != NULL; job = older) {
        older = job->older;
        free(job);
    }
    free(engine.events);
    free(engine.servers);
    free(engine.requests);
    free(engine.ended);
}
