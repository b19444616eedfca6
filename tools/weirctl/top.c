/* SPDX-License-Identifier: MIT */
/*
 * top: pools and servers, live in the terminal; without one, a table for each look.
 */
#include "command.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "terminal.h"

enum order { BY_NAME, BY_RATE, BY_ERRORS, BY_IN_FLIGHT, BY_LATENCY, ORDER_COUNT };

static const char *const order_names[] = {"name", "rate", "errors", "in flight", "p95"};
static const char *const order_paths[] = {"", "rate", "errors_rate", "in_flight", "p95"};

struct view {
    struct call *call;
    cJSON *stats; /* the last look; NULL: none yet */
    enum order order;
    bool unhealthy; /* only those */
    bool paused;
    bool lost;    /* the last look found no Weir */
    size_t first; /* the first line shown of the servers */
    size_t lines; /* of servers, in the last drawing */
    int room;     /* lines for servers on the screen */
    uint64_t interval_ms;
    long left; /* looks until the end; below 0: no end */
};

/* One server of the last look. */
struct row {
    const char *pool;
    const cJSON *server; /* its name is the id */
};

/* ---- looking ---- */

/* Asks for the numbers. An unreachable Weir is shown and asked again; a refusal ends the view. */
static enum outcome look(struct view *view, bool first)
{
    struct answer answer;
    enum outcome outcome = first ? api_call(&view->call->api, "GET", "/stats", NULL, &answer)
                                 : api_peek(&view->call->api, "/stats", &answer);

    view->lost = outcome != DONE;
    if (outcome == DONE) {
        cJSON_Delete(view->stats);
        view->stats = answer.json;
        answer.json = NULL;
        view->left -= view->left > 0;
    }
    answer_clear(&answer);
    return outcome;
}

/* ---- rows ---- */

static bool is_unhealthy(const cJSON *server)
{
    return strcmp(json_text(server, "health", ""), "up") != 0 ||
           strcmp(json_text(server, "state", ""), "ready") != 0;
}

static enum order sort_order;

static int compare(const void *a, const void *b)
{
    const struct row *left = a;
    const struct row *right = b;
    double l = json_number(left->server, order_paths[sort_order]);
    double r = json_number(right->server, order_paths[sort_order]);

    l = sort_order == BY_NAME || !isfinite(l) ? -1 : l;
    r = sort_order == BY_NAME || !isfinite(r) ? -1 : r;
    if (l != r) {
        return l < r ? 1 : -1;
    }
    int by_pool = strcmp(left->pool, right->pool);
    return by_pool != 0 ? by_pool : strcmp(left->server->string, right->server->string);
}

/* All rows that are wanted, sorted; the caller frees them. */
static struct row *collect(const struct view *view, size_t *count)
{
    struct row *rows = NULL;
    size_t room = 0;
    const cJSON *pool = NULL;
    const cJSON *server = NULL;

    *count = 0;
    cJSON_ArrayForEach(pool, json_at(view->stats, "pools"))
    {
        cJSON_ArrayForEach(server, json_at(pool, "servers"))
        {
            if (view->unhealthy && !is_unhealthy(server)) {
                continue;
            }
            if (*count == room) {
                room = room * 2 + 64;
                rows = reallocate(rows, room, sizeof(*rows));
            }
            rows[(*count)++] = (struct row){pool->string, server};
        }
    }
    sort_order = view->order;
    if (*count > 0) {
        qsort(rows, *count, sizeof(*rows), compare);
    }
    return rows;
}

static void add_name(struct table *table, const cJSON *object)
{
    table_add(table, PLAIN, "%s", object->string);
}

static void add_errors(struct table *table, const cJSON *object)
{
    double errors = json_number(object, "errors_rate");
    table_add(table, errors > 0 ? RED : PLAIN, "%.1f", isfinite(errors) ? errors : 0);
}

