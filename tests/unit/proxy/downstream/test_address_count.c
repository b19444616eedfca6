/* SPDX-License-Identifier: MIT */
/* Connections by client address: limits, addresses that count as one, memory that is released. */
#include "proxy/downstream/address_count.h"
#include "runner.h"

#include <pthread.h>
#include <stdio.h>

static struct address address(const char *text)
{
    struct address parsed = {0};
    ck_assert_msg(address_from_host(&parsed, str_from(text), 1234), "%s", text);
    return parsed;
}

UNIT_TEST(limit_is_kept)
{
    struct address_counts *counts = address_counts_new();
    struct address one = address("192.0.2.1");
    struct address two = address("192.0.2.2");
    struct address_count *taken[3];

    for (int i = 0; i < 3; i++) {
        taken[i] = address_counts_take(counts, &one, 3);
        ck_assert_ptr_nonnull(taken[i]);
    }
    ck_assert_ptr_null(address_counts_take(counts, &one, 3));
    struct address_count *other = address_counts_take(counts, &two, 3);
    ck_assert_ptr_nonnull(other);
    address_counts_give(counts, taken[1]);
    taken[1] = address_counts_take(counts, &one, 3);
    ck_assert_ptr_nonnull(taken[1]);
    ck_assert_uint_eq(address_counts_used(counts), 2);
    for (int i = 0; i < 3; i++) {
        address_counts_give(counts, taken[i]);
    }
    address_counts_give(counts, other);
    ck_assert_uint_eq(address_counts_used(counts), 0);
    address_counts_free(&counts);
    ck_assert_ptr_null(counts);
}

/* Whether two addresses are counted as one client. */
static bool same(const char *a, const char *b)
{
    struct address_counts *counts = address_counts_new();
    struct address first = address(a);
    struct address second = address(b);
    struct address_count *one = address_counts_take(counts, &first, 1);
    struct address_count *two = address_counts_take(counts, &second, 1);

    address_counts_give(counts, one);
    if (two != NULL) {
        address_counts_give(counts, two);
    }
    address_counts_free(&counts);
    return two == NULL;
}

UNIT_TEST(who_is_one_client)
{
    ck_assert(same("192.0.2.1", "192.0.2.1"));
    ck_assert(!same("192.0.2.1", "192.0.2.2"));
    ck_assert(same("192.0.2.1", "::ffff:192.0.2.1"));
    ck_assert(!same("::ffff:192.0.2.1", "::ffff:192.0.2.2"));
    ck_assert(same("2001:db8:0:1::1", "2001:db8:0:1:ffff::2"));
    ck_assert(!same("2001:db8:0:1::1", "2001:db8:0:2::1"));
    ck_assert(!same("::1", "0.0.0.1"));
}

#define MANY 20000

UNIT_TEST(many_addresses)
{
    static struct address_count *taken[MANY];
    struct address_counts *counts = address_counts_new();
    char text[64];

    for (unsigned i = 0; i < MANY; i++) {
        snprintf(text, sizeof(text), i % 2 == 0 ? "10.0.%u.%u" : "2001:db8:%x:%x::1", i >> 8,
                 i & 255);
        struct address from = address(text);
        taken[i] = address_counts_take(counts, &from, 1);
        ck_assert_ptr_nonnull(taken[i]);
        ck_assert_ptr_null(address_counts_take(counts, &from, 1));
    }
    ck_assert_uint_eq(address_counts_used(counts), MANY);
    for (unsigned i = 0; i < MANY; i++) {
        address_counts_give(counts, taken[i]);
    }
    ck_assert_uint_eq(address_counts_used(counts), 0);
    address_counts_free(&counts);
}

#define ROUNDS 20000

static void *take_and_give(void *arg)
{
    struct address_counts *counts = arg;
    struct address shared = address("192.0.2.1");

    for (int i = 0; i < ROUNDS; i++) {
        struct address_count *one = address_counts_take(counts, &shared, 2);
        if (one != NULL) {
            address_counts_give(counts, one);
        }
    }
    return NULL;
}

UNIT_TEST(threads_share_it)
{
    struct address_counts *counts = address_counts_new();
    pthread_t threads[4];

    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, take_and_give, counts), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    ck_assert_uint_eq(address_counts_used(counts), 0);
    address_counts_free(&counts);
}
