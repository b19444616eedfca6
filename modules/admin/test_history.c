/* SPDX-License-Identifier: MIT */
/*
 * admin: rates, percentiles and the last hour, from counters that a test moves.
 */
#include <math.h>
#include <stdlib.h>

#include "../test_main.h"
#include "history.h"
#include <weir/text.h>

#define SERVERS 600u
#define BOUNDS  4u
#define START   UINT64_C(100000) /* seconds: a machine that has run for long */

/* What is counted of one row; times are 5 ms and 20 ms, or as it comes. */
struct row {
    struct weir_stats_row row;
    struct weir_traffic traffic;
    struct weir_histogram total;
    uint64_t counts[BOUNDS + 1];
    uint64_t errors[4];
    char name[16];
};

static const double bounds[BOUNDS] = {0.004, 0.016, 0.024, 0.1};

static struct weir_test *host;
static struct weir_context *ctx;
static struct history *history;
static uint64_t now;
static struct row pool, servers[SERVERS], listeners[2], process;

static void row_init(struct row *row, enum weir_stats_kind kind, const char *name)
{
    memset(row, 0, sizeof(*row));
    snprintf(row->name, sizeof(row->name), "%s", name);
    row->total = (struct weir_histogram){
        .size = sizeof(row->total), .bound_count = BOUNDS, .bounds = bounds, .counts = row->counts};
    row->traffic = (struct weir_traffic){
        .size = sizeof(row->traffic), .errors = row->errors, .total = &row->total};
    row->row = (struct weir_stats_row){.size = sizeof(row->row),
                                       .kind = kind,
                                       .name = weir_str_of(row->name),
                                       .traffic = &row->traffic};
    if (kind == WEIR_STATS_SERVER) {
        row->row.pool = weir_str_of("web");
    }
}

static void set_up(void)
{
    host = test_begin();
    ctx = weir_test_instance_context(
        weir_test_create(host, WEIR_TEST_HANDLER, test_conf(host, "web_dir = \"\"")));
    history = history_new();
    now = START;
    row_init(&process, WEIR_STATS_PROCESS, "1");
    row_init(&pool, WEIR_STATS_POOL, "web");
    row_init(&listeners[0], WEIR_STATS_LISTENER, "a");
    row_init(&listeners[1], WEIR_STATS_LISTENER, "b");
    for (unsigned i = 0; i < SERVERS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "s%u", i);
        row_init(&servers[i], WEIR_STATS_SERVER, name);
    }
}

static void tear_down(void)
{
    history_free(history);
    test_end(&host);
}

static void add(struct row *row, unsigned requests, unsigned ms)
{
    unsigned bucket = 0;

    while (bucket < BOUNDS && ms >= bounds[bucket] * 1000) {
        bucket++;
    }
    row->traffic.requests += requests;
    row->counts[bucket] += requests;
}

/* A second is over, with so many listeners. */
static void sample(unsigned with_listeners)
{
    now++;
    weir_test_stats_clear(host);
    weir_test_stats_add(host, &process.row);
    for (unsigned i = 0; i < with_listeners; i++) {
        weir_test_stats_add(host, &listeners[i].row);
    }
    weir_test_stats_add(host, &pool.row);
    for (unsigned i = 0; i < SERVERS; i++) {
        weir_test_stats_add(host, &servers[i].row);
    }
    history_sample(history, ctx, now, now * 1000);
}

/* One second, in which each server and the pool got so many requests of so many milliseconds. */
static void second(unsigned requests, unsigned ms)
{
    add(&pool, requests, ms);
    for (unsigned i = 0; i < SERVERS; i++) {
        add(&servers[i], requests, ms);
        servers[i].traffic.status[5] += requests;
    }
    sample(0);
}

static struct weir_rates rates(enum weir_stats_kind kind, const char *of, const char *name)
{
    struct weir_rates out;
    history_rates(history, kind, weir_str_of(of), weir_str_of(name), &out);
    return out;
}

