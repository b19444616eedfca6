/* SPDX-License-Identifier: MIT */
/* grpc.c: which requests are calls, what becomes of statuses, and deadlines. */
#include "http/grpc.h"

#include "runner.h"

static struct arena arena;
static struct http_request_head head;

/* A request with that field alone; `name` NULL: none. */
static const struct http_request_head *with(const char *name, const char *value)
{
    arena_reset(&arena);
    arena_init(&arena, NULL, 0);
    head = (struct http_request_head){.method = METHOD_POST};
    if (name != NULL) {
        ck_assert(fields_add(&head.fields, &arena, str_from(name), str_from(value)));
    }
    return &head;
}

UNIT_TEST(calls_are_known_by_their_content)
{
    static const char *const calls[] = {"application/grpc",      "application/grpc+proto",
                                        "Application/GRPC; x=y", "application/grpc;charset",
                                        "application/grpc-web",  "application/grpc-web-text+proto"};
    static const char *const others[] = {"application/grpcx",  "application/grp",  "", "text/plain",
                                         "application/grpc.x", "xapplication/grpc"};

    for (size_t i = 0; i < ARRAY_COUNT(calls); i++) {
        ck_assert_msg(grpc_asked(with("Content-Type", calls[i])), "%s", calls[i]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        ck_assert_msg(!grpc_asked(with("content-type", others[i])), "%s", others[i]);
    }
    ck_assert(!grpc_asked(with(NULL, NULL)));
    ck_assert(!grpc_asked(with("Accept", "application/grpc")));
    arena_reset(&arena);
}

static void answers(const char *asked, const char *type)
{
    struct weir_str is = grpc_answer_type(with("Content-Type", asked));
    ck_assert_msg(str_equal(is, str_from(type)), "%s: %.*s", asked, STR_ARGS(is));
}

UNIT_TEST(answers_are_of_the_same_kind)
{
    answers("application/grpc", "application/grpc");
    answers("application/grpc+json; a=b", "application/grpc");
    answers("application/grpc-web+proto; a=b", "application/grpc-web+proto");
    arena_reset(&arena);
}

UNIT_TEST(statuses_are_mapped)
{
    static const struct {
        unsigned status;
        int grpc;
    } rows[] = {{400, 13}, {401, 16}, {403, 7},  {404, 12}, {413, 8}, {429, 14}, {431, 8},
                {502, 14}, {503, 14}, {504, 14}, {500, 2},  {408, 2}, {421, 2},  {505, 2}};

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        ck_assert_int_eq(grpc_read_status(grpc_status_for(rows[i].status, false)), rows[i].grpc);
    }
    ck_assert_int_eq(grpc_read_status(grpc_status_for(504, true)), 4);
    ck_assert_int_eq(grpc_read_status(grpc_status_for(503, true)), 14);
}

UNIT_TEST(deadlines_pass)
{
    static const struct {
        const char *timeout;
        uint64_t ns;
    } rows[] = {{"5n", 5},
                {"7u", 7000},
                {"100m", 100000000},
                {"2S", 2 * NS_PER_SECOND},
                {"3M", 180 * NS_PER_SECOND},
                {"1H", 3600 * NS_PER_SECOND},
                {"0n", 0}};
    static const char *const none[] = {"", "1", "S", "x1S", "1s", "-1S", "123456789S", "1 S"};

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        with("grpc-timeout", rows[i].timeout);
        ck_assert_msg(grpc_overdue(&head, rows[i].ns), "%s", rows[i].timeout);
        ck_assert_msg(rows[i].ns == 0 || !grpc_overdue(&head, rows[i].ns - 1), "%s",
                      rows[i].timeout);
    }
    for (size_t i = 0; i < ARRAY_COUNT(none); i++) {
        ck_assert_msg(!grpc_overdue(with("grpc-timeout", none[i]), UINT64_MAX), "%s", none[i]);
    }
    ck_assert(!grpc_overdue(with("grpc-timeout", "99999999H"), UINT64_C(1) << 62));
    ck_assert(!grpc_overdue(with(NULL, NULL), UINT64_MAX));
    arena_reset(&arena);
}

UNIT_TEST(numbers_are_read)
{
    ck_assert_int_eq(grpc_read_status(STR("0")), 0);
    ck_assert_int_eq(grpc_read_status(STR("16")), 16);
    ck_assert_int_eq(grpc_read_status(STR("99")), 99);
    ck_assert_int_eq(grpc_read_status(STR("100")), -1);
    ck_assert_int_eq(grpc_read_status(STR("")), -1);
    ck_assert_int_eq(grpc_read_status(STR("-1")), -1);
    ck_assert_int_eq(grpc_read_status(STR("1x")), -1);
}
