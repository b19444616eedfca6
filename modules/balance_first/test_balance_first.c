/* SPDX-License-Identifier: MIT */
/*
 * balance_first: the order of configuration, up to limits and `fill`, weights, slow start, and what
 * happens when all are full.
 */
#include "../test_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SERVERS 1000

struct fixture {
    struct weir_test *host;
    struct weir_test_instance *balancer;
    struct weir_test_pool *pool;
    uint32_t count;
};

/* Servers of the weights 1 .. max_weight, in turn, and of one limit. */
static struct fixture begin(const char *conf, uint32_t count, uint32_t max_weight, uint32_t limit)
{
    struct fixture f = {.host = test_begin(), .count = count};
    f.balancer = weir_test_create(f.host, WEIR_TEST_BALANCER, test_conf(f.host, conf));
    ck_assert_ptr_nonnull(f.balancer);
    f.pool = weir_test_pool_new(f.host);
    for (uint32_t s = 0; s < count; s++) {
        char name[16];
        snprintf(name, sizeof(name), "s%u", s);
        weir_test_server_add(f.pool, name, 1 + s % max_weight);
        weir_test_server_set_limit(f.pool, s, limit);
    }
    ck_assert_int_eq(weir_test_pool_join(f.pool, f.balancer), WEIR_OK);
    return f;
}

static void end(struct fixture *f)
{
    weir_test_complete_all(f->balancer);
    test_end(&f->host);
}

static void send_to(const struct fixture *f, uint32_t server, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        ck_assert_uint_eq(weir_test_send(f->balancer), server);
    }
}

/* With few servers and with a heap's number. */
static const uint32_t sizes[] = {1, 2, 10, 64, 65, 1000};
#define SIZES ((int)(sizeof(sizes) / sizeof(sizes[0])))

UNIT_LOOP_TEST(fills_one_after_the_other, SIZES)
{
    struct fixture f = begin("", sizes[_i], 3, 4);
    for (uint32_t s = 0; s < f.count; s++) {
        send_to(&f, s, 4);
    }
    ck_assert_uint_eq(weir_test_pick(f.balancer, NULL), WEIR_PICK_NONE);
    end(&f);
}

UNIT_LOOP_TEST(a_place_that_is_free_again_is_taken_first, SIZES)
{
    struct fixture f = begin("", sizes[_i], 1, 2);
    uint64_t random = (uint64_t)_i + 1;
    weir_test_fill(f.balancer, 2 * f.count, NULL, 0);
    for (uint32_t turn = 0; turn < 50; turn++) {
        uint32_t one = test_random(&random, f.count), other = test_random(&random, f.count);
        weir_test_complete(f.balancer, one, WEIR_OUTCOME_SUCCESS, 1, 2);
        weir_test_complete(f.balancer, other, WEIR_OUTCOME_SUCCESS, 1, 2);
        send_to(&f, one < other ? one : other, 1);
        send_to(&f, one < other ? other : one, 1);
    }
    end(&f);
}

UNIT_TEST(without_limits_the_first_gets_all)
{
    struct fixture f = begin("", 3, 3, 0);
    send_to(&f, 0, 100);
    end(&f);
}

/* Rounded up; a max_requests below comes first. */
UNIT_TEST(fill_goes_by_weight)
{
    struct fixture f = begin("fill = 2", 4, 3, 0);
    weir_test_server_set_limit(f.pool, 2, 5);
    weir_test_server_set_weight(f.pool, 3, WEIR_WEIGHT_ONE / 2 + 1);
    ck_assert_int_eq(weir_test_pool_tell(f.pool), WEIR_OK);
    send_to(&f, 0, 2);
    send_to(&f, 1, 4);
    send_to(&f, 2, 5);
    send_to(&f, 3, 2);
    end(&f);
}

/* Above `fill` nobody waits who need not: the least loaded for its weight gets more. */
UNIT_LOOP_TEST(full_ones_share_the_rest_by_weight, SIZES)
{
    struct fixture f = begin("fill = 2", sizes[_i], 2, 0);
    uint32_t weights = 0;
    for (uint32_t s = 0; s < f.count; s++) {
        weights += 1 + s % 2;
    }
    weir_test_fill(f.balancer, 6 * weights, NULL, 0);
    for (uint32_t s = 0; s < f.count; s++) {
        ck_assert_uint_eq(weir_test_server_in_flight(f.pool, s), 6 * (1 + s % 2));
    }
    end(&f);
}

