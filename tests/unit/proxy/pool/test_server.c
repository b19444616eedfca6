/* SPDX-License-Identifier: MIT */
/* server.c: a server's id, places, states and probes. */
#include "runner.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/pool/server.h"

/* A URL as the option parser makes it: its parts are slices of its text. */
static struct weir_url url_of(const char *scheme, const char *host, uint16_t port, const char *path,
                              char text[128])
{
    int len = snprintf(text, 128, "%s://%s:%u%s", scheme, host, port, path);
    struct weir_url url = {.text = {text, (size_t)len}, .port = port};
    url.scheme = (struct weir_str){text, strlen(scheme)};
    url.host = (struct weir_str){strstr(text, "//") + 2, strlen(host)};
    url.path = (struct weir_str){text + len - strlen(path), strlen(path)};
    url.tls = strcmp(scheme, "https") == 0;
    return url;
}

static struct server *make(const char *scheme, const char *host)
{
    char text[128];
    struct weir_url url = url_of(scheme, host, 3001, "/x", text);
    struct server *server = server_new(STR("web"), STR("a"), &url, 2);
    memset(text, '-', sizeof(text)); /* it has copied what it needs */
    return server;
}

/* ---- ids ---- */

static weir_server_id id_of(const char *pool, const char *name)
{
    return server_id_of(str_from(pool), str_from(name));
}

UNIT_TEST(ids_stay)
{
    /* Cookies in browsers hold them: a new release gives the same. */
    ck_assert_uint_eq(id_of("web", "web-1"), UINT64_C(0x69e4ec82c5d996a0));
    ck_assert_uint_ne(id_of("web", "web-1"), id_of("web", "web-2"));
    ck_assert_uint_ne(id_of("web", "web-1"), id_of("api", "web-1"));
    ck_assert_uint_ne(id_of("a", "bc"), id_of("ab", "c"));
    ck_assert_uint_ne(id_of("", "ab"), id_of("ab", ""));
}

static int compare_ids(const void *a, const void *b)
{
    weir_server_id left, right;
    memcpy(&left, a, sizeof(left));
    memcpy(&right, b, sizeof(right));
    return left < right ? -1 : left > right;
}

UNIT_TEST(ids_are_spread)
{
    enum { COUNT = 100000 };
    weir_server_id *ids = base_alloc(COUNT * sizeof(*ids));
    unsigned low[16] = {0};
    for (int i = 0; i < COUNT; i++) {
        char name[32];
        snprintf(name, sizeof(name), "server-%d", i);
        ids[i] = id_of("pool", name);
        ck_assert_uint_ne(ids[i], WEIR_NO_SERVER);
        low[ids[i] & 15]++;
    }
    qsort(ids, COUNT, sizeof(*ids), compare_ids);
    for (int i = 1; i < COUNT; i++) {
        ck_assert_uint_ne(ids[i], ids[i - 1]);
    }
    for (int i = 0; i < 16; i++) { /* fit for tables as they are */
        ck_assert(low[i] > COUNT / 16 * 9 / 10 && low[i] < COUNT / 16 * 11 / 10);
    }
    free(ids);
}

/* ---- addresses ---- */

UNIT_TEST(addresses)
{
    struct address address;
    char text[ADDRESS_TEXT_SIZE + 8];

    struct server *server = make("http", "127.0.0.1");
    ck_assert(server_get_address(server, &address));
    address_text_port(&address, text, sizeof(text));
    ck_assert_str_eq(text, "127.0.0.1:3001");
    ck_assert(str_equal(server->url.host, STR("127.0.0.1")));
    ck_assert(str_equal(server->url.path, STR("/x")));
    ck_assert_ptr_null(server->tls_name);
    server_unref(&server);
    ck_assert_ptr_null(server);

    server = make("https", "shop.example");
    ck_assert(!server_get_address(server, &address)); /* a name: not resolved yet */
    ck_assert_str_eq(server->tls_name, "shop.example");
    ck_assert(address_from_host(&address, STR("192.0.2.1"), 443));
    server_set_address(server, &address);
    struct address again;
    ck_assert(server_get_address(server, &again));
    ck_assert(address_equal(&address, &again));
    server_unref(&server);
}

