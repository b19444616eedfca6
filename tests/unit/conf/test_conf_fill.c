/* SPDX-License-Identifier: MIT */
/* Filling: types, defaults, blocks, copies, files of secrets, places, and every kind of mistake. */
#include "runner.h"

#include "conf/conf.h"
#include "temporary.h"

struct tls {
    struct weir_str certificate;
    int32_t version;
};

struct server {
    struct weir_str id;
    struct weir_url url;
    int64_t weight;
    bool backup;
};

struct pool {
    struct weir_list tls;
    struct weir_list servers;
    struct weir_list expect;
    struct weir_list limits;
    struct weir_str secret;
    struct weir_str folder;
    struct weir_list files;
    struct weir_str host;
    uint64_t timeout;
    double budget;
    int64_t retries;
};

static const char *const versions[] = {"1.2", "1.3", NULL};

static const struct weir_option tls_rows[] = {
    WEIR_OPTION(struct tls, certificate, STRING, NULL, WEIR_CONTEXT_LISTENER,
                WEIR_OPTION_REQUIRED | WEIR_OPTION_PATH, "The certificate's file."),
    WEIR_OPTION_ENUM(struct tls, version, versions, "1.2", WEIR_CONTEXT_LISTENER, 0, "Oldest."),
};
static const struct weir_options tls_options = WEIR_OPTIONS(struct tls, tls_rows);

static const struct weir_option server_rows[] = {
    WEIR_OPTION(struct server, url, URL, NULL, WEIR_CONTEXT_SERVER, WEIR_OPTION_REQUIRED, "Where."),
    WEIR_OPTION_RANGE(struct server, weight, INTEGER, "1", "0", "256", WEIR_CONTEXT_SERVER, 0,
                      "Share."),
    WEIR_OPTION(struct server, backup, BOOLEAN, "off", WEIR_CONTEXT_SERVER, 0, "Last resort."),
};
static const struct weir_options server_options =
    WEIR_OPTIONS_TITLED(struct server, server_rows, id);

#define BOTH (WEIR_CONTEXT_MODULE | WEIR_CONTEXT_POOL)

static const struct weir_option pool_rows[] = {
    WEIR_OPTION_BLOCK(struct pool, tls, "tls", &tls_options, BOTH, WEIR_OPTION_UNTITLED, "TLS."),
    WEIR_OPTION_BLOCK(struct pool, servers, "server", &server_options, BOTH, 0, "A server."),
    WEIR_OPTION_LIST(struct pool, expect, STRING, "{\"200-399\", \"404\"}", BOTH, 0, "Statuses."),
    WEIR_OPTION_LIST(struct pool, limits, SIZE, NULL, BOTH, 0, "Sizes."),
    WEIR_OPTION(struct pool, secret, STRING, NULL, BOTH, WEIR_OPTION_SECRET, "Key."),
    WEIR_OPTION(struct pool, folder, STRING, "state", BOTH, WEIR_OPTION_PATH, "Folder."),
    WEIR_OPTION_LIST(struct pool, files, STRING, NULL, BOTH, WEIR_OPTION_PATH, "Files."),
    WEIR_OPTION(struct pool, host, STRING, NULL, BOTH, WEIR_OPTION_REQUIRED, "Host."),
    WEIR_OPTION_RANGE(struct pool, timeout, DURATION, "30s", "1ms", "1h", BOTH, 0, "Patience."),
    WEIR_OPTION(struct pool, budget, PERCENTAGE, "20%", WEIR_CONTEXT_POOL, 0, "Budget."),
    WEIR_OPTION(struct pool, retries, INTEGER, "2", WEIR_CONTEXT_MODULE, 0, "Retries."),
};
static const struct weir_options pool_options = WEIR_OPTIONS(struct pool, pool_rows);

static struct arena arena;
static struct mistakes mistakes;
static struct conf_tree tree;
static struct conf_fill fill;
static struct pool pool;
static const char *folder;

