/* SPDX-License-Identifier: MIT */
/*
 * Configuration of the fake host: the language, the tables, where mistakes are placed, and the
 * order of the hooks around it.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "mock_module.h"
#include "runner.h"

static struct weir_test *host;

static void setup(void)
{
    host = mock_host();
}

static void teardown(void)
{
    ck_assert(weir_test_free(&host));
}

static const struct mock_conf *conf_of(const char *text)
{
    struct weir_test_block *block = weir_test_conf_in(host, WEIR_CONTEXT_POOL, text);
    ck_assert_msg(block != NULL, "%s", weir_test_mistakes(host));
    ck_assert_str_eq(weir_test_mistakes(host), "");
    return weir_test_block_conf(block);
}

static void refused(const char *text, const char *mistakes)
{
    ck_assert_ptr_null(weir_test_conf_in(host, WEIR_CONTEXT_POOL, text));
    ck_assert_str_eq(weir_test_mistakes(host), mistakes);
}

UNIT_TEST(defaults_are_set)
{
    const struct mock_conf *conf = conf_of("");
    ck_assert_str_eq(conf->name.ptr, "weir session");
    ck_assert_uint_eq(conf->ttl_ns, UINT64_C(3600000000000));
    ck_assert_int_eq(conf->mode, 1);
    ck_assert_uint_eq(conf->codes.count, 2);
    ck_assert_int_eq(((const int64_t *)conf->codes.items)[1], 204);
    ck_assert_uint_eq(conf->rules.count, 0);
}

UNIT_TEST(the_language_is_that_of_the_files)
{
    setenv("WEIR_TEST_TTL", "2m", 1);
    unsetenv("WEIR_TEST_UNSET");
    const struct mock_conf *conf =
        conf_of("# a comment\n"
                "name = \"a \\\"b\\\" \\\\ \\t\\${x} ${WEIR_TEST_UNSET:-d}\" // another\n"
                "ttl = ${WEIR_TEST_TTL}  mode = \"slow\" /* over\n two lines */\n"
                "codes = { 1,\n 2, -3, }\n"
                "rule \"/api\" { pool = http://a/b#c  strip = off hosts = {\"a\", b} }\n"
                "rule \"/\" { pool = web }\n"
                "inner { depth = 9 }");
    ck_assert_str_eq(conf->name.ptr, "a \"b\" \\ \t${x} d");
    ck_assert_uint_eq(conf->ttl_ns, UINT64_C(120000000000));
    ck_assert_int_eq(conf->mode, 0);
    ck_assert_uint_eq(conf->codes.count, 3);
    ck_assert_int_eq(((const int64_t *)conf->codes.items)[2], -3);
    ck_assert_uint_eq(conf->rules.count, 2);
    const struct mock_rule *rules = conf->rules.items;
    ck_assert_str_eq(rules[0].title.ptr, "/api");
    ck_assert_str_eq(rules[0].pool.ptr, "http://a/b#c");
    ck_assert(!rules[0].strip && rules[1].strip);
    ck_assert_uint_eq(rules[0].hosts.count, 2);
    ck_assert_str_eq(((const struct weir_str *)rules[0].hosts.items)[1].ptr, "b");
    ck_assert_uint_eq(conf->inner.count, 1);
    ck_assert_int_eq(*(const int64_t *)conf->inner.items, 9);
}