/* ---- places ---- */

UNIT_TEST(places)
{
    struct server *server = make("http", "127.0.0.1");
    for (int i = 0; i < 1000; i++) {
        ck_assert(server_acquire(server)); /* no limit */
    }
    for (int i = 0; i < 1000; i++) {
        server_release(server);
    }
    ck_assert_uint_eq(server->in_flight, 0);

    server->max_connections = 2;
    ck_assert(server_acquire(server) && server_has_room(server));
    ck_assert(server_acquire(server) && !server_has_room(server));
    ck_assert(!server_acquire(server));
    ck_assert_uint_eq(server->in_flight, 2);
    server->max_connections = 1; /* lowered at run time: those who are in may stay */
    server_release(server);
    ck_assert(!server_acquire(server));
    server_release(server);
    ck_assert(server_acquire(server));
    server_release(server);
    server_unref(&server);
}

/* Over its limit by nobody, on any loop. */
#define LIMIT 3

struct crowd {
    struct server *server;
    _Atomic int inside, most;
};

static void *come_and_go(void *arg)
{
    struct crowd *crowd = arg;
    for (int i = 0; i < 20000; i++) {
        if (!server_acquire(crowd->server)) {
            continue;
        }
        int inside = ++crowd->inside;
        int most = crowd->most;
        while (inside > most && !atomic_compare_exchange_weak(&crowd->most, &most, inside)) {}
        crowd->inside--;
        server_release(crowd->server);
    }
    return NULL;
}

UNIT_TEST(places_over_all_loops)
{
    struct crowd crowd = {.server = make("http", "127.0.0.1")};
    pthread_t threads[8];
    crowd.server->max_connections = LIMIT;
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, come_and_go, &crowd), 0);
    }
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        pthread_join(threads[i], NULL);
    }
    ck_assert_int_le(crowd.most, LIMIT);
    ck_assert_int_ge(crowd.most, 1);
    ck_assert_uint_eq(crowd.server->in_flight, 0);
    server_unref(&crowd.server);
}

/* ---- states ---- */

UNIT_TEST(states)
{
    struct server *server = make("http", "127.0.0.1");
    ck_assert(server_is_candidate(server)); /* not probed yet: it may serve */
    ck_assert(server_set_health(server, HEALTH_UP, "probe: 200"));
    ck_assert(!server_set_health(server, HEALTH_UP, "probe: 204"));
    ck_assert_str_eq(server->reason, "probe: 204");
    uint64_t since = server->health_since_ms;
    ck_assert(server_set_health(server, HEALTH_DOWN, "probe: 3 of 3 timed out"));
    ck_assert_uint_ge(server->health_since_ms, since);
    ck_assert(!server_is_candidate(server));
    ck_assert(server_set_health(server, HEALTH_UP, "back"));
    ck_assert(server_is_candidate(server));

    ck_assert(server_set_admin(server, ADMIN_DRAIN));
    ck_assert(!server_set_admin(server, ADMIN_DRAIN));
    ck_assert(!server_is_candidate(server));
    ck_assert(server_set_admin(server, ADMIN_MAINTENANCE));
    ck_assert(!server_is_candidate(server));
    ck_assert(server_set_admin(server, ADMIN_READY));
    ck_assert(server_is_candidate(server));
    server->effective = 0;
    ck_assert(!server_is_candidate(server));
    server_unref(&server);
}

UNIT_TEST(long_reasons_are_cut)
{
    struct server *server = make("http", "127.0.0.1");
    char reason[1000];
    memset(reason, 'x', sizeof(reason) - 1);
    reason[sizeof(reason) - 1] = '\0';
    server_set_health(server, HEALTH_DOWN, reason);
    ck_assert_uint_eq(strlen(server->reason), sizeof(server->reason) - 1);
    server_note_probe(server, false, 0, reason);
    server_unref(&server);
}

