/* SPDX-License-Identifier: MIT */
/*
 * route_path: what it tells of its rules, for paths, hosts and many routes; against the lookup.
 */
#include "test_route_path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is told of rules ---- */

#define SHOWN 50

struct told {
    const char *name;
    enum weir_rule_verdict verdict;
    const char *why;
};

/* All rules that are told, in order; a NULL name ends them. */
static void expect_told(struct weir_test *host, struct weir_test_instance *r, const char *name,
                        const char *target, const struct told *rows)
{
    struct weir_request *req = request(host, name, target);
    size_t count = 0;
    weir_test_explain(r, req, SHOWN);
    for (; rows[count].name != NULL; count++) {
        const struct weir_test_rule *rule = weir_test_rule_at(host, count);
        ck_assert_msg(rule != NULL, "%s%s: %s is not told", name, target, rows[count].name);
        ck_assert_str_eq(rule->name, rows[count].name);
        ck_assert_str_eq(rule->why, rows[count].why);
        ck_assert_int_eq(rule->verdict, rows[count].verdict);
    }
    ck_assert_uint_eq(weir_test_rule_count(host), count);
    ck_assert_uint_eq(weir_test_rules_left_out(host), 0);
    weir_test_request_free(&req);
}

#define DIFFERS WEIR_RULE_DIFFERS
#define FITS    WEIR_RULE_FITS
#define WINS    WEIR_RULE_WINS

UNIT_TEST(paths_are_explained)
{
    struct weir_test *host = begin();
    struct weir_test_instance *r = router(host, "route \"/\" { pool = root }\n"
                                                "route \"/%61pi/\" { pool = api }\n"
                                                "route \"/api/v2\" { pool = v2 }\n"
                                                "route \"/api\" { pool = exact  exact = on }");
    expect_told(host, r, "a", "/api/v2/x",
                (const struct told[]){
                    {"/api (exact)", DIFFERS, "only the path itself, not what is below it"},
                    {"/api/v2", WINS, "the longest prefix"},
                    {"/api", FITS, "a longer prefix won"},
                    {"/", FITS, "a longer prefix won"},
                    {.name = NULL},
                });
    expect_told(host, r, "a", "/api",
                (const struct told[]){
                    {"/api (exact)", WINS, "the path itself"},
                    {"/api/v2", DIFFERS, "another path"},
                    {"/api", FITS, "the exact path won"},
                    {"/", FITS, "the exact path won"},
                    {.name = NULL},
                });
    expect_told(host, r, "a", "/apix",
                (const struct told[]){
                    {"/api (exact)", DIFFERS, "another path"},
                    {"/api/v2", DIFFERS, "another path"},
                    {"/api", DIFFERS, "another path"},
                    {"/", WINS, "the longest prefix"},
                    {.name = NULL},
                });
    test_end(&host);
}

UNIT_TEST(hosts_are_explained)
{
    struct weir_test *host = begin();
    struct weir_test_instance *r =
        router(host, "route \"/api\" { pool = api }\n"
                     "route \"/\" { pool = wild  host = {\"*.example\"} }\n"
                     "route \"/\" { pool = deep  host = {\"*.b.example\", \"other.test\"} }\n"
                     "route \"/x\" { pool = shop  host = {\"Shop.Example\"} }\n"
                     "default = root");
    expect_told(host, r, "shop.example", "/api",
                (const struct told[]){
                    {"Shop.Example/x", DIFFERS, "another path"},
                    {"*.b.example,other.test/", DIFFERS, "host differs"},
                    {"*.example/", WINS, "its host, and the longest prefix"},
                    {"/api", FITS, "a nearer host won"},
                    {"default", FITS, "a route fits"},
                    {.name = NULL},
                });
    expect_told(host, r, "a.b.example", "/",
                (const struct told[]){
                    {"Shop.Example/x", DIFFERS, "host and path differ"},
                    {"*.b.example,other.test/", WINS, "its host, and the longest prefix"},
                    {"*.example/", FITS, "a nearer host won"},
                    {"/api", DIFFERS, "another path"},
                    {"default", FITS, "a route fits"},
                    {.name = NULL},
                });
    expect_told(host, r, "", "/y",
                (const struct told[]){
                    {"Shop.Example/x", DIFFERS, "host and path differ"},
                    {"*.b.example,other.test/", DIFFERS, "host differs"},
                    {"*.example/", DIFFERS, "host differs"},
                    {"/api", DIFFERS, "another path"},
                    {"default", WINS, "no route fits"},
                    {.name = NULL},
                });
    test_end(&host);
}

UNIT_TEST(no_route_is_explained)
{
    struct weir_test *host = begin();
    struct weir_test_instance *r = router(host, "route \"/a\" { pool = api }");
    expect_told(host, r, "a", "/b",
                (const struct told[]){{"/a", DIFFERS, "another path"}, {.name = NULL}});
    r = router(host, "");
    expect_told(host, r, "a", "/b", (const struct told[]){{.name = NULL}});
    r = router(host, "default = root");
    expect_told(host, r, "a", "/b",
                (const struct told[]){{"default", WINS, "no route fits"}, {.name = NULL}});
    r = router(host, "route \"/\" { redirect = \"https://{host}/\" }");
    expect_told(host, r, "", "/b",
                (const struct told[]){{"/", WINS, "the longest prefix"}, {.name = NULL}});
    test_end(&host);
}

