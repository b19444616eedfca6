/* SPDX-License-Identifier: MIT */
/* Blocks that stand for several servers: in which order, with which weights, under which names. */
#include <arpa/inet.h>
#include <check.h>

#include "proxy/plan/expand.h"
#include "runner.h"

static bool str_is(struct weir_str text, const char *is)
{
    return str_equal(text, str_from(is));
}

static struct endpoint endpoint(const char *ip, uint16_t port, uint16_t priority, uint16_t weight)
{
    struct endpoint made = {.priority = priority, .weight = weight};
    ck_assert(address_from_host(&made.address, str_from(ip), port));
    return made;
}

UNIT_TEST(each_address_once_by_priority_and_address)
{
    struct endpoint all[] = {
        endpoint("2001:db8::1", 80, 1, 5), endpoint("192.0.2.2", 80, 1, 5),
        endpoint("192.0.2.1", 81, 2, 7),   endpoint("192.0.2.1", 80, 2, 1),
        endpoint("192.0.2.2", 80, 1, 6),   endpoint("192.0.2.2", 80, 3, 9),
        endpoint("192.0.2.9", 0, 1, 1), /* an SRV record without a port */
    };
    size_t count = expand_order(all, ARRAY_COUNT(all));

    ck_assert_uint_eq(count, 4);
    ck_assert_int_eq(all[0].address.u.any.sa_family, AF_INET);
    ck_assert_uint_eq(all[0].weight, 11); /* of the best priority alone */
    ck_assert_int_eq(all[1].address.u.any.sa_family, AF_INET6);
    ck_assert_uint_eq(address_port(&all[2].address), 80);
    ck_assert_uint_eq(address_port(&all[3].address), 81);
}

static struct endpoint found[] = {{.weight = 0}, {.weight = 0}};

static struct expansion expansion(void *arg, const struct server_settings *block)
{
    ck_assert_ptr_eq(arg, &found);
    ck_assert_int_ne(block->resolve, RESOLVE_FIRST);
    return (struct expansion){found, block->resolve == RESOLVE_SRV ? 2 : 1, 7};
}

UNIT_TEST(servers_take_the_places_of_blocks)
{
    struct server_settings blocks[] = {
        {.id = str_from("one"), .resolve = RESOLVE_FIRST},
        {.id = str_from("srv"),
         .resolve = RESOLVE_SRV,
         .weight = 3,
         .url = {.scheme = str_from("http"), .host = str_from("_http._tcp.test")}},
        {.id = str_from("all"),
         .resolve = RESOLVE_ALL,
         .weight = 3,
         .url = {.scheme = str_from("https"), .host = str_from("shop.test")}},
    };
    struct pool_settings settings = {.servers = {blocks, ARRAY_COUNT(blocks)}};
    struct arena arena;

    arena_init(&arena, NULL, 0);
    found[0] = endpoint("192.0.2.1", 80, 1, 4000);
    found[1] = endpoint("2001:db8::1", 81, 2, 1000);
    expand_blocks(&arena, &settings, expansion, &found);
    const struct server_settings *servers = settings.servers.items;
    ck_assert_uint_eq(settings.servers.count, 4);
    ck_assert_ptr_eq(settings.blocks.items, blocks);
    ck_assert_uint_eq(blocks[1].found_version, 7);
    ck_assert(str_is(servers[0].id, "one"));
    ck_assert(str_is(servers[1].id, "srv-192.0.2.1:80"));
    ck_assert(str_is(servers[1].url.text, "http://192.0.2.1:80"));
    ck_assert(str_is(servers[1].dns_name, "_http._tcp.test"));
    ck_assert_int_eq(servers[1].weight, 1000); /* scaled: weights end there */
    ck_assert(!servers[1].backup);
    ck_assert_int_eq(servers[2].weight, 250);
    ck_assert(servers[2].backup);
    ck_assert(str_is(servers[2].url.host, "2001:db8::1"));
    ck_assert(str_is(servers[3].url.text, "https://192.0.2.1:80"));
    ck_assert_int_eq(servers[3].weight, 3);
    arena_reset(&arena);
}
