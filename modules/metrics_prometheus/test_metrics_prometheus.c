/* SPDX-License-Identifier: MIT */
/*
 * metrics_prometheus: formats, limits, escaping, slow readers.
 */
#include "../test_main.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accept.h"
#include "families.h"

/* ---- rows ---- */

static const double bounds[] = {0.0005, 0.001, 0.00125, 0.0015, 0.002, 0.003, 0.004, 1.024};
static const uint64_t counts[] = {1, 2, 4, 8, 16, 32, 64, 128, 256};
static const uint64_t errors[] = {9, 3, 0, 7};
static const struct weir_histogram histogram = {
    .size = sizeof(histogram),
    .bound_count = 8,
    .bounds = bounds,
    .counts = counts,
    .count = 511,
    .sum = 12.5,
};
static const struct weir_traffic traffic = {
    .size = sizeof(traffic),
    .reason_count = 4,
    .requests = 511,
    .status = {1, 2, 300, 100, 50, 58},
    .bytes_in = 12345678901234567890u,
    .bytes_out = 42,
    .retries = 5,
    .connections = 6,
    .errors = errors,
    .connect = &histogram,
    .first_byte = &histogram,
    .total = &histogram,
};

static struct weir_str str(const char *text)
{
    struct weir_str result = {text, strlen(text)};
    return result;
}

static struct weir_stats_row row(enum weir_stats_kind kind, const char *name)
{
    struct weir_stats_row r = {.size = sizeof(r), .kind = kind, .name = str(name)};
    r.traffic = &traffic;
    r.in_flight = 3;
    r.queued = 1;
    r.open = 8;
    r.weight = 2;
    r.effective_weight = 0.5;
    r.servers = 4;
    r.servers_up = 3;
    r.start_wall_ms = 1764000000500;
    r.generation = 7;
    r.workers = 2;
    r.pool = str("web");
    r.health = WEIR_STATS_HEALTH_UP;
    return r;
}

static void add(struct weir_test *host, enum weir_stats_kind kind, const char *name)
{
    struct weir_stats_row r = row(kind, name);
    weir_test_stats_add(host, &r);
}

static void add_all(struct weir_test *host)
{
    add(host, WEIR_STATS_PROCESS, "1.2.3");
    add(host, WEIR_STATS_LISTENER, "public");
    add(host, WEIR_STATS_ROUTE, "/api");
    add(host, WEIR_STATS_POOL, "web");
    add(host, WEIR_STATS_SERVER, "web-1");
    struct weir_stats_row down = row(WEIR_STATS_SERVER, "web-2");
    down.health = WEIR_STATS_HEALTH_DOWN;
    down.state = WEIR_STATS_DRAIN;
    down.sticky = true;
    down.sessions = 12;
    weir_test_stats_add(host, &down);
}

/* ---- scraping ---- */

struct fixture {
    struct weir_test *host;
    struct weir_test_instance *handler;
    struct weir_request *req;
};

static void begin(struct fixture *f, const char *conf)
{
    f->host = test_begin();
    weir_test_set_worker(f->host, 1, 1);
    f->handler = weir_test_create(f->host, WEIR_TEST_HANDLER, test_conf(f->host, conf));
    ck_assert_ptr_nonnull(f->handler);
}

static const char *scrape(struct fixture *f, const char *accept)
{
    f->req = weir_test_request(f->host, "GET", "/metrics");
    if (accept != NULL) {
        weir_test_request_add(f->req, "Accept", accept);
    }
    ck_assert_int_eq(weir_test_handle(f->handler, f->req, NULL, 0), WEIR_OK);
    struct weir_test_reply reply = weir_test_reply_of(f->req);
    ck_assert_uint_eq(reply.status, 200);
    ck_assert(reply.ended && !reply.aborted);
    return reply.body;
}

static void expect_line(const char *body, const char *line)
{
    const char *at = strstr(body, line);
    ck_assert_msg(at != NULL && (at == body || at[-1] == '\n') && at[strlen(line)] == '\n',
                  "no line \"%s\" in:\n%.3000s", line, body);
}