UNIT_TEST(mistakes_have_lines_and_all_are_told)
{
    refused("name = x\nttll = 1h\n\nttl = 10x\nmode = fasst",
            "conf:2: unknown option `ttll` in `balance \"mock\"`; did you mean `ttl`?\n"
            "conf:4: ttl: `10x` is not a duration; write for example 250ms, 2s, 1m or 1h\n"
            "conf:5: mode: `fasst` is not one of slow, fast; did you mean `fast`?");
    refused("ttl = 2d", "conf:1: ttl: 2d is above the maximum of 1d");
    refused("ttl = 1h\nttl = 2h", "conf:2: `ttl` is given twice, first in line 1; take one away");
    refused("ttl = {1h}", "conf:1: ttl takes one value, a duration, not a list");
    refused("ttl { }", "conf:1: ttl is no block; write ttl = VALUE");
    refused("rule = x", "conf:1: rule is a block; write rule \"NAME\" { ... }");
    refused("codes = {1,\n two}",
            "conf:2: codes: `two` is not a whole number; write for example 10");
    refused("rule { pool = x }", "conf:1: rule needs a title; write rule \"NAME\" { ... }");
    refused("inner \"x\" { }", "conf:1: inner has no title; write inner { ... }");
    refused("inner { }\ninner { }",
            "conf:2: `inner` is given twice, first in line 1; take one away");
    refused("\nrule \"a\" { }", "conf:2: pool is missing in `rule \"a\"`; add: pool = ...");
    refused("rule \"\" { pool = x }", "conf:1: rule needs a title; write rule \"NAME\" { ... }");
    refused("inner { depth = 10 }", "conf:1: depth: 10 is above the maximum of 9");
    refused(
        "key = k",
        "conf:1: key cannot stand in `balance \"mock\"`; it belongs into: a block of a listener");
}

/* What the words are is core/conf's to say and to test. */
static void refused_in_line_1(const char *text)
{
    ck_assert_ptr_null(weir_test_conf_in(host, WEIR_CONTEXT_POOL, text));
    ck_assert_msg(strncmp(weir_test_mistakes(host), "conf:1: ", 8) == 0, "%s",
                  weir_test_mistakes(host));
}

UNIT_TEST(wrong_syntax_is_told)
{
    refused_in_line_1("name = \"x");
    refused_in_line_1("name = \"\\q\"");
    refused_in_line_1("name x");
    refused_in_line_1("name =");
    refused_in_line_1("name = ,");
    refused_in_line_1("}");
    refused_in_line_1("inner {");
    refused_in_line_1("/* x");
    refused_in_line_1("codes = {1 2}");
    refused_in_line_1("= 1");
    unsetenv("WEIR_TEST_UNSET");
    refused_in_line_1("name = ${WEIR_TEST_UNSET}");
    refused_in_line_1("name = \"${1-}\"");
}

UNIT_TEST(titles_may_be_alike)
{
    /* Two rules may have one path and other hosts: the module decides. */
    ck_assert_uint_eq(conf_of("rule \"/\" { pool = a }\nrule \"/\" { pool = b }")->rules.count, 2);
}

UNIT_TEST(a_block_starts_from_the_module_block)
{
    ck_assert_ptr_nonnull(
        weir_test_conf_in(host, WEIR_CONTEXT_MODULE, "name = base  ttl = 1m codes = {7}"));
    const struct mock_conf *conf = conf_of("ttl = 2m");
    ck_assert_str_eq(conf->name.ptr, "base");
    ck_assert_uint_eq(conf->ttl_ns, UINT64_C(120000000000));
    ck_assert_uint_eq(conf->codes.count, 1);
    ck_assert_uint_eq(mock.conf_creates, 2);
}

UNIT_TEST(required_options_are_demanded_where_they_may_stand)
{
    ck_assert_ptr_null(weir_test_conf_in(host, WEIR_CONTEXT_LISTENER, ""));
    ck_assert_str_eq(weir_test_mistakes(host),
                     "conf:1: key is missing in `handler \"mock\"`; add: key = ...");
    ck_assert_ptr_nonnull(weir_test_conf_in(host, WEIR_CONTEXT_LISTENER, "key = k"));
}

static void check_pools(struct weir_context *ctx, struct weir_check *check,
                        const struct mock_conf *conf)
{
    const struct mock_rule *rules = conf->rules.items;
    for (size_t i = 0; i < conf->rules.count; i++) {
        weir_check_pool(ctx, check, &rules[i].pool);
        weir_check_route(ctx, check, &rules[i].title, rules[i].title);
        if (!rules[i].strip) {
            weir_check_error(ctx, check, &rules[i].strip, "rule \"%s\" must strip",
                             rules[i].title.ptr);
        }
        if (rules[i].hosts.count == 1) {
            weir_check_error(ctx, check, &rules[i].hosts, "one host is too few");
        }
    }
    if (conf->codes.count == 0) {
        weir_check_error(ctx, check, NULL, "no code");
    }
}