UNIT_TEST(words)
{
    ck_assert_str_eq(server_health_word(HEALTH_UNKNOWN), "unknown");
    ck_assert_str_eq(server_health_word(HEALTH_UP), "up");
    ck_assert_str_eq(server_health_word(HEALTH_DOWN), "down");
    ck_assert_str_eq(server_admin_word(ADMIN_READY), "ready");
    ck_assert_str_eq(server_admin_word(ADMIN_DRAIN), "drain");
    ck_assert_str_eq(server_admin_word(ADMIN_MAINTENANCE), "maintenance");
}

/* ---- probes ---- */

UNIT_TEST(probes_are_kept_oldest_first)
{
    struct server *server = make("http", "127.0.0.1");
    struct probe_record records[PROBE_RECORDS];
    ck_assert_uint_eq(server_probes(server, records), 0);
    for (unsigned i = 1; i <= 3 * PROBE_RECORDS + 5; i++) {
        char reason[32];
        snprintf(reason, sizeof(reason), "probe %u", i);
        server_note_probe(server, i % 2 == 0, i * 1000, reason);
        size_t count = server_probes(server, records);
        ck_assert_uint_eq(count, i < PROBE_RECORDS ? i : PROBE_RECORDS);
        for (unsigned k = 0; k < count; k++) {
            unsigned number = i - (unsigned)count + 1 + k;
            ck_assert_uint_eq(records[k].took_us, number);
            ck_assert(records[k].good == (number % 2 == 0));
        }
        ck_assert_str_eq(records[count - 1].reason, reason);
    }
    server_unref(&server);
}

/* ---- who lives is found again ---- */

UNIT_TEST(who_lives_is_found)
{
    char text[128], other_text[128];
    struct weir_url url = url_of("http", "127.0.0.1", 3001, "/x", text);
    struct weir_url other = url_of("http", "127.0.0.1", 3002, "/x", other_text);
    struct weir_str none = {NULL, 0};
    struct server *server = make("http", "127.0.0.1");
    struct server *held = server_ref(server); /* a request runs there */
    ck_assert(server_acquire(server));
    server_unref(&server);

    server = server_find(STR("web"), STR("a"), &url, none);
    ck_assert_ptr_eq(server, held);
    ck_assert_uint_eq(server->in_flight, 1);
    ck_assert_ptr_null(server_find(STR("we"), STR("ba"), &url, none));
    ck_assert_ptr_null(server_find(STR("web"), STR("b"), &url, none));
    ck_assert_ptr_null(server_find(STR("web"), STR("a"), &other, none));
    ck_assert_ptr_null(server_find(STR("web"), STR("a"), &url, STR("name.example")));
    server_release(server);
    server_unref(&server);
    server_unref(&held);
    ck_assert_ptr_null(server_find(STR("web"), STR("a"), &url, none));
}

/* A request's end on one thread, a generation on another: each finds it alive, or not at all. */
static void *find_again(void *arg)
{
    unsigned *found = arg;
    char text[128];
    struct weir_url url = url_of("http", "127.0.0.1", 3001, "/x", text);
    for (unsigned i = 0; i < 20000; i++) {
        struct server *server = server_find(STR("web"), STR("a"), &url, (struct weir_str){NULL, 0});
        if (server != NULL) {
            *found += server->loops == 2;
            server_unref(&server);
        }
    }
    return NULL;
}

UNIT_TEST(finding_and_ending_at_once)
{
    pthread_t thread;
    unsigned found = 0;
    ck_assert_int_eq(pthread_create(&thread, NULL, find_again, &found), 0);
    for (unsigned i = 0; i < 2000; i++) {
        struct server *server = make("http", "127.0.0.1");
        server_unref(&server);
    }
    pthread_join(thread, NULL);
}

UNIT_TIMEOUT(30);