static void expect_none(const char *body, const char *text)
{
    ck_assert_msg(strstr(body, text) == NULL, "\"%s\" is there", text);
}

#define OPENMETRICS "application/openmetrics-text; version=1.0.0"

UNIT_TEST(every_level_has_its_metrics)
{
    struct fixture f;
    begin(&f, "");
    add_all(f.host);
    const char *body = scrape(&f, NULL);
    ck_assert_str_eq(weir_test_reply_header(f.req, "Content-Type"),
                     "text/plain; version=0.0.4; charset=utf-8");
    expect_line(body, "# TYPE weir_requests_total counter");
    expect_line(body, "weir_requests_total{listener=\"public\"} 511");
    expect_line(body, "weir_route_requests_total{route=\"/api\"} 511");
    expect_line(body, "weir_pool_responses_total{pool=\"web\",class=\"5xx\"} 58");
    expect_line(body, "weir_pool_responses_total{pool=\"web\",class=\"none\"} 1");
    expect_line(body, "weir_server_errors_total{pool=\"web\",server=\"web-1\","
                      "reason=\"connect_refused\"} 3");
    expect_none(body, "response_timeout");
    expect_line(body, "weir_request_bytes_total{listener=\"public\"} 12345678901234567890");
    expect_line(body, "weir_server_up{pool=\"web\",server=\"web-1\"} 1");
    expect_line(body, "weir_server_up{pool=\"web\",server=\"web-2\"} 0");
    expect_line(body, "weir_server_state{pool=\"web\",server=\"web-2\",state=\"drain\"} 1");
    expect_line(body, "weir_server_state{pool=\"web\",server=\"web-2\",state=\"ready\"} 0");
    expect_line(body, "weir_server_effective_weight{pool=\"web\",server=\"web-1\"} 0.5");
    expect_line(body, "weir_server_sessions{pool=\"web\",server=\"web-2\"} 12");
    expect_none(body, "weir_server_sessions{pool=\"web\",server=\"web-1\"}");
    expect_line(body, "weir_pool_servers_up{pool=\"web\"} 3");
    expect_line(body, "weir_build_info{version=\"1.2.3\"} 1");
    expect_line(body, "# TYPE weir_build_info gauge");
    expect_line(body, "process_start_time_seconds 1764000000.5");
    expect_line(body, "weir_metrics_summed{kind=\"server\"} 0");
    ck_assert_ptr_nonnull(strstr(body, "\nprocess_open_fds "));
    expect_none(body, "# EOF");
    test_end(&f.host);
}

/* Pools without one have no such series; of those above the limit the counters are summed. */
UNIT_TEST(shadows_are_told_where_there_are_any)
{
    struct weir_shadow_stats of_pool = {.size = sizeof(of_pool),
                                        .out = true,
                                        .asked = 10,
                                        .agreed = 7,
                                        .none = 1,
                                        .waits = 8,
                                        .wait = 0.5,
                                        .predicted_wait = 0.25};
    struct weir_shadow_stats of_server = {.size = sizeof(of_server),
                                          .picked = 4,
                                          .chosen = 9,
                                          .in_flight = 3,
                                          .wait = 0.125,
                                          .predicted_wait = 0.375};
    struct weir_shadow_stats unknown = of_server;
    struct weir_stats_row pool = row(WEIR_STATS_POOL, "web");
    struct weir_stats_row server = row(WEIR_STATS_SERVER, "web-1");
    struct fixture f;

    begin(&f, "series_limit = 2");
    pool.shadow = &of_pool;
    unknown.wait = unknown.predicted_wait = (double)NAN;
    add(f.host, WEIR_STATS_PROCESS, "1.2.3");
    add(f.host, WEIR_STATS_POOL, "plain");
    weir_test_stats_add(f.host, &pool);
    for (int i = 0; i < 4; i++) {
        server.name = str(i == 0 ? "web-1" : i == 1 ? "web-2" : "more");
        server.shadow = i == 1 ? &unknown : &of_server;
        weir_test_stats_add(f.host, &server);
    }
    const char *body = scrape(&f, NULL);
    expect_line(body, "weir_pool_shadow_asked_total{pool=\"web\"} 10");
    expect_line(body, "weir_pool_shadow_agreed_total{pool=\"web\"} 7");
    expect_line(body, "weir_pool_shadow_none_total{pool=\"web\"} 1");
    expect_line(body, "weir_pool_shadow_waits_total{pool=\"web\"} 8");
    expect_line(body, "weir_pool_shadow_wait_seconds_total{pool=\"web\",choice=\"real\"} 0.5");
    expect_line(body, "weir_pool_shadow_wait_seconds_total{pool=\"web\",choice=\"shadow\"} 0.25");
    expect_line(body, "weir_pool_shadow_out{pool=\"web\"} 1");
    expect_none(body, "_shadow_asked_total{pool=\"plain\"}");
    expect_line(body, "weir_server_shadow_picked_total{pool=\"web\",server=\"web-1\"} 4");
    expect_line(body, "weir_server_shadow_chosen_total{pool=\"web\",server=\"web-2\"} 9");
    expect_line(body, "weir_server_shadow_requests_in_flight{pool=\"web\",server=\"web-1\"} 3");
    expect_line(body, "weir_server_shadow_chosen_total{pool=\"other\",server=\"other\"} 18");
    expect_line(body, "weir_server_shadow_wait_seconds{pool=\"web\",server=\"web-1\","
                      "choice=\"shadow\"} 0.375");
    expect_none(body, "weir_server_shadow_wait_seconds{pool=\"web\",server=\"web-2\"");
    expect_none(body, "weir_server_shadow_wait_seconds{pool=\"other\"");
    test_end(&f.host);
}