static void set_up(void)
{
    arena_init(&arena, NULL, 0);
    memset(&pool, 0, sizeof(pool));
    fill = (struct conf_fill){&arena, conf_places_new(&arena), &mistakes,
                              WEIR_CONTEXT_POOL | WEIR_CONTEXT_GLOBAL};
    folder = temporary_folder();
}

static void tear_down(void)
{
    mistakes_free(&mistakes);
    arena_reset(&arena);
    temporary_remove(folder);
}

/* Fills `pool` from the top level of the text, which stands in the file p.conf of the folder. */
static bool fill_text(const char *text, bool defaults)
{
    const struct conf_target target = {&pool_options, &pool};
    static const char *const known[] = {"health", NULL};

    mistakes_free(&mistakes);
    ck_assert(conf_read_text(&tree, &arena, temporary_path(folder, "p.conf"), text, strlen(text),
                             &mistakes));
    return conf_fill_block(&fill, &tree.root, &target, 1, known, defaults);
}

static void fill_well(const char *text)
{
    bool ok = fill_text(text, true);
    ck_assert_msg(ok, "%s", mistakes.count > 0 ? mistakes.texts[0] : "no mistake, and yet false");
    ck_assert_uint_eq(mistakes.count, 0);
}

static void expect_only(const char *text, const char *mistake)
{
    memset(&pool, 0, sizeof(pool));
    ck_assert_msg(!fill_text(text, true), "no mistake in: %s", text);
    ck_assert_msg(strstr(mistakes.texts[0], mistake) != NULL, "it is: %s\nnot: %s",
                  mistakes.texts[0], mistake);
    ck_assert_msg(mistakes.count == 1, "also: %s", mistakes.count > 1 ? mistakes.texts[1] : "");
}

static void expect_list(const struct weir_list *list, const char *const *texts, size_t count)
{
    const struct weir_str *items = list->items;

    ck_assert_uint_eq(list->count, count);
    for (size_t i = 0; i < count; i++) {
        ck_assert_str_eq(items[i].ptr, texts[i]);
    }
}

UNIT_TEST(defaults_of_all_rows)
{
    fill_well("host = h");
    expect_list(&pool.expect, (const char *[]){"200-399", "404"}, 2);
    ck_assert_uint_eq(pool.timeout, 30 * NS_PER_SECOND);
    ck_assert_double_eq_tol(pool.budget, 0.2, 1e-9);
    /* Also of what can only stand elsewhere: other blocks start from a copy. */
    ck_assert_int_eq(pool.retries, 2);
    ck_assert_str_eq(pool.folder.ptr, temporary_path(folder, "state"));
    ck_assert_uint_eq(pool.servers.count, 0);
    ck_assert_ptr_null(pool.secret.ptr);
}

UNIT_TEST(blocks_become_arrays)
{
    fill_well(
        "server \"a\" { url = \"http://127.0.0.1:3001\" weight = 7 }\nhost = h\n"
        "tls { certificate = \"c.pem\" version = \"1.3\" }\n"
        "server \"b\" { url = \"https://h\" backup = on }\nhealth \"http\" { anything = 1 }\n");
    const struct server *servers = pool.servers.items;
    ck_assert_uint_eq(pool.servers.count, 2);
    ck_assert_str_eq(servers[0].id.ptr, "a");
    ck_assert_uint_eq(servers[0].url.port, 3001);
    ck_assert_int_eq(servers[0].weight, 7);
    ck_assert_str_eq(servers[1].id.ptr, "b");
    ck_assert_int_eq(servers[1].weight, 1);
    ck_assert(servers[1].backup);
    ck_assert_uint_eq(servers[1].url.tls, 1);
    const struct tls *tls = pool.tls.items;
    ck_assert_uint_eq(pool.tls.count, 1);
    ck_assert_int_eq(tls->version, 1);
    ck_assert_str_eq(tls->certificate.ptr, temporary_path(folder, "c.pem"));
}

