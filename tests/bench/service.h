/* SPDX-License-Identifier: MIT */
/* The scripted servers of the balancing benchmark as a model that knows no sockets and no clock:
 * who calls says what time it is. A server has so many workers and one queue before them, first
 * come first served. How long a request takes follows from the draw that it carries, so that two
 * proxies under the same load hand out the same work. All times are nanoseconds. */

#ifndef BENCH_SERVICE_H
#define BENCH_SERVICE_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "draws.h"

#define SERVICE_NEVER UINT64_MAX

enum service_kind { SERVICE_FIXED, SERVICE_UNIFORM, SERVICE_EXPONENTIAL };

struct service_server {
    enum service_kind kind;
    double low;  /* of the uniform; else the mean */
    double high; /* of the uniform */
    unsigned workers;
    unsigned busy;
    struct service_job *first; /* those that wait */
    struct service_job *last;
    double factor; /* what begins before `slow_until` takes that many times longer */
    uint64_t slow_until;
    uint64_t frozen_until;
};

/* A request at a server; its memory is the caller's until service_pop() returns it. */
struct service_job {
    struct service_server *server;
    struct service_job *next;
    uint32_t draw;
    uint64_t due;
};

/* All that is being worked on, a heap by the time when it is done. */
struct service {
    struct service_job **heap;
    size_t count;
    size_t room;
};

/* Reads "exponential=MEAN", "fixed=TIME" or "uniform=LOW-HIGH", in microseconds, with ",workers=N"
 * after it where there is more than one. False: it is none of these. */
static inline bool service_parse(struct service_server *server, const char *text)
{
    char *end = NULL;
    const char *value = strchr(text, '=');

    *server = (struct service_server){.workers = 1, .factor = 1};
    if (value == NULL) {
        return false;
    }
    server->low = strtod(++value, &end) * 1000;
    if (strncmp(text, "fixed=", 6) == 0) {
        server->kind = SERVICE_FIXED;
    } else if (strncmp(text, "exponential=", 12) == 0) {
        server->kind = SERVICE_EXPONENTIAL;
    } else if (strncmp(text, "uniform=", 8) == 0 && *end == '-') {
        server->kind = SERVICE_UNIFORM;
        server->high = strtod(end + 1, &end) * 1000;
    } else {
        return false;
    }
    if (strncmp(end, ",workers=", 9) == 0) {
        server->workers = (unsigned)strtoul(end + 9, &end, 10);
    }
    return *end == '\0' && end != value && server->workers > 0;
}

static inline uint64_t service_time(const struct service_server *server, uint32_t at)
{
    switch (server->kind) {
    case SERVICE_UNIFORM:
        return (uint64_t)(server->low +
                          (server->high - server->low) * (((double)at + 0.5) / 4294967296.0));
    case SERVICE_EXPONENTIAL: return (uint64_t)exponential(server->low, at);
    default: return (uint64_t)server->low;
    }
}

static inline void service_sift_up(struct service *service, size_t at)
{
    struct service_job *job = service->heap[at];

    while (at > 0 && service->heap[(at - 1) / 2]->due > job->due) {
        service->heap[at] = service->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    service->heap[at] = job;
}

static inline void service_sift_down(struct service *service, size_t at)
{
    struct service_job *job = service->heap[at];

    for (;;) {
        size_t child = at * 2 + 1;

        if (child + 1 < service->count &&
            service->heap[child + 1]->due < service->heap[child]->due) {
            child++;
        }
        if (child >= service->count || service->heap[child]->due >= job->due) {
            break;
        }
        service->heap[at] = service->heap[child];
        at = child;
    }
    service->heap[at] = job;
}

/* A worker takes the job; if the server is frozen, once that is over. */
static inline void service_begin(struct service *service, struct service_job *job, uint64_t now)
{
    struct service_server *server = job->server;
    double factor;

    if (service->count == service->room) {
        service->room = service->room == 0 ? 64 : service->room * 2;
        service->heap = realloc(service->heap, service->room * sizeof(struct service_job *));
        if (service->heap == NULL) {
            abort();
        }
    }
    if (now < server->frozen_until) {
        now = server->frozen_until;
    }
    factor = now < server->slow_until ? server->factor : 1;
    job->due = now + (uint64_t)((double)service_time(server, job->draw) * factor);
    server->busy++;
    service->heap[service->count++] = job;
    service_sift_up(service, service->count - 1);
}

/* The job has come to job->server with its draw. */
static inline void service_arrive(struct service *service, struct service_job *job, uint64_t now)
{
    struct service_server *server = job->server;

    job->next = NULL;
    if (server->busy < server->workers) {
        service_begin(service, job, now);
    } else if (server->first == NULL) {
        server->first = server->last = job;
    } else {
        server->last = server->last->next = job;
    }
}

/* When the next one is done. */
static inline uint64_t service_next(const struct service *service)
{
    return service->count == 0 ? SERVICE_NEVER : service->heap[0]->due;
}

/* One that is done by now, or NULL. Its worker went on with the next one at the time when it was
 * done: that the caller looks late makes no server slower. */
static inline struct service_job *service_pop(struct service *service, uint64_t now)
{
    struct service_job *job;
    struct service_server *server;

    if (service_next(service) > now) {
        return NULL;
    }
    job = service->heap[0];
    service->heap[0] = service->heap[--service->count];
    if (service->count > 0) {
        service_sift_down(service, 0);
    }
    server = job->server;
    server->busy--;
    if (server->first != NULL) {
        struct service_job *next = server->first;

        server->first = next->next;
        service_begin(service, next, job->due);
    }
    return job;
}

/* For so long the server does nothing at all; what it is at is done that much later. */
static inline void service_freeze(struct service *service, struct service_server *server,
                                  uint64_t now, uint64_t length)
{
    server->frozen_until = now + length;
    for (size_t i = 0; i < service->count; i++) {
        if (service->heap[i]->server == server) {
            service->heap[i]->due += length;
        }
    }
    for (size_t i = service->count; i-- > 0;) {
        service_sift_down(service, i);
    }
}

/* What begins from now on, for so long, takes `factor` times longer. */
static inline void service_slow(struct service_server *server, uint64_t now, uint64_t length,
                                double factor)
{
    server->factor = factor;
    server->slow_until = now + length;
}

#endif