/* Each bucket of ours holds whole ones of the host's, and the last is the count. */
UNIT_TEST(histograms_are_cumulative)
{
    struct fixture f;
    begin(&f, "");
    add_all(f.host);
    const char *body = scrape(&f, NULL);
    expect_line(body, "weir_request_duration_seconds_bucket{listener=\"public\",le=\"0.001\"} 3");
    expect_line(body, "weir_request_duration_seconds_bucket{listener=\"public\",le=\"0.002\"} 31");
    expect_line(body, "weir_request_duration_seconds_bucket{listener=\"public\",le=\"0.004\"} 127");
    expect_line(body, "weir_request_duration_seconds_bucket{listener=\"public\",le=\"1.024\"} 255");
    expect_line(body, "weir_request_duration_seconds_bucket{listener=\"public\",le=\"+Inf\"} 511");
    expect_line(body, "weir_request_duration_seconds_count{listener=\"public\"} 511");
    expect_line(body, "weir_request_duration_seconds_sum{listener=\"public\"} 12.5");
    expect_none(body, "le=\"0.0015\"");
    test_end(&f.host);
}

UNIT_TEST(openmetrics_where_it_is_asked_for)
{
    struct fixture f;
    begin(&f, "");
    add_all(f.host);
    const char *body = scrape(&f, OPENMETRICS ",text/plain;version=0.0.4;q=0.5,*/*;q=0.1");
    ck_assert_str_eq(weir_test_reply_header(f.req, "Content-Type"),
                     "application/openmetrics-text; version=1.0.0; charset=utf-8");
    expect_line(body, "# TYPE weir_requests counter");
    expect_line(body, "weir_requests_total{listener=\"public\"} 511");
    expect_line(body, "# TYPE weir_build info");
    expect_line(body, "weir_build_info{version=\"1.2.3\"} 1");
    expect_line(body, "# UNIT weir_request_duration_seconds seconds");
    expect_line(body, "# UNIT process_resident_memory_bytes bytes");
    ck_assert_str_eq(body + strlen(body) - 7, "\n# EOF\n");
    test_end(&f.host);
}