UNIT_TEST(mistakes_of_conf_create_are_placed)
{
    mock.check = check_pools;
    weir_test_add_pool(host, "api_servers");
    weir_test_add_pool(host, "web_servers");
    refused("rule \"/a\" { pool = api_server }\n"
            "rule \"/c\" {\n pool = web_servers\n strip = off\n}\n"
            "rule \"/b\" {\n pool = nowhere\n hosts = {\n x } }\n"
            "codes = {}",
            "conf:1: there is no pool `api_server`; did you mean `api_servers`?\n"
            "conf:4: rule \"/c\" must strip\n"
            "conf:7: there is no pool `nowhere`\n"
            "conf:8: one host is too few\n"
            "conf:1: no code");
    ck_assert_uint_eq(mock.conf_frees, 1);
}

static void check_twice(struct weir_context *ctx, struct weir_check *check,
                        const struct mock_conf *conf)
{
    const struct mock_rule *rules = conf->rules.items;
    for (size_t i = 0; i < conf->rules.count; i++) {
        weir_check_route(ctx, check, &rules[i], rules[i].title);
        /* A field that was not set is placed at its block. */
        ck_assert_uint_eq(weir_check_route(ctx, check, &rules[i].hosts, rules[i].title),
                          WEIR_NO_REF);
    }
}

UNIT_TEST(routes_of_one_name_are_mistakes)
{
    mock.check = check_twice;
    refused("\nrule \"/a\" {\n pool = x\n}", "conf:2: there is already a route `/a`");
}

UNIT_TEST(secrets_and_paths_are_as_in_weir)
{
    char path[] = "/tmp/weir-sdk-XXXXXX";
    char text[128];
    int fd = mkstemp(path);
    ck_assert_int_ne(fd, -1);
    ck_assert_int_eq(write(fd, "hunter2\n", 8), 8);
    close(fd);
    snprintf(text, sizeof(text), "secret = \"@%s\" log = app.log", path);
    const struct mock_conf *conf = conf_of(text);
    ck_assert_str_eq(conf->secret.ptr, "hunter2");
    ck_assert_str_eq(conf->log.ptr, "/etc/weir/app.log");
    unlink(path);
    ck_assert_ptr_null(weir_test_conf_in(host, WEIR_CONTEXT_POOL, text));
    conf = conf_of("secret = \"@@home\" log = /var/log/x");
    ck_assert_str_eq(conf->secret.ptr, "@home");
    ck_assert_str_eq(conf->log.ptr, "/var/log/x");
    ck_assert_str_eq(conf_of("log = -")->log.ptr, "-");
}

UNIT_TEST(routes_and_pools_have_refs)
{
    mock.check = check_pools;
    weir_pool_ref pool = weir_test_add_pool(host, "web");
    ck_assert_str_eq(weir_test_pool_name(host, pool), "web");
    ck_assert_ptr_null(weir_test_pool_name(host, pool + 1));
    ck_assert_ptr_null(weir_test_pool_name(host, WEIR_NO_REF));
    conf_of("rule \"/a\" { pool = web } rule \"/b\" { pool = web }");
    ck_assert_uint_eq(weir_test_route_count(host), 2);
    ck_assert_str_eq(weir_test_route_name(host, 1), "/b");
    /* A second configuration may name them again, as a reload does. */
    conf_of("rule \"/a\" { pool = web }");
}

UNIT_TEST(a_refused_conf_create_refuses)
{
    ck_assert_ptr_nonnull(weir_test_conf_in(host, WEIR_CONTEXT_MODULE, ""));
    mock.conf_create = WEIR_ERROR;
    refused("", "conf:0: conf_create returned -3");
    ck_assert_uint_eq(mock.conf_frees, 0);
}

