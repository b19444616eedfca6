/* SPDX-License-Identifier: MIT */
/*
 * Modules' last minutes. See lately.h.
 */
#include "control/api/lately.h"

#include <math.h>
#include <stdlib.h>

#include "control/api/json.h"

#define RATE_STEPS 5u

struct lately_copy {
    struct list link;
    uint64_t number;
    uint64_t last;  /* step that it was taken in */
    uint64_t calls; /* so far */
    double ns;
    struct {
        uint32_t calls;
        float ns;
    } steps[LATELY_STEPS];
    uint64_t since; /* step from which on differences are known */
};

void lately_init(struct lately *lately)
{
    *lately = (struct lately){0};
    list_init(&lately->copies);
}

static void forget(struct list *link)
{
    list_remove(link);
    free(container_of(link, struct lately_copy, link));
}

void lately_end(struct lately *lately)
{
    list_each(link, &lately->copies)
    {
        forget(link);
    }
}

/* ---- taking ---- */

/* Steps in which nobody came by: the program was stopped, or the machine asleep. */
static void skip(struct lately *lately, uint64_t passed_ns)
{
    uint64_t missed = (passed_ns + LATELY_STEP_NS / 2) / LATELY_STEP_NS;

    for (uint64_t i = 1; i < missed && i < LATELY_STEPS; i++) {
        lately->steps[lately->count++ % LATELY_STEPS] = (struct lately_step){0};
    }
}

void lately_begin(struct lately *lately, uint64_t now_ns, uint64_t wall_ms, uint64_t requests,
                  double cpu_ns)
{
    uint64_t passed_ns = lately->at_ns != 0 ? now_ns - lately->at_ns : 0;

    list_each(link, &lately->copies)
    {
        if (container_of(link, struct lately_copy, link)->last + 1 < lately->count) {
            forget(link);
        }
    }
    skip(lately, passed_ns);
    lately->steps[lately->count++ % LATELY_STEPS] = (struct lately_step){
        .seconds = (float)((double)passed_ns / 1e9),
        /* A listener that is gone has taken its requests along. */
        .requests = requests > lately->requests ? (uint32_t)(requests - lately->requests) : 0,
        .cpu_ns = cpu_ns > lately->cpu_ns ? (float)(cpu_ns - lately->cpu_ns) : 0,
    };
    lately->at_ns = now_ns;
    lately->wall_ms = wall_ms;
    lately->requests = requests;
    lately->cpu_ns = cpu_ns;
}

static struct lately_copy *find(const struct lately *lately, uint64_t number)
{
    list_each(link, &lately->copies)
    {
        struct lately_copy *copy = container_of(link, struct lately_copy, link);
        if (copy->number == number) {
            return copy;
        }
    }
    return NULL;
}

void lately_take(struct lately *lately, uint64_t number, uint64_t calls, double worker_ns)
{
    struct lately_copy *copy = find(lately, number);
    uint64_t step = lately->count - 1;

    if (copy == NULL) {
        copy = base_zalloc(sizeof(*copy));
        copy->number = number;
        copy->since = lately->count;
        list_push_back(&lately->copies, &copy->link);
    }
    copy->steps[step % LATELY_STEPS].calls = (uint32_t)(calls - copy->calls);
    copy->steps[step % LATELY_STEPS].ns = (float)fmax(worker_ns - copy->ns, 0);
    copy->last = step;
    copy->calls = calls;
    copy->ns = worker_ns;
}

/* ---- showing ---- */

/* What came in the steps from `first` to before `end`. NaN: nothing is known, or there was nothing
 * to divide by. */
struct sums {
    double calls, request_us, cpu_share;
};

static struct sums sum(const struct lately *lately, const struct lately_copy *copy, uint64_t first,
                       uint64_t end)
{
    double seconds = 0, calls = 0, ns = 0, requests = 0, cpu_ns = 0;

    for (uint64_t i = first; copy != NULL && i < end; i++) {
        const struct lately_step *step = &lately->steps[i % LATELY_STEPS];
        if (i >= copy->since && i <= copy->last && step->seconds > 0) {
            seconds += (double)step->seconds;
            requests += step->requests;
            cpu_ns += (double)step->cpu_ns;
            calls += copy->steps[i % LATELY_STEPS].calls;
            ns += (double)copy->steps[i % LATELY_STEPS].ns;
        }
    }
    return (struct sums){
        .calls = seconds > 0 ? calls / seconds : NAN,
        .request_us = requests > 0 ? ns / 1000 / requests : NAN,
        .cpu_share = cpu_ns > 0 ? fmin(ns / cpu_ns, 1) : NAN,
    };
}

static cJSON *rounded(double number)
{
    return isfinite(number) ? cJSON_CreateNumber(round(number * 1000) / 1000) : cJSON_CreateNull();
}

void lately_show_rates(const struct lately *lately, uint64_t copy, cJSON *object)
{
    uint64_t first = lately->count > RATE_STEPS ? lately->count - RATE_STEPS : 0;
    struct sums sums = sum(lately, find(lately, copy), first, lately->count);
    cJSON *rates = cJSON_AddObjectToObject(object, "rates");

    json_set_rate(rates, "calls", sums.calls);
    json_set_rate(rates, "request_us", sums.request_us);
    json_set_number(rates, "cpu_share", sums.cpu_share);
}

void lately_show_recent(const struct lately *lately, uint64_t copy, cJSON *object)
{
    const struct lately_copy *found = find(lately, copy);
    uint64_t step_ms = LATELY_STEP_NS / NS_PER_MS;
    cJSON *recent = cJSON_AddObjectToObject(object, "recent");

    json_set_number(recent, "step_ms", (double)step_ms);
    json_set_number(recent, "start",
                    (double)lately->wall_ms - (double)((LATELY_STEPS - 1) * step_ms));
    cJSON *calls = cJSON_AddArrayToObject(recent, "calls");
    cJSON *request_us = cJSON_AddArrayToObject(recent, "request_us");
    for (uint64_t back = LATELY_STEPS; back > 0; back--) {
        uint64_t step = lately->count - back;
        struct sums sums = lately->count >= back ? sum(lately, found, step, step + 1)
                                                 : (struct sums){.calls = NAN, .request_us = NAN};
        cJSON_AddItemToArray(calls, rounded(sums.calls));
        cJSON_AddItemToArray(request_us, rounded(sums.request_us));
    }
}