UNIT_TEST(accept_is_read_as_it_is_meant)
{
    static const struct {
        const char *accept;
        bool openmetrics;
    } cases[] = {
        {"", false},
        {"*/*", false},
        {"text/plain", false},
        {OPENMETRICS, true},
        {"Application/OpenMetrics-Text", true},
        {"application/openmetrics-text;q=0", false},
        {"application/openmetrics-text;q=0;q=1", false},
        {"application/openmetrics-text;q=0.3,text/plain;q=0.7", false},
        {"application/openmetrics-text;q=0.5, text/plain;q=0.5", true},
        {"application/openmetrics-text; version=2.0.0", false},
        {"application/openmetrics-text; version=2.0.0, " OPENMETRICS ";q=0.2", true},
        {"application/openmetrics-text;q=nonsense", false},
        {"application/openmetrics-text;x=\",\";q=0.1,text/plain;q=0.2", false},
        {",,;;,=", false},
        {"application/openmetrics-text;version=1.0.0;q=0.6,application/openmetrics-text;"
         "version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.3",
         true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ck_assert_msg(accept_openmetrics(str(cases[i].accept)) == cases[i].openmetrics, "%s",
                      cases[i].accept);
    }
}

UNIT_TEST(labels_are_escaped)
{
    struct fixture f;
    begin(&f, "");
    add(f.host, WEIR_STATS_PROCESS, "1");
    add(f.host, WEIR_STATS_ROUTE, "a\"b\\c\nd\xc3\xa4\xff\xc0\xaf\xed\xa0\x80");
    const char *body = scrape(&f, NULL);
    expect_line(body, "weir_route_requests_total{route=\"a\\\"b\\\\c\\nd\xc3\xa4\xef\xbf\xbd"
                      "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"} 511");
    test_end(&f.host);
}

UNIT_TEST(above_the_limit_is_summed)
{
    struct fixture f;
    begin(&f, "series_limit = 3");
    add(f.host, WEIR_STATS_PROCESS, "1");
    char names[10][24];
    for (int i = 0; i < 10; i++) {
        snprintf(names[i], sizeof(names[i]), "s%d", i);
        add(f.host, WEIR_STATS_SERVER, names[i]);
    }
    const char *body = scrape(&f, NULL);
    expect_line(body, "weir_server_requests_total{pool=\"web\",server=\"s2\"} 511");
    expect_none(body, "server=\"s3\"");
    expect_line(body, "weir_server_requests_total{pool=\"other\",server=\"other\"} 3577");
    expect_line(body, "weir_server_requests_in_flight{pool=\"other\",server=\"other\"} 21");
    expect_line(body, "weir_server_request_duration_seconds_count"
                      "{pool=\"other\",server=\"other\"} 3577");
    expect_none(body, "weir_server_up{pool=\"other\"");
    expect_line(body, "weir_metrics_summed{kind=\"server\"} 7");
    expect_line(body, "weir_metrics_summed{kind=\"pool\"} 0");
    test_end(&f.host);
}

/* Two series of one name would make Prometheus drop the scrape. */
UNIT_TEST(what_is_called_other_is_put_there)
{
    struct fixture f;
    begin(&f, "series_limit = 1");
    add(f.host, WEIR_STATS_PROCESS, "1");
    add(f.host, WEIR_STATS_POOL, "other");
    add(f.host, WEIR_STATS_POOL, "a");
    add(f.host, WEIR_STATS_POOL, "b");
    const char *body = scrape(&f, NULL);
    expect_line(body, "weir_pool_requests_total{pool=\"a\"} 511");
    expect_line(body, "weir_pool_requests_total{pool=\"other\"} 1022");
    const char *first = strstr(body, "weir_pool_requests_total{pool=\"other\"}");
    ck_assert_ptr_null(strstr(first + 1, "weir_pool_requests_total{pool=\"other\"}"));
    test_end(&f.host);
}

UNIT_TEST(slow_readers_get_it_all_in_pieces)
{
    static char names[1000][24];
    struct fixture f;
    begin(&f, "");
    add_all(f.host);
    for (int i = 0; i < 1000; i++) {
        snprintf(names[i], sizeof(names[i]), "server-%d", i);
        add(f.host, WEIR_STATS_SERVER, names[i]);
    }
    char *whole = strdup(scrape(&f, OPENMETRICS));
    f.req = weir_test_request(f.host, "GET", "/metrics");
    weir_test_request_add(f.req, "Accept", OPENMETRICS);
    weir_test_reply_hold(f.req, true);
    ck_assert_int_eq(weir_test_handle(f.handler, f.req, NULL, 0), WEIR_OK);
    size_t pieces = 0;
    while (!weir_test_reply_of(f.req).ended) {
        size_t before = weir_test_reply_of(f.req).body_len;
        weir_test_writable(f.handler, f.req);
        ck_assert_uint_lt(weir_test_reply_of(f.req).body_len - before, 100 * 1024);
        pieces++;
    }
    ck_assert_uint_gt(pieces, 10);
    /* But for what changes by itself. */
    ck_assert_str_eq(strstr(weir_test_reply_of(f.req).body, "# HELP weir_requests"),
                     strstr(whole, "# HELP weir_requests"));
    for (const char *at = whole; (at = strstr(at, "\n# TYPE ")) != NULL;) {
        char head[100];
        at++;
        snprintf(head, sizeof(head), "%.*s", (int)strcspn(at, "\n") + 1, at);
        ck_assert_msg(strstr(at + 1, head) == NULL, "twice: %s", head);
    }
    free(whole);
    test_end(&f.host);
}

UNIT_TEST(clients_that_go_away_leave_nothing)
{
    struct fixture f;
    begin(&f, "");
    add_all(f.host);
    static char names[500][24];
    for (int i = 0; i < 500; i++) {
        snprintf(names[i], sizeof(names[i]), "server-%d", i);
        add(f.host, WEIR_STATS_SERVER, names[i]);
    }
    struct weir_request *held[8];
    for (int i = 0; i < 8; i++) {
        held[i] = weir_test_request(f.host, "GET", "/metrics");
        weir_test_reply_hold(held[i], true);
        ck_assert_int_eq(weir_test_handle(f.handler, held[i], NULL, 0), WEIR_OK);
    }
    struct weir_request *ninth = weir_test_request(f.host, "GET", "/metrics");
    ck_assert_int_eq(weir_test_handle(f.handler, ninth, NULL, 0), WEIR_OK);
    ck_assert_uint_eq(weir_test_reply_of(ninth).status, 503);
    for (int i = 0; i < 8; i++) {
        weir_test_client_gone(f.handler, held[i]);
    }
    scrape(&f, NULL);
    test_end(&f.host);
}

UNIT_TEST(other_paths_and_methods_are_refused)
{
    static const struct {
        const char *method, *target;
        uint32_t status;
    } cases[] = {
        {"GET", "/", 404},         {"GET", "/metricsx", 404},
        {"POST", "/metrics", 405}, {"GET", "/admin/metrics", 200},
        {"HEAD", "/metrics", 200}, {"GET", "/metrics?x=y", 200},
    };
    struct fixture f;
    begin(&f, "");
    add_all(f.host);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct weir_request *req = weir_test_request(f.host, cases[i].method, cases[i].target);
        ck_assert_int_eq(weir_test_handle(f.handler, req, NULL, 0), WEIR_OK);
        ck_assert_uint_eq(weir_test_reply_of(req).status, cases[i].status);
        ck_assert(weir_test_reply_of(req).ended);
    }
    test_end(&f.host);
}