UNIT_TEST(lists_of_values)
{
    fill_well("host = h expect = {\"200\", 204}\nlimits = {1k, 2m}\nfiles = {a, \"/b\", -}");
    expect_list(&pool.expect, (const char *[]){"200", "204"}, 2);
    const uint64_t *limits = pool.limits.items;
    ck_assert_uint_eq(limits[0], 1024);
    ck_assert_uint_eq(limits[1], 2 << 20);
    expect_list(&pool.files, (const char *[]){temporary_path(folder, "a"), "/b", "-"}, 3);
    /* One value is a list of one; an empty list replaces the default. */
    fill_well("host = h expect = \"500\"");
    expect_list(&pool.expect, (const char *[]){"500"}, 1);
    fill_well("host = h expect = {}");
    ck_assert_uint_eq(pool.expect.count, 0);
}

UNIT_TEST(a_copy_is_overridden_only_where_it_is_said)
{
    fill.context = WEIR_CONTEXT_MODULE;
    fill_well("timeout = 5s retries = 9 expect = {\"1\"}");
    fill.context = WEIR_CONTEXT_POOL;
    ck_assert(fill_text("host = h timeout = 7s", false));
    ck_assert_uint_eq(pool.timeout, 7 * NS_PER_SECOND);
    ck_assert_int_eq(pool.retries, 9);
    expect_list(&pool.expect, (const char *[]){"1"}, 1);
    ck_assert_str_eq(pool.host.ptr, "h");
}

UNIT_TEST(required_may_come_from_the_copy)
{
    fill.context = WEIR_CONTEXT_MODULE;
    fill_well("host = h"); /* and a module's block may leave it to others: */
    fill.context = WEIR_CONTEXT_POOL;
    ck_assert(fill_text("timeout = 7s", false));
    memset(&pool, 0, sizeof(pool));
    fill.context = WEIR_CONTEXT_MODULE;
    fill_well("timeout = 1s");
    fill.context = WEIR_CONTEXT_POOL;
    ck_assert(!fill_text("timeout = 7s", false));
    ck_assert_ptr_nonnull(
        strstr(mistakes.texts[0], "host is missing at the top level; add: host ="));
}

UNIT_TEST(secrets_from_files)
{
    temporary_write(temporary_path(folder, "key"), "s3cret word\r\n");
    fill_well("host = h secret = \"@key\"");
    ck_assert_str_eq(pool.secret.ptr, "s3cret word");
    ck_assert_uint_eq(pool.secret.len, strlen("s3cret word"));
    fill_well("host = h secret = \"@@home\"");
    ck_assert_str_eq(pool.secret.ptr, "@home");
    fill_well("host = h secret = \"plain\"");
    ck_assert_str_eq(pool.secret.ptr, "plain");
    temporary_write(temporary_path(folder, "key"), "");
    fill_well("host = h secret = \"@key\"");
    ck_assert_uint_eq(pool.secret.len, 0);
    expect_only("host = h secret = \"@nokey\"", "secret: cannot read the secret from ");
    expect_only("host = h\nsecret = \"@nokey\"", "/nokey: No such file");
    temporary_write(temporary_path(folder, "key"), "x");
    ck_assert_int_eq(truncate(temporary_path(folder, "key"), 70000), 0);
    expect_only("host = h secret = \"@key\"", "it has more than 64 KiB");
}