/* What pools and servers have alike. */
#define NUMBERS                                                                         \
    {"REQ/S", SHOW_TENTHS, "rate", NULL}, {"ERR/S", SHOW_TENTHS, NULL, add_errors},     \
        {"IN FLIGHT", SHOW_COUNT, "in_flight", NULL}, {"P50 ms", SHOW_MS, "p50", NULL}, \
        {"P95 ms", SHOW_MS, "p95", NULL}, {"P99 ms", SHOW_MS, "p99", NULL},             \
    {                                                                                   \
        "REQUESTS", SHOW_COUNT, "requests", NULL                                        \
    }

static struct table *pools_table(const struct view *view)
{
    static const struct column columns[] = {
        {"POOL", SHOW_TEXT, NULL, add_name}, {"QUEUED", SHOW_COUNT, "queued", NULL}, NUMBERS};
    struct table *table = TABLE_NEW(columns);
    const cJSON *pool = NULL;

    cJSON_ArrayForEach(pool, json_at(view->stats, "pools"))
    {
        table_row(table, pool);
    }
    return table;
}

/* The pool of the row being added, which the server's object does not name. */
static const char *row_pool;

static void add_pool(struct table *table, const cJSON *server)
{
    (void)server;
    table_add(table, PLAIN, "%s", row_pool);
}

static struct table *servers_table(const struct view *view, size_t *count)
{
    static const struct column columns[] = {
        {"POOL", SHOW_TEXT, NULL, add_pool},    {"SERVER", SHOW_TEXT, NULL, add_name},
        {"STATE", SHOW_STATE, "state", NULL},   {"HEALTH", SHOW_STATE, "health", NULL},
        {"WEIGHT", SHOW_COUNT, "weight", NULL}, NUMBERS};
    struct table *table = TABLE_NEW(columns);
    struct row *rows = collect(view, count);

    for (size_t i = 0; i < *count; i++) {
        row_pool = rows[i].pool;
        table_row(table, rows[i].server);
    }
    free(rows);
    return table;
}

/* ---- drawing ---- */

static void add_title(const struct view *view, struct text *out)
{
    char time[VALUE_SIZE];

    text_printf(
        out,
        "weir %s  %s  %.1f requests/s  %.1f errors/s  %.0f in flight  %.0f connections, %.0f of "
        "HTTP/2",
        view->call->api.endpoint.display, show_time(time, json_number(view->stats, "time")),
        json_number(view->stats, "total.rate"), json_number(view->stats, "total.errors_rate"),
        json_number(view->stats, "total.in_flight"), json_number(view->stats, "total.connections"),
        json_number(view->stats, "total.http2.connections"));
    text_printf(out, "\nsorted by %s%s%s%s   [s]ort [f]ilter [p]ause [q]uit\n\n",
                order_names[view->order], view->unhealthy ? ", only unhealthy" : "",
                view->paused ? ", PAUSED" : "",
                view->lost ? ", CONNECTION LOST, trying again" : "");
}

/* The whole text of one look; `*head` is how many lines stand above the servers. */
static void render(struct view *view, bool colours, struct text *out, size_t *head)
{
    struct table *pools = pools_table(view);
    struct table *servers = servers_table(view, &view->lines);

    add_title(view, out);
    table_render(pools, colours, 0, out);
    text_puts(out, "\n");
    *head = 1;
    for (const char *at = text_get(out); (at = strchr(at, '\n')) != NULL; at++) {
        (*head)++;
    }
    table_render(servers, colours, 0, out);
    table_free(&pools);
    table_free(&servers);
}

/* Draws what fits: all lines above the servers, then the servers from `first`. The terminal does
 * not wrap, and so cuts lines itself. */