static void add_metric(struct weir_test *host, const char *module, const char *name,
                       enum weir_metric_type type, int64_t value)
{
    const struct weir_metric_row r = {.size = sizeof(r),
                                      .type = type,
                                      .module = str(module),
                                      .name = str(name),
                                      .help = str("Some \"kept\" in C:\\."),
                                      .value = value};
    weir_test_metric_add(host, &r);
}

static void add_number(struct weir_test *host, const char *name, enum weir_metric_type type,
                       const char *labels, double value)
{
    const struct weir_module_row r = {.size = sizeof(r),
                                      .type = type,
                                      .name = str(name),
                                      .help = str("What the host has counted."),
                                      .labels = str(labels),
                                      .value = value};
    weir_test_module_add(host, &r);
}

UNIT_TEST(what_the_host_knows_of_modules_comes_name_by_name)
{
    struct fixture f;
    begin(&f, "");
    add_number(f.host, "calls", WEIR_COUNTER, "module=\"a\",hook=\"pick\"", 7);
    add_number(f.host, "calls", WEIR_COUNTER, "module=\"b\",hook=\"log\"", 8);
    add_number(f.host, "call_duration_seconds", WEIR_GAUGE, "module=\"a\"", 0.25);
    const char *body = scrape(&f, NULL);
    ck_assert_ptr_nonnull(strstr(body, "# TYPE weir_module_calls_total counter\n"
                                       "weir_module_calls_total{module=\"a\",hook=\"pick\"} 7\n"
                                       "weir_module_calls_total{module=\"b\",hook=\"log\"} 8\n"));
    ck_assert_ptr_nonnull(strstr(body, "# TYPE weir_module_call_duration_seconds gauge\n"
                                       "weir_module_call_duration_seconds{module=\"a\"} 0.25\n"));
    test_end(&f.host);
}