UNIT_TEST(each_mistake)
{
    static const struct {
        const char *text;
        const char *mistake;
    } cases[] = {
        {"host = h\nretires = 1", "p.conf:2: unknown option `retires` at the top level"},
        {"host = h tiemout = 1s",
         "p.conf:1: unknown option `tiemout` at the top level; did you mean "
         "`timeout`?"},
        {"host = h heatlh \"x\" {}",
         "unknown block `heatlh` at the top level; did you mean `health`?"},
        {"host = h zzzzzzzz = 1",
         "; known here: tls, server, expect, limits, secret, folder, files, "
         "host, timeout, budget, health"},
        {"host = h retries = 1", "retries cannot stand at the top level; it belongs into: a module "
                                 "block"},
        {"timeout = 1s", "host is missing at the top level; add: host = ..."},
        {"host = h\ntimeout = 1s\ntimeout = 2s",
         "p.conf:3: `timeout` is given twice, first in line 2"},
        {"host = h timeout = 10", "timeout: `10` has no unit"},
        {"host = h timeout = 2h", "timeout: 2h is above the maximum of 1h"},
        {"host = {a, b}", "host takes one value, a string, not a list"},
        {"host = h host2 { }", "unknown block `host2` at the top level; did you mean `host`?"},
        {"host = h timeout { }", "timeout is no block; write timeout = VALUE"},
        {"host = h expect { }", "expect is no block; write expect = { ... }"},
        {"host = h server = 1", "server is a block; write server \"NAME\" { ... }"},
        {"host = h health = 1", "health is a block; write health \"NAME\" { ... }"},
        {"host = h tls = on", "tls is a block; write tls { ... }"},
        {"host = h limits = {1k,\n2x}", "p.conf:2: limits: `2x` is not a size"},
        {"host = h\nserver { url = \"http://h\" }",
         "p.conf:2: server needs a title; write server \"NAME\""},
        {"host = h server \"\" { url = \"http://h\" }", "server needs a title"},
        {"host = h tls \"x\" { certificate = c }", "tls has no title; write tls { ... }"},
        {"host = h tls { certificate = c }\ntls { certificate = d }",
         "p.conf:2: `tls` is given twice, first in line 1"},
        {"host = h\nserver \"a\" { url = \"http://h\" }\nserver \"b\" { url = \"http://h\" }\n"
         "server \"a\" { url = \"http://h\" }",
         "p.conf:4: `server \"a\"` is given twice, first in line 2"},
        {"host = h health \"x\" {}\nhealth \"x\" {}", "p.conf:2: `health \"x\"` is given twice"},
        {"host = h\nserver \"a\" {\n weight = 1 }",
         "p.conf:2: url is missing in `server \"a\"`; add: url"},
        {"host = h server \"a\" { url = \"http://h\"\nwieght = 1 }",
         "p.conf:2: unknown option `wieght` in `server \"a\"`; did you mean `weight`?"},
        {"host = h server \"a\" { url = \"http://h\" weight = 257 }",
         "weight: 257 is above the maximum"},
        {"host = h tls { certificate = c version = 1.1 }", "version: `1.1` is not one of 1.2, 1.3"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        expect_only(cases[i].text, cases[i].mistake);
    }
}

UNIT_TEST(titles_of_a_module_may_be_alike)
{
    fill.context = WEIR_CONTEXT_MODULE;
    fill_well("server \"/\" { url = \"http://a\" }\nserver \"/\" { url = \"http://b\" }");
    ck_assert_uint_eq(pool.servers.count, 2);
}

UNIT_TEST(all_mistakes_in_one_run)
{
    ck_assert(!fill_text("timeout = x\nbudget = y\nserver \"a\" { weight = z }\nfoo = 1\n", true));
    ck_assert_uint_eq(mistakes.count, 6); /* with the url and the host that are missing */
}

UNIT_TEST(what_reading_told_is_not_told_again)
{
    const struct conf_target target = {&pool_options, &pool};
    static const char text[] = "host =\ntimeout = \"x\nbudget = ${WEIR_NOT_SET_AT_ALL}\n"
                               "expect = {\"a\", \"\\q\"}\n";

    ck_assert(!conf_read_text(&tree, &arena, "p.conf", text, strlen(text), &mistakes));
    size_t told = mistakes.count;
    ck_assert_uint_eq(told, 4);
    ck_assert(!conf_fill_block(&fill, &tree.root, &target, 1, NULL, true));
    ck_assert_uint_eq(mistakes.count, told);
    ck_assert_uint_eq(pool.timeout, 30 * NS_PER_SECOND);
}

UNIT_TEST(places_of_fields)
{
    fill_well("host = h\nserver \"a\" {\n  url = \"http://h\"\n}\nlimits = {1k,\n 2k}\n");
    const struct server *server = pool.servers.items;
    const uint64_t *limits = pool.limits.items;
    ck_assert_uint_eq(conf_place_of(fill.places, &pool.host).line, 1);
    ck_assert_str_eq(conf_place_of(fill.places, &pool.host).file, temporary_path(folder, "p.conf"));
    ck_assert_uint_eq(conf_place_of(fill.places, &server->url).line, 3);
    ck_assert_uint_eq(conf_place_of(fill.places, &server->id).line, 2);
    /* Not set: where the block begins. */
    ck_assert_uint_eq(conf_place_of(fill.places, &server->weight).line, 2);
    ck_assert_uint_eq(conf_place_of(fill.places, &limits[1]).line, 6);
    ck_assert_uint_eq(conf_place_of(fill.places, &pool.limits).line, 5);
    ck_assert_uint_eq(conf_place_of(fill.places, &pool.timeout).line, 0);
    ck_assert_ptr_nonnull(conf_place_of(fill.places, &pool.timeout).file);
    ck_assert_ptr_null(conf_place_of(fill.places, NULL).file);
    ck_assert_ptr_null(conf_place_of(fill.places, &fill).file);
    ck_assert_ptr_null(conf_place_of(NULL, &pool.host).file);
}

UNIT_TEST(thousands_of_blocks)
{
    enum { COUNT = 20000 };
    char *text = base_zalloc(COUNT * 64), *end = text;

    end += sprintf(end, "host = h\n");
    for (int i = 0; i < COUNT; i++) {
        end += sprintf(end, "server \"s%d\" { url = \"http://10.0.0.1:80\" weight = %d }\n", i,
                       i % 256);
    }
    fill_well(text);
    const struct server *servers = pool.servers.items;
    ck_assert_uint_eq(pool.servers.count, COUNT);
    for (int i = 0; i < COUNT; i++) {
        ck_assert_int_eq(servers[i].weight, i % 256);
        ck_assert_uint_eq(conf_place_of(fill.places, &servers[i].weight).line, i + 2);
    }
    free(text);
}

UNIT_TEST(several_targets_share_a_block)
{
    struct server server = {.weight = 0};
    const struct conf_target targets[] = {{&pool_options, &pool}, {&server_options, &server}};
    static const char text[] = "host = h weight = 3 timeout = 1s\nurl = \"http://h\"";

    ck_assert(conf_read_text(&tree, &arena, "p.conf", text, strlen(text), &mistakes));
    fill.context |= WEIR_CONTEXT_SERVER;
    ck_assert(conf_fill_block(&fill, &tree.root, targets, 2, NULL, true));
    ck_assert_int_eq(server.weight, 3);
    ck_assert_uint_eq(pool.timeout, NS_PER_SECOND);
}

UNIT_TEST(options_are_printed_for_people)
{
    const char *path = temporary_path(folder, "options");
    int saved = dup(STDOUT_FILENO);

    fflush(stdout);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    dup2(fd, STDOUT_FILENO);
    conf_print_options(&pool_options, "pool", 0);
    conf_print_options(NULL, "nothing", 2);
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    close(fd);
    char *text = temporary_read(path, NULL);
    static const char *const expected[] = {
        "pool\n",
        "    tls { ... }\n",
        "        certificate = PATH\n            required; in: listener\n",
        "version = 1.2|1.3\n",
        "    server \"NAME\" { ... }\n",
        "    expect = {STRING, ...}\n        default {\"200-399\", \"404\"}; in: module, pool\n",
        "    timeout = DURATION\n        default 30s, at least 1ms, at most 1h; in: module, pool\n"
        "        Patience.\n",
        "secret (@FILE reads it from FILE)",
        "  nothing\n      no options\n",
    };
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++) {
        ck_assert_msg(strstr(text, expected[i]) != NULL, "no %s in\n%s", expected[i], text);
    }
    free(text);
}

UNIT_FIXTURE(set_up, tear_down);
UNIT_TIMEOUT(30);