/* A server that comes back is not thrown at its whole limit. */
UNIT_TEST(slow_start_has_a_part_of_the_limit)
{
    struct fixture f = begin("", 3, 2, 20); /* weights 1, 2, 1 */
    weir_test_server_set_weight(f.pool, 1, WEIR_WEIGHT_ONE / 2);
    ck_assert_int_eq(weir_test_pool_tell(f.pool), WEIR_OK);
    send_to(&f, 0, 20);
    send_to(&f, 1, 5);
    send_to(&f, 2, 20);
    send_to(&f, 1, 15); /* its limit is the pool's last reserve */
    ck_assert_uint_eq(weir_test_pick(f.balancer, NULL), WEIR_PICK_NONE);
    end(&f);
}

UNIT_LOOP_TEST(a_retry_goes_to_the_next, SIZES)
{
    struct fixture f = begin("", sizes[_i], 1, 5);
    for (uint32_t i = 0; i < 20 && f.count > 1; i++) {
        ck_assert_uint_eq(weir_test_pick(f.balancer, NULL), 0);
        weir_test_server_set_usable(f.pool, 0, false);
        ck_assert_uint_eq(weir_test_pick_again(f.balancer, NULL, 1), 1);
        weir_test_server_set_usable(f.pool, 0, true);
    }
    ck_assert_uint_eq(weir_test_pick(f.balancer, NULL), 0);
    end(&f);
}

UNIT_LOOP_TEST(members_come_and_go, SIZES)
{
    struct fixture f = begin("", sizes[_i], 1, 2);
    bool candidate[MAX_SERVERS];
    uint64_t random = (uint64_t)_i + 1;
    memset(candidate, true, sizeof(candidate));
    for (uint32_t turn = 0; turn < 200; turn++) {
        uint32_t changed = test_random(&random, f.count), first = 0;
        candidate[changed] = !candidate[changed];
        weir_test_server_set_candidate(f.pool, changed, candidate[changed]);
        ck_assert_int_eq(weir_test_pool_tell(f.pool), WEIR_OK);
        while (first < f.count && !candidate[first]) {
            first++;
        }
        ck_assert_uint_eq(weir_test_pick(f.balancer, NULL),
                          first < f.count ? first : WEIR_PICK_NONE);
    }
    end(&f);
}

/* Other workers fill servers as well, and empty them: seen at once by few servers, and by many
 * after a quarter of their number of picks. */
UNIT_LOOP_TEST(other_workers_count, SIZES)
{
    struct fixture f = begin("", sizes[_i], 1, 2);
    uint32_t last = f.count - 1, patience = f.count <= 64 ? 1 : f.count / 4 + 1, picks = 0;
    for (uint32_t s = 0; s < last; s++) {
        weir_test_server_set_in_flight(f.pool, s, 2);
    }
    ck_assert_uint_eq(weir_test_pick(f.balancer, NULL), last);
    weir_test_server_set_in_flight(f.pool, 0, 1);
    while (weir_test_pick(f.balancer, NULL) != 0) {
        ck_assert_uint_lt(++picks, patience);
    }
    end(&f);
}

UNIT_TEST(score_in_words)
{
    struct fixture f = begin("", 3, 1, 2);
    struct weir_score out;
    weir_test_send(f.balancer);
    ck_assert_int_eq(weir_test_score(f.balancer, NULL, 0, &out), WEIR_OK);
    ck_assert(out.value == 0);
    ck_assert_str_eq(out.text, "number 1 in order, not full with 1 of 2 in flight");
    weir_test_send(f.balancer);
    ck_assert_int_eq(weir_test_score(f.balancer, NULL, 0, &out), WEIR_OK);
    ck_assert(out.value >= 3);
    ck_assert_str_eq(out.text, "number 1 in order, full with 2 of 2 in flight");
    weir_test_server_set_limit(f.pool, 2, 0);
    ck_assert_int_eq(weir_test_pool_tell(f.pool), WEIR_OK);
    ck_assert_int_eq(weir_test_score(f.balancer, NULL, 2, &out), WEIR_OK);
    ck_assert(out.value == 2);
    ck_assert_str_eq(out.text, "number 3 in order, never full");
    end(&f);
}

UNIT_TEST(mistakes_are_told)
{
    struct weir_test *host = test_begin();
    test_refused(host, "fill = -1", "fill");
    test_end(&host);
}

/* With 10,000 servers, under sanitizers, beside other work. */
UNIT_TIMEOUT(60);
