/* SPDX-License-Identifier: MIT */
/*
 * Tells which rules a request met, and why each of them did or did not get it.
 *
 * The lookup itself goes from segment to segment and never sees the rules beside its way. Here each
 * rule is held against the request, one by one, as an operator does who asks why it was not that
 * one. Of many rules those are told that come nearest to the request; all in the order in which
 * they go before each other: host, then exact path, then length of the path.
 */
#include "route_path.h"

#include <stdlib.h>
#include <string.h>

/* How near a rule comes: what is told first when there are too many. */
enum nearness { NEAR_NOTHING, NEAR_PATH, NEAR_HOST, NEAR_BOTH };

/* A rule as the request sees it, by the host of its list that comes nearest. */
struct view {
    const struct table_key *key;
    uint32_t rule;
    uint32_t shared; /* segments at the front that rule and request have in common */
    bool host_fits;
    bool path_fits;
    bool is_below; /* the rule is exact, and the request's path lies below it */
    bool wins;
};

static enum nearness view_nearness(const struct view *view)
{
    return view->host_fits ? (view->path_fits ? NEAR_BOTH : NEAR_HOST)
                           : (view->path_fits ? NEAR_PATH : NEAR_NOTHING);
}

/* Names go before wildcards, long wildcards before short ones, and all before none. */
static size_t host_rank(const struct table_key *key)
{
    return key->host.len == 0 ? 0 : key->wildcard ? key->host.len : SIZE_MAX;
}

static bool host_covers(const struct table_key *key, struct weir_str host)
{
    if (key->host.len == 0) {
        return true;
    }
    if (host.len < key->host.len + (key->wildcard ? 1 : 0)) {
        return false;
    }
    size_t front = host.len - key->host.len;
    return (key->wildcard ? host.ptr[front - 1] == '.' : front == 0) &&
           memcmp(host.ptr + front, key->host.ptr, key->host.len) == 0;
}

static void see_host(const struct router *router, struct weir_str host, struct view *view)
{
    const struct rule *rule = &router->rules[view->rule];

    for (uint32_t i = 0; i < rule->key_count; i++) {
        const struct table_key *key = &router->keys[rule->first_key + i];
        bool fits = host_covers(key, host);
        bool nearer = view->key == NULL ||
                      (fits != view->host_fits ? fits : host_rank(key) > host_rank(view->key));
        if (nearer) {
            view->key = key;
            view->host_fits = fits;
        }
    }
}

static void see_path(struct weir_str path, struct view *view)
{
    struct weir_str rule = view->key->path;
    struct weir_str mine, asked;
    bool more = table_next_segment(&rule, &mine);
    bool there = table_next_segment(&path, &asked);

    while (more && there && mine.len == asked.len && memcmp(mine.ptr, asked.ptr, mine.len) == 0) {
        view->shared++;
        more = table_next_segment(&rule, &mine);
        there = table_next_segment(&path, &asked);
    }
    view->is_below = !more && there && view->key->exact;
    view->path_fits = !more && !view->is_below;
}

/* In the order in which rules go before each other. */
static int compare_precedence(const void *left, const void *right)
{
    const struct view *a = left, *b = right;
    size_t rank_a = host_rank(a->key), rank_b = host_rank(b->key);

    if (rank_a != rank_b) {
        return rank_a > rank_b ? -1 : 1;
    }
    if (a->key->exact != b->key->exact) {
        return a->key->exact ? -1 : 1;
    }
    if (a->key->path.len != b->key->path.len) {
        return a->key->path.len > b->key->path.len ? -1 : 1;
    }
    return a->rule < b->rule ? -1 : a->rule > b->rule;
}

/* The winner first, then the nearest. */
static int compare_nearness(const void *left, const void *right)
{
    const struct view *a = left, *b = right;
    enum nearness near_a = view_nearness(a), near_b = view_nearness(b);

    if (a->wins != b->wins) {
        return a->wins ? -1 : 1;
    }
    if (near_a != near_b) {
        return near_a > near_b ? -1 : 1;
    }
    if (a->shared != b->shared) {
        return a->shared > b->shared ? -1 : 1;
    }
    return compare_precedence(left, right);
}