/* Prometheus's own checker, where it is installed. */
UNIT_TEST(promtool_has_nothing_to_say)
{
    struct fixture f;
    begin(&f, "series_limit = 1");
    add_all(f.host);
    add_metric(f.host, "compress", "input_bytes", WEIR_COUNTER, 5);
    add_metric(f.host, "compress", "running", WEIR_GAUGE, 1);
    const char *body = scrape(&f, NULL);
    if (system("command -v promtool >/dev/null 2>&1") != 0) {
        puts("promtool is missing, its check was left out: ./bootstrap --tests installs it");
    } else {
        FILE *promtool = popen("promtool check metrics 1>&2", "w");
        ck_assert_ptr_nonnull(promtool);
        ck_assert_uint_eq(fwrite(body, 1, strlen(body), promtool), strlen(body));
        ck_assert_int_eq(pclose(promtool), 0);
    }
    test_end(&f.host);
}

UNIT_TEST(modules_have_metrics_of_their_own)
{
    struct fixture f;
    begin(&f, "");
    add(f.host, WEIR_STATS_PROCESS, "1");
    add_metric(f.host, "sticky", "kept", WEIR_COUNTER, INT64_MAX);
    add_metric(f.host, "sticky", "cookie_bytes", WEIR_GAUGE, -3);
    add_metric(f.host, "sticky_cookie", "bytes", WEIR_COUNTER, 8); /* its name is there */
    const char *body = scrape(&f, NULL);
    expect_line(body, "# HELP weir_module_sticky_kept_total Some \"kept\" in C:\\\\.");
    expect_line(body, "# TYPE weir_module_sticky_kept_total counter");
    expect_line(body, "weir_module_sticky_kept_total 9223372036854775807");
    expect_line(body, "# TYPE weir_module_sticky_cookie_bytes gauge");
    expect_line(body, "weir_module_sticky_cookie_bytes -3");
    expect_none(body, "weir_module_sticky_cookie_bytes_total");
    body = scrape(&f, OPENMETRICS);
    expect_line(body, "# HELP weir_module_sticky_kept Some \\\"kept\\\" in C:\\\\.");
    expect_line(body, "weir_module_sticky_kept_total 9223372036854775807");
    expect_line(body, "# UNIT weir_module_sticky_cookie_bytes bytes");
    ck_assert_str_eq(body + strlen(body) - 7, "\n# EOF\n");
    test_end(&f.host);
}

UNIT_TEST(numbers_are_short_and_exact)
{
    static const struct {
        double number;
        const char *text;
    } cases[] = {
        {0, "0"},
        {0.1, "0.1"},
        {1.0 / 3, "0.3333333333333333"},
        {-2, "-2"},
        {1e300, "1e+300"},
        {123456789012.5, "123456789012.5"},
        {0.0 / 1.0, "0"},
        {1764000000.5, "1764000000.5"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct weir_buffer out = {0};
        out_real(&out, cases[i].number);
        ck_assert_msg(out.len == strlen(cases[i].text) &&
                          memcmp(out.data, cases[i].text, out.len) == 0,
                      "%.*s instead of %s", (int)out.len, out.data, cases[i].text);
        weir_buffer_free(&out);
    }
}

UNIT_TEST(wrong_limits_are_refused)
{
    struct weir_test *host = test_begin();
    test_refused(host, "series_limit = 0", "series_limit");
    test_refused(host, "series_limit = many", "series_limit");
    test_end(&host);
}

UNIT_TIMEOUT(30);