UNIT_TEST(many_series_have_their_rates)
{
    for (unsigned i = 0; i < 20; i++) {
        second(10, 20);
    }
    for (unsigned i = 0; i < SERVERS; i++) {
        struct weir_rates of = rates(WEIR_STATS_SERVER, "web", servers[i].name);
        ck_assert_double_eq_tol(of.requests, 10, 0.001);
        ck_assert_double_eq_tol(of.errors, 10, 0.001);
        ck_assert_double_eq_tol(of.error_share, 1, 0.001);
        ck_assert(of.minute[0] > 15 && of.minute[0] < 25);
    }
}

UNIT_TEST(first_second_counts)
{
    second(10, 20);
    ck_assert_double_eq_tol(rates(WEIR_STATS_POOL, "", "web").requests, 2, 0.001);
    for (unsigned i = 0; i < 5; i++) {
        second(0, 0);
    }
    ck_assert_double_eq_tol(rates(WEIR_STATS_POOL, "", "web").requests, 0, 0.001);
    ck_assert(rates(WEIR_STATS_POOL, "", "web").minute[0] > 15);
    for (unsigned i = 0; i < 65; i++) {
        second(0, 0);
    }
    ck_assert(isnan(rates(WEIR_STATS_POOL, "", "web").minute[0]));
    ck_assert_double_eq_tol(rates(WEIR_STATS_POOL, "", "none").requests, 0, 0.001);
    ck_assert(isnan(rates(WEIR_STATS_POOL, "", "none").error_share));
}

/* The value of that index from the end. */
static double value(const char *series, unsigned seconds, unsigned index)
{
    struct weir_buffer out = {0};
    char error[256];

    ck_assert_msg(history_json(history, weir_str_of(series), seconds, &out, error, sizeof(error)),
                  "%s", error);
    weir_buffer_byte(&out, '\0');
    char *at = strchr(strstr(out.data, series), '[');
    unsigned count = 1, wanted = seconds <= HISTORY_SECONDS ? seconds : seconds / HISTORY_STEP;
    for (const char *c = at; *c != ']'; c++) {
        count += *c == ',';
    }
    ck_assert_uint_eq(count, wanted);
    for (unsigned i = 0; i < count - 1 - index; i++) {
        at = strchr(at + 1, ',');
    }
    double found = strncmp(at + 1, "null", 4) == 0 ? NAN : strtod(at + 1, NULL);
    weir_buffer_free(&out);
    return found;
}

static bool is_refused(const char *series)
{
    struct weir_buffer out = {0};
    char error[256] = "";
    bool refused = !history_json(history, weir_str_of(series), 60, &out, error, sizeof(error));
    weir_buffer_free(&out);
    return refused && error[0] != '\0';
}

UNIT_TEST(seconds_and_steps)
{
    for (unsigned i = 1; i <= 40; i++) {
        second(i, 5);
    }
    ck_assert_double_eq_tol(value("pool:web.rate", 60, 0), 40, 0.001);
    ck_assert_double_eq_tol(value("pool:web.rate", 60, 39), 1, 0.001);
    ck_assert(isnan(value("pool:web.rate", 60, 45)));
    ck_assert(isnan(value("server:web/none.rate", 60, 0)));
    /* Second 40 begins a step: the five before it. */
    ck_assert_double_eq_tol(value("server:web/s7.rate", 3600, 0), 38, 0.001);
    ck_assert_double_eq_tol(value("server:web/s7.requests", 3600, 0), 190, 0.001);
    ck_assert(is_refused("pool:web") && is_refused("x.rate") && is_refused("server:web.rate"));
    ck_assert(is_refused("pool:web.rate,") == false && is_refused(".rate"));
}