static const char *why_it_wins(const struct table_key *key)
{
    if (key->host.len > 0) {
        return key->exact ? "its host, and the path itself" : "its host, and the longest prefix";
    }
    return key->exact ? "the path itself" : "the longest prefix";
}

static enum weir_rule_verdict view_verdict(const struct view *view)
{
    if (view->wins) {
        return WEIR_RULE_WINS;
    }
    return view_nearness(view) == NEAR_BOTH ? WEIR_RULE_FITS : WEIR_RULE_DIFFERS;
}

/* `winner` is NULL where no route fits. */
static const char *why(const struct view *view, const struct table_key *winner)
{
    switch (view_nearness(view)) {
    case NEAR_BOTH:
        if (view->wins) {
            return why_it_wins(view->key);
        }
        return host_rank(winner) > host_rank(view->key) ? "a nearer host won"
               : winner->exact                          ? "the exact path won"
                                                        : "a longer prefix won";
    case NEAR_HOST:
        return view->is_below ? "only the path itself, not what is below it" : "another path";
    case NEAR_PATH: return "host differs";
    case NEAR_NOTHING: break;
    }
    return "host and path differ";
}

static void tell(const struct weir_rule_sink *sink, enum weir_rule_verdict verdict,
                 weir_route_ref route, struct weir_str name, const char *reason)
{
    struct weir_rule told = {
        .size = sizeof(told),
        .verdict = verdict,
        .name = name,
        .why = {reason, strlen(reason)},
        .route = route,
    };
    weir_rule_tell(sink, &told);
}

/* The default goes behind all routes. */
static void tell_default(const struct router *router, uint32_t winner,
                         const struct weir_rule_sink *sink)
{
    if (router->fallback != TABLE_NONE) {
        bool wins = winner == router->fallback;
        tell(sink, wins ? WEIR_RULE_WINS : WEIR_RULE_FITS, router->rules[router->fallback].route,
             (struct weir_str)WEIR_STR_INIT(DEFAULT_NAME), wins ? "no route fits" : "a route fits");
    }
}

/* Views of all routes; `*of_winner` is the winner's key, or NULL. */
static void see_all(const struct router *router, struct weir_request *req, uint32_t winner,
                    struct view *views, const struct table_key **of_winner)
{
    struct weir_str host = table_request_host(weir_request_host(req));
    struct weir_str path = weir_request_path(req);

    for (uint32_t i = 0; i < router->conf->routes.count; i++) {
        views[i] = (struct view){.rule = i, .wins = i == winner};
        see_host(router, host, &views[i]);
        see_path(path, &views[i]);
        if (views[i].wins) {
            *of_winner = views[i].key;
        }
    }
}

void explain_rules(const struct router *router, struct weir_request *req, uint32_t winner,
                   const struct weir_rule_sink *sink)
{
    size_t count = router->conf->routes.count;
    size_t shown = sink->limit - (router->fallback != TABLE_NONE && sink->limit > 1 ? 1 : 0);
    const struct route_conf *routes = router->conf->routes.items;
    const struct table_key *of_winner = NULL;
    struct view *views = calloc(count + 1, sizeof(*views));
    char *name = malloc(router->name_size);

    shown = views == NULL || name == NULL ? 0 : shown < count ? shown : count;
    if (shown > 0) {
        see_all(router, req, winner, views, &of_winner);
        qsort(views, count, sizeof(*views), compare_nearness);
        qsort(views, shown, sizeof(*views), compare_precedence);
    }
    for (size_t i = 0; i < shown; i++) {
        const struct view *view = &views[i];
        const struct rule *rule = &router->rules[view->rule];
        tell(sink, view_verdict(view), rule->route,
             route_name(&routes[view->rule], rule->path, name), why(view, of_winner));
    }
    if (shown < count) {
        weir_rule_leave_out(sink, (uint32_t)(count - shown));
    }
    tell_default(router, winner, sink);
    free(views);
    free(name);
}
