/* SPDX-License-Identifier: MIT */
/* The scripted servers' model, in a time of its own: how long services take, that queues are as
 * theory says, workers, order, freezes, cold starts. */
#include "runner.h"

#include <stdio.h>

#include "service.h"

#define MS 1000000ULL

static struct service service;

static void teardown(void)
{
    free(service.heap);
    service = (struct service){0};
}

UNIT_FIXTURE(NULL, teardown);

static struct service_server server_of(const char *spec)
{
    struct service_server server;

    ck_assert_msg(service_parse(&server, spec), "'%s' is refused", spec);
    return server;
}

UNIT_TEST(what_is_no_server_is_refused)
{
    static const char *const wrong[] = {
        "",         "fixed",          "fixed=",           "fixed=5x",          "uniform=5",
        "steady=5", "uniform=1-2,x=", "fixed=5,workers=", "fixed=5,workers=0",
    };
    struct service_server server;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert_msg(!service_parse(&server, wrong[i]), "'%s' is taken", wrong[i]);
    }
    server = server_of("uniform=1000-3000,workers=12");
    ck_assert_uint_eq(server.workers, 12);
    ck_assert_uint_eq(server_of("fixed=5").workers, 1);
}

static const struct {
    const char *spec;
    double mean;
    double deviation;
} kinds[] = {
    {"fixed=10000", 10e6, 0},
    {"uniform=5000-15000", 10e6, 10e6 / 3.4641016},
    {"exponential=10000", 10e6, 10e6},
};

UNIT_LOOP_TEST(times_have_their_mean_and_deviation, sizeof kinds / sizeof *kinds)
{
    struct service_server server = server_of(kinds[_i].spec);
    double sum = 0, squares = 0, mean, variance;
    unsigned count = 1U << 16;

    for (unsigned i = 0; i < count; i++) {
        double time = (double)service_time(&server, i << 16 | 1U << 15);

        sum += time;
        squares += time * time;
    }
    mean = sum / count;
    variance = squares / count - mean * mean;
    ck_assert_double_eq_tol(mean, kinds[_i].mean, kinds[_i].mean * 0.001);
    ck_assert_double_eq_tol(sqrt(variance > 0 ? variance : 0), kinds[_i].deviation,
                            kinds[_i].mean * 0.002);
}

/* Mean time in a system under Poisson arrivals, milliseconds: Erlang's and Pollaczek and
 * Khinchine's formulas, at 70 % load of 10 ms of service. */
static const struct {
    const char *spec;
    double rate; /* a second */
    double in_system;
} queues[] = {
    {"exponential=10000", 70, 10 / 0.3},
    {"fixed=10000", 70, 10 + 10 * 0.7 / (2 * 0.3)},
    {"exponential=10000,workers=4", 280, 10 + 0.4287 * 10 / (4 * 0.3)},
};

UNIT_LOOP_TEST(queues_are_as_theory_says, sizeof queues / sizeof *queues)
{
    static struct service_job jobs[200000];
    const size_t count = sizeof jobs / sizeof *jobs;
    struct service_server server = server_of(queues[_i].spec);
    struct draws draws = {42};
    double sum = 0, at = 0;
    size_t done = 0;

    for (size_t i = 0; i <= count; i++) {
        struct service_job *job;

        at += exponential(1e9 / queues[_i].rate, draw(&draws));
        while ((job = service_pop(&service, i < count ? (uint64_t)at : SERVICE_NEVER - 1)) !=
               NULL) {
            sum += (double)job->due;
            done++;
        }
        if (i < count) {
            jobs[i] = (struct service_job){.server = &server, .draw = draw(&draws)};
            sum -= (double)(uint64_t)at;
            service_arrive(&service, &jobs[i], (uint64_t)at);
            ck_assert_uint_le(server.busy, server.workers);
        }
    }
    ck_assert_uint_eq(done, count);
    ck_assert_double_eq_tol(sum / (double)count / 1e6, queues[_i].in_system,
                            queues[_i].in_system * 0.04);
}

/* The job must be the next to be done, at that time. */
static void expect(struct service_job *job, uint64_t due)
{
    ck_assert_uint_eq(service_next(&service), due);
    ck_assert_ptr_null(service_pop(&service, due - 1));
    ck_assert_ptr_eq(service_pop(&service, due), job);
}

UNIT_TEST(who_comes_first_is_served_first)
{
    struct service_server server = server_of("fixed=10000,workers=2");
    struct service_job jobs[5];

    for (int i = 0; i < 5; i++) {
        jobs[i] = (struct service_job){.server = &server};
        service_arrive(&service, &jobs[i], (uint64_t)i * MS);
    }
    expect(&jobs[0], 10 * MS);
    expect(&jobs[1], 11 * MS);
    expect(&jobs[2], 20 * MS);
    expect(&jobs[3], 21 * MS);
    expect(&jobs[4], 30 * MS);
    ck_assert_uint_eq(service_next(&service), SERVICE_NEVER);
    ck_assert_uint_eq(server.busy, 0);
}

UNIT_TEST(a_late_look_makes_nothing_slower)
{
    struct service_server server = server_of("fixed=10000");
    struct service_job jobs[3];

    for (int i = 0; i < 3; i++) {
        jobs[i] = (struct service_job){.server = &server};
        service_arrive(&service, &jobs[i], 0);
    }
    for (int i = 0; i < 3; i++) {
        ck_assert_ptr_eq(service_pop(&service, 1000 * MS), &jobs[i]);
        ck_assert_uint_eq(jobs[i].due, (uint64_t)(i + 1) * 10 * MS);
    }
}

UNIT_TEST(nothing_leaves_a_frozen_server)
{
    struct service_server server = server_of("fixed=10000");
    struct service_server other = server_of("fixed=10000");
    struct service_job at_work = {.server = &server}, waits = {.server = &server};
    struct service_job elsewhere = {.server = &other};

    service_arrive(&service, &at_work, 0);
    service_arrive(&service, &waits, 1 * MS);
    service_arrive(&service, &elsewhere, 2 * MS);
    service_freeze(&service, &server, 4 * MS, 5000 * MS);
    expect(&elsewhere, 12 * MS);
    expect(&at_work, 5010 * MS);
    expect(&waits, 5020 * MS);
}

UNIT_TEST(what_comes_while_it_is_frozen_begins_after_that)
{
    struct service_server server = server_of("fixed=10000");
    struct service_job job = {.server = &server}, later = {.server = &server};

    service_freeze(&service, &server, 0, 5000 * MS);
    service_arrive(&service, &job, 100 * MS);
    expect(&job, 5010 * MS);
    service_arrive(&service, &later, 6000 * MS);
    expect(&later, 6010 * MS);
}

UNIT_TEST(a_cold_server_is_slower_for_a_time)
{
    struct service_server server = server_of("fixed=10000");
    struct service_job job = {.server = &server};

    service_slow(&server, 0, 5000 * MS, 3);
    service_arrive(&service, &job, 4999 * MS);
    expect(&job, 5029 * MS);
    service_arrive(&service, &job, 5030 * MS);
    expect(&job, 5040 * MS);
}