UNIT_TEST(missed_seconds_are_not_known)
{
    second(10, 5);
    now += 9; /* the machine slept */
    second(20, 5);
    ck_assert_double_eq_tol(value("pool:web.rate", 60, 0), 2, 0.001);
    ck_assert(isnan(value("pool:web.rate", 60, 5)));
    ck_assert_double_eq_tol(value("pool:web.rate", 60, 10), 10, 0.001);
}

/* The clock of the seconds begins when the machine is started: an hour back lies before it. */
UNIT_TEST(a_machine_that_was_just_started)
{
    struct weir_buffer out = {0};
    char error[256];

    now = 20;
    second(10, 5);
    second(20, 5);
    ck_assert_double_eq_tol(value("pool:web.rate", 60, 0), 20, 0.001);
    ck_assert_double_eq_tol(value("pool:web.rate", 60, 1), 10, 0.001);
    for (unsigned i = 2; i < 60; i++) {
        ck_assert(isnan(value("pool:web.rate", 60, i)));
    }
    ck_assert(isnan(value("pool:web.rate", 3600, 719)));
    ck_assert(history_json(history, weir_str_of("pool:web.rate"), 60, &out, error, sizeof(error)));
    weir_buffer_byte(&out, '\0');
    ck_assert_ptr_nonnull(strstr(out.data, "\"start\":-37000,"));
    weir_buffer_free(&out);
}

/* A server that was removed and added again, while none of its name lived, counts from zero. */
UNIT_TEST(a_successor_begins_at_zero)
{
    for (unsigned i = 0; i < 20; i++) {
        second(10, 20);
    }
    row_init(&servers[7], WEIR_STATS_SERVER, "s7");
    for (unsigned i = 0; i < 10; i++) {
        second(3, 20);
        struct weir_rates of = rates(WEIR_STATS_SERVER, "web", "s7");
        ck_assert(of.requests >= 0 && of.requests <= 10);
        ck_assert(isnan(of.minute[0]) || (of.minute[0] > 15 && of.minute[0] < 25));
        double last = value("server:web/s7.rate", 3600, 0);
        ck_assert(last >= 0 && last <= 10);
    }
    ck_assert_double_eq_tol(rates(WEIR_STATS_SERVER, "web", "s7").requests, 3, 0.001);
    /* The hour before is still known. */
    ck_assert_double_eq_tol(value("server:web/s7.rate", 3600, 3), 10, 0.001);
}

/* A server that is away for a while, and comes back as it was between two steps: its histogram is
 * read at steps alone. */
UNIT_TEST(who_comes_back_goes_on)
{
    for (unsigned i = 0; i < 20; i++) {
        second(10, 20);
    }
    servers[7].row.kind = WEIR_STATS_LISTENER; /* nobody asks for a listener of its name */
    for (unsigned i = 0; i < 12; i++) {
        second(0, 0);
    }
    servers[7].row.kind = WEIR_STATS_SERVER;
    for (unsigned i = 0; i < 20; i++) {
        second(10, 5);
        double late = value("server:web/s7.p99", 3600, 0);
        ck_assert_msg(isnan(late) || (late > 3 && late < 17), "%u: %f", i, late);
    }
    ck_assert_double_eq_tol(rates(WEIR_STATS_SERVER, "web", "s7").requests, 10, 0.001);
}

/* Listeners that go, and come back, make neither holes nor heaps in the total. */
UNIT_TEST(the_total_outlives_listeners)
{
    for (unsigned i = 0; i < 40; i++) {
        add(&listeners[0], 100, 20);
        add(&listeners[1], 100, 20);
        sample(i >= 10 && i < 20 ? 1 : 2);
        double rate = value("total.rate", 60, 0);
        ck_assert_double_eq_tol(rate, i >= 10 && i < 20 ? 100 : i == 20 ? 1200 : 200, 0.001);
        double late = value("total.p99", 60, 0);
        ck_assert(late > 15 && late < 25);
    }
}

UNIT_FIXTURE(set_up, tear_down);