static void draw(struct view *view)
{
    struct text all = {0};
    struct text screen = {0};
    size_t head = 0;
    int rows = 0;
    int columns = 0;

    terminal_size(&rows, &columns);
    render(view, colours_wanted(stdout), &all, &head);
    view->room = rows > (int)head + 1 ? rows - (int)head : 1;
    size_t last = view->lines > (size_t)view->room ? view->lines - (size_t)view->room : 0;
    view->first = view->first < last ? view->first : last;
    text_puts(&screen, "\033[H");
    int row = 0;
    size_t number = 0;
    for (const char *at = text_get(&all); *at != '\0' && row < rows; number++) {
        size_t len = strcspn(at, "\n");
        if (number < head || number >= head + view->first) {
            text_puts(&screen, row > 0 ? "\r\n" : "");
            text_add(&screen, at, len);
            text_puts(&screen, "\033[0m\033[K");
            row++;
        }
        at += len + (at[len] == '\n');
    }
    text_puts(&screen, "\033[J");
    terminal_draw(text_get(&screen), screen.len);
    text_clear(&all);
    text_clear(&screen);
}

/* ---- keys ---- */

static void scroll(struct view *view, long lines)
{
    long first = (long)view->first + lines;
    view->first = first > 0 ? (size_t)first : 0;
}

/* false: the key ends the view. */
static bool take_key(struct view *view, int key)
{
    switch (key) {
    case 'q':
    case 'Q':
    case KEY_CLOSED: return false;
    case 's': view->order = (view->order + 1) % ORDER_COUNT; break;
    case 'f': view->unhealthy = !view->unhealthy; break;
    case 'p':
    case ' ': view->paused = !view->paused; break;
    case 'k':
    case KEY_UP: scroll(view, -1); break;
    case 'j':
    case KEY_DOWN: scroll(view, 1); break;
    case KEY_PAGE_UP: scroll(view, -view->room); break;
    case KEY_PAGE_DOWN: scroll(view, view->room); break;
    case KEY_HOME: view->first = 0; break;
    case KEY_END: scroll(view, (long)view->lines); break;
    default: break;
    }
    return true;
}

/* ---- the command ---- */

static void watch(struct view *view)
{
    uint64_t next = now_ms() + view->interval_ms;
    bool goes_on = view->left != 0;

    draw(view);
    while (goes_on) {
        bool resized = false;
        uint64_t now = now_ms();
        int key = terminal_key(now < next ? (int)(next - now) : 0, &resized);
        goes_on = key == KEY_NONE || take_key(view, key);
        if (now_ms() >= next) {
            if (!view->paused) {
                look(view, false);
            }
            next = now_ms() + view->interval_ms;
            goes_on = goes_on && view->left != 0;
        }
        draw(view);
    }
}

/* Without a terminal: a table for each look, or a JSON line. */
static enum outcome print_looks(struct view *view)
{
    for (;;) {
        if (view->call->api.json) {
            char *line = cJSON_PrintUnformatted(view->stats);
            puts(line != NULL ? line : "{}");
            cJSON_free(line);
        } else {
            struct text out = {0};
            size_t head = 0;
            render(view, false, &out, &head);
            puts(text_get(&out));
            text_clear(&out);
        }
        fflush(stdout);
        if (view->left == 0) {
            return DONE;
        }
        nanosleep(&(struct timespec){(time_t)(view->interval_ms / 1000),
                                     (long)(view->interval_ms % 1000) * 1000000},
                  NULL);
        enum outcome outcome = look(view, true);
        if (outcome != DONE) {
            return outcome;
        }
    }
}

enum outcome run_top(struct call *call)
{
    const char *interval = call_option(call, "interval");
    const char *count = call_option(call, "count");
    double seconds = interval != NULL ? strtod(interval, NULL) : 1;
    struct view view = {.call = call, .order = BY_NAME};

    view.left = count != NULL ? atol(count) : -1;
    if (!(seconds >= 0.1 && seconds <= 3600) || view.left == 0) {
        return call_misused(call, view.left == 0 ? "--count wants a number above 0"
                                                 : "--interval wants seconds, 0.1 to 3600");
    }
    view.interval_ms = (uint64_t)(seconds * 1000);
    enum outcome outcome = look(&view, true);
    if (outcome == DONE && !call->api.json && terminal_begin()) {
        watch(&view);
        terminal_end();
    } else if (outcome == DONE) {
        outcome = print_looks(&view);
    }
    cJSON_Delete(view.stats);
    return outcome;
}