UNIT_TEST(hooks_come_in_order)
{
    struct weir_test_instance *balancer = mock_instance(host, WEIR_TEST_BALANCER);
    ck_assert_ptr_nonnull(mock_instance(host, WEIR_TEST_STICKY));
    weir_test_set_worker(host, 1, 2);
    ck_assert_ptr_nonnull(mock_instance(host, WEIR_TEST_BALANCER));
    ck_assert_uint_eq(mock.worker_index, 1);
    ck_assert_uint_eq(weir_worker_index(weir_test_instance_context(balancer)), 0);
    weir_test_destroy(&balancer);
    ck_assert_ptr_null(balancer);
    ck_assert(weir_test_free(&host));
    /* load; module block, block, worker, instance; block, instance; block, worker, instance; one is
     * destroyed early; then the newest goes first. */
    ck_assert_str_eq(mock.trace, "lccwicicwidddWWffff");
    host = mock_host();
}

UNIT_TEST(failing_starts_give_no_instance)
{
    struct weir_test_block *block = weir_test_conf_in(host, WEIR_CONTEXT_POOL, "");
    mock.worker_start = WEIR_ERROR;
    ck_assert_ptr_null(weir_test_create(host, WEIR_TEST_BALANCER, block));
    mock.worker_start = WEIR_OK;
    mock.create = WEIR_NO_MEMORY;
    ck_assert_ptr_null(weir_test_create(host, WEIR_TEST_BALANCER, block));
    weir_test_block_free(&block);
    ck_assert_uint_eq(mock.destroys, 0);
    ck_assert_uint_eq(mock.conf_frees, 1);
}

UNIT_TEST(changed_options_are_a_problem)
{
    struct weir_test_block *block = weir_test_conf_in(host, WEIR_CONTEXT_POOL, "");
    struct mock_conf *conf = (struct mock_conf *)(uintptr_t)weir_test_block_conf(block);
    conf->ttl_ns++;
    weir_test_block_free(&block);
    ck_assert_uint_eq(weir_test_problem_count(host), 1);
    ck_assert_ptr_nonnull(strstr(weir_test_problems(host), "changed its options"));
    weir_test_forgive(host);
}

static struct weir_listener seen;
static void *kept[2];

static void look_around(struct weir_context *ctx, struct weir_check *check,
                        const struct mock_conf *conf)
{
    (void)conf;
    seen = (struct weir_listener){{NULL, 0}, NULL, 0, false};
    if (weir_check_listener(ctx, check, &seen)) {
        kept[0] = weir_shared(ctx, "sessions", 100);
        kept[1] = weir_shared(ctx, "sessions", 101);
    }
}

UNIT_TEST(a_block_knows_its_listener)
{
    static const char *const addresses[] = {"0.0.0.0:1", "unix:/run/x", "[::1]:2", NULL};
    mock.check = look_around;
    ck_assert_ptr_nonnull(weir_test_conf_in(host, WEIR_CONTEXT_POOL, ""));
    ck_assert_uint_eq(seen.bind_count, 0);
    ck_assert_ptr_nonnull(weir_test_conf_in(host, WEIR_CONTEXT_LISTENER, "key = k"));
    ck_assert_uint_eq(seen.bind_count, 1);
    ck_assert(seen.binds[0].loopback && !seen.tls);
    weir_test_set_listener(host, addresses, true);
    ck_assert_ptr_nonnull(weir_test_conf_in(host, WEIR_CONTEXT_LISTENER, "key = k"));
    ck_assert_uint_eq(seen.bind_count, 3);
    ck_assert(seen.tls && !seen.binds[0].loopback && !seen.binds[0].unix_socket);
    ck_assert(seen.binds[1].unix_socket && !seen.binds[1].loopback && seen.binds[2].loopback);
}

UNIT_TEST(shared_memory_outlives_its_block)
{
    mock.check = look_around;
    struct weir_test_block *block = weir_test_conf_in(host, WEIR_CONTEXT_LISTENER, "key = k");
    char *bytes = kept[0];
    ck_assert_ptr_ne(kept[0], kept[1]);
    ck_assert_int_eq(bytes[99], 0);
    bytes[99] = 7;
    weir_test_block_free(&block);
    block = weir_test_conf_in(host, WEIR_CONTEXT_LISTENER, "key = k");
    ck_assert_ptr_nonnull(block);
    ck_assert_ptr_eq(kept[0], bytes);
    ck_assert_int_eq(bytes[99], 7);
}

UNIT_FIXTURE(setup, teardown);
