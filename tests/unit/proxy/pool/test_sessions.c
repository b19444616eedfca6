/* SPDX-License-Identifier: MIT */
/* How many sessions a server has: right for a few, near for many, over loops, and for a while. */
#include "proxy/pool/server.h"
#include "runner.h"

#define LOOPS 3u
#define START (UINT64_C(7000) * SESSIONS_SLICE_NS)

static struct server *server;

static void set_up(void)
{
    static const char text[] = "http://127.0.0.1:3000";
    const struct weir_url url = {
        .text = str_from(text), .scheme = {text, 4}, .host = {text + 7, 9}, .port = 3000};
    server = server_new(STR("pool"), STR("a"), &url, LOOPS);
}

static void tear_down(void)
{
    server_unref(&server);
}

static void note(unsigned loop, uint64_t session, uint64_t now_ns)
{
    sessions_note(&server->locals[loop].sessions, session, now_ns);
}

UNIT_TEST(a_few_are_counted_right)
{
    ck_assert_uint_eq(sessions_count(server, START), 0);
    for (uint64_t i = 1; i <= 12; i++) {
        note(0, i, START);
        note(0, i, START + 1);
        ck_assert_uint_eq(sessions_count(server, START + 1), i);
    }
}

/* A browser's connections are spread over the loops. */
UNIT_TEST(a_session_on_several_loops_is_one)
{
    for (uint64_t i = 1; i <= 10; i++) {
        note((unsigned)(i % LOOPS), i, START);
        note((unsigned)((i + 1) % LOOPS), i, START);
    }
    ck_assert_uint_eq(sessions_count(server, START), 10);
}

/* Numbers that follow each other, and such as differ in their high bits alone. */
UNIT_TEST(many_are_counted_nearly)
{
    static const uint64_t counts[] = {100, 1000, 10000, 100000};
    static const double slack[] = {0.03, 0.03, 0.03, 0.06};
    for (unsigned shift = 0; shift <= 40; shift += 40) {
        for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
            uint64_t now_ns = START + (shift + i) * 10 * SESSIONS_SLICE_NS;
            for (uint64_t k = 1; k <= counts[i]; k++) {
                note((unsigned)(k % LOOPS), k << shift, now_ns);
            }
            double share = (double)sessions_count(server, now_ns) / (double)counts[i];
            ck_assert_msg(share > 1 - slack[i] && share < 1 + slack[i], "%.3f of %llu", share,
                          (unsigned long long)counts[i]);
        }
    }
}

UNIT_TEST(more_than_can_be_told_is_many)
{
    for (uint64_t k = 1; k <= 1000000; k++) {
        note(0, k, START);
    }
    ck_assert_uint_gt(sessions_count(server, START), 100000);
}

/* Who was not here for SESSIONS_SLICES slices has left; who comes again stays. */
UNIT_TEST(sessions_leave)
{
    for (uint64_t i = 1; i <= 8; i++) {
        note(0, i, START);
    }
    uint64_t last_ns = START + (SESSIONS_SLICES - 1) * SESSIONS_SLICE_NS;
    ck_assert_uint_eq(sessions_count(server, last_ns), 8);
    for (uint64_t i = 1; i <= 3; i++) {
        note(1, i, last_ns);
    }
    ck_assert_uint_eq(sessions_count(server, last_ns), 8);
    ck_assert_uint_eq(sessions_count(server, last_ns + SESSIONS_SLICE_NS), 3);
    /* The first loop's marks are used again. */
    note(0, 99, last_ns + SESSIONS_SLICE_NS);
    ck_assert_uint_eq(sessions_count(server, last_ns + SESSIONS_SLICE_NS), 4);
    ck_assert_uint_eq(sessions_count(server, last_ns + 100 * SESSIONS_SLICE_NS), 0);
}

UNIT_FIXTURE(set_up, tear_down);
UNIT_TIMEOUT(60);