/* Of many rules the nearest are told: those that fit, and what nearly does. */
UNIT_TEST(many_routes_are_explained_by_the_nearest)
{
    struct weir_test *host = begin();
    size_t size = (size_t)SOME * 80;
    char *conf = malloc(size);
    size_t len = (size_t)snprintf(conf, size,
                                  "route \"/\" { pool = root  host = {\"near\"} }\n"
                                  "default = root\n");
    for (uint32_t i = 0; i < SOME; i++) {
        len += (size_t)snprintf(conf + len, size - len, "route \"/s%u/x\" { pool = api%s }\n",
                                i / 2, i % 2 == 0 ? "" : "  exact = on  host = {\"far\"}");
    }
    struct weir_test_instance *r = router(host, conf);
    struct weir_request *req = request(host, "near", "/s77/x/y");
    weir_test_explain(r, req, 5);
    ck_assert_uint_eq(weir_test_rule_count(host), 5);
    ck_assert_uint_eq(weir_test_rules_left_out(host), SOME + 1 - 4);
    ck_assert_str_eq(weir_test_rule_at(host, 0)->name, "near/");
    ck_assert_int_eq(weir_test_rule_at(host, 0)->verdict, WEIR_RULE_WINS);
    ck_assert_str_eq(weir_test_rule_at(host, 1)->name, "/s100/x");
    ck_assert_str_eq(weir_test_rule_at(host, 3)->name, "/s77/x");
    ck_assert_str_eq(weir_test_rule_at(host, 3)->why, "a nearer host won");
    ck_assert_str_eq(weir_test_rule_at(host, 4)->name, "default");
    /* However few are asked for, the winner is among them. */
    weir_test_explain(r, req, 2);
    ck_assert_int_eq(weir_test_rule_at(host, 0)->verdict, WEIR_RULE_WINS);
    free(conf);
    test_end(&host);
}

/* ---- against the lookup ---- */

/* Routes on a few segments and hosts, so that many of them meet. */
static void random_routes(uint64_t *random, char *conf, size_t size)
{
    static const char *const hosts[] = {"", "\"a.example\"", "\"*.example\"", "\"*.a.example\"",
                                        "\"b.test\""};
    size_t len = 0;

    conf[0] = '\0';
    for (uint32_t i = 0; i < 24; i++) {
        char path[32] = "/";
        char route[128];
        size_t at = 0;
        for (uint32_t depth = test_random(random, 4); depth > 0; depth--) {
            at += (size_t)sprintf(path + at, "/%u", test_random(random, 2));
        }
        snprintf(route, sizeof(route), "route \"%s\" { pool = api  host = {%s}  exact = %s }\n",
                 path, hosts[test_random(random, 5)], test_random(random, 3) == 0 ? "on" : "off");
        if (strstr(conf, route) == NULL) { /* or it would be refused */
            len += (size_t)snprintf(conf + len, size - len, "%s", route);
        }
    }
}

static struct weir_request *random_request(uint64_t *random, struct weir_test *host)
{
    static const char *const hosts[] = {"a.example", "x.a.example", "b.test", "c.example",
                                        "c.test"};
    char target[32];
    snprintf(target, sizeof(target), "/%u/%u/%u", test_random(random, 2), test_random(random, 2),
             test_random(random, 3));
    target[2 * test_random(random, 4)] = '\0';
    return request(host, hosts[test_random(random, 5)], target[0] != '\0' ? target : "/");
}

/* The rules are judged one by one, the lookup knows nothing of that: the winner is the first
 * that fits. */
UNIT_TEST(the_winner_is_the_first_that_fits)
{
    char conf[4096];
    uint64_t random = 5;
    for (uint32_t turn = 0; turn < 40; turn++) {
        struct weir_test *host = begin();
        random_routes(&random, conf, sizeof(conf));
        struct weir_test_instance *r = router(host, conf);
        for (uint32_t i = 0; i < 50; i++) {
            struct weir_request *req = random_request(&random, host);
            bool winner_to_come = weir_test_explain(r, req, SHOWN) == WEIR_OK;
            for (size_t j = 0; weir_test_rule_at(host, j) != NULL; j++) {
                enum weir_rule_verdict verdict = weir_test_rule_at(host, j)->verdict;
                if (verdict != WEIR_RULE_DIFFERS) {
                    ck_assert_int_eq(verdict, winner_to_come ? WEIR_RULE_WINS : WEIR_RULE_FITS);
                    winner_to_come = false;
                }
            }
            ck_assert(!winner_to_come);
            weir_test_request_free(&req);
        }
        test_end(&host);
    }
}

UNIT_TIMEOUT(60);
