/* SPDX-License-Identifier: MIT */
/*
 * What would become of a request: routes, session, candidates, pick. See explain.h.
 *
 * Counts in flight are over all workers; what else a balancer keeps, whose turn it is above all, is
 * this loop's own, and each worker's may stand elsewhere.
 */
#include "control/api/explain.h"

#include <math.h>
#include <stdlib.h>

#include "control/api/show.h"
#include "control/api/totals.h"
#include "module/guard.h"
#include "proxy/pool/balancer.h"
#include "proxy/pool/pick.h"

/* Rules of one router that are shown. */
#define EXPLAIN_RULES 50u

static void set_answer(struct explain *explain, unsigned status, const char *reason)
{
    cJSON_DeleteItemFromObjectCaseSensitive(explain->answer, "answer");
    cJSON *answer = cJSON_AddObjectToObject(explain->answer, "answer");
    json_set_number(answer, "status", status);
    json_set(answer, "reason", reason);
}

/* ---- blocks that are out ---- */

/* Whether it is passed over, or closed; NULL: it is not out. */
static const char *why_out(const struct guard *guard)
{
    if (!guard_is_out(guard)) {
        return NULL;
    }
    return guard->closed ? "it is out, and closed meanwhile" : "it is out, and passed over";
}

/* What visitors get of one that is closed. */
static void set_answer_out(struct explain *explain, const struct use *use)
{
    char *text = base_printf("module_out: %s", use->module->name);

    set_answer(explain, 503, text);
    free(text);
}

/* ---- filters ---- */

static void end_at_filter(struct explain *explain, const char *module,
                          const struct weir_filter_verdict *verdict)
{
    char *text = NULL;

    if (verdict->location.len > 0) {
        text = base_printf("redirect to %.*s", STR_ARGS(verdict->location));
    } else {
        text = base_printf("%s%s%s", module, verdict->why[0] != '\0' ? ": " : "", verdict->why);
    }
    set_answer(explain, verdict->status, text);
    free(text);
}

/* Asks one filter, as far as it can be asked. false: the request ends here. */
static bool explain_filter(struct explain *explain, const struct use *use, const char *where)
{
    const struct weir_filter *filter = use->module->descriptor.filter;
    struct instance *instance = use_on(use, stream_loop(&explain->stream)->index);
    struct weir_filter_verdict verdict = {.size = sizeof(verdict)};
    const char *word = "passes", *why = why_out(use->guard);
    enum weir_status status = WEIR_OK;

    if (why != NULL) {
        word = "out";
        verdict.status = use->guard->closed ? 503 : 0;
    } else if (filter->on_request == NULL) {
        why = "it sees responses alone";
    } else if (filter->explain == NULL) {
        word = "unknown";
        why = "not asked: it may count what it sees, or keep it";
    } else {
        struct call *call = call_begin(&instance->context, HOOK_EXPLAIN);
        status = filter->explain(&instance->context.base, instance->data,
                                 &explain->stream.request_handle, &verdict);
        call_end(call);
        verdict.why[sizeof(verdict.why) - 1] = '\0';
        why = verdict.why[0] != '\0' ? verdict.why : "it does nothing to this request";
    }
    if (verdict.status != 0 && guard_is_out(use->guard)) {
        set_answer_out(explain, use);
    } else if (status != WEIR_OK) {
        verdict.status = 500;
        word = "fails";
        why = "it failed";
        set_answer(explain, 500, "module_failed");
    } else if (verdict.status != 0) {
        word = "answers";
        why = verdict.why[0] != '\0' ? verdict.why : NULL;
        end_at_filter(explain, use->module->name, &verdict);
    }
    cJSON *one = json_append(json_get(explain->answer, "filters"));
    json_set(one, "module", use->module->name);
    json_set(one, "in", where);
    json_set(one, "verdict", word);
    json_set_number(one, "status", verdict.status != 0 ? verdict.status : NAN);
    json_set(one, "why", why);
    return verdict.status == 0;
}

static bool explain_filters(struct explain *explain, const struct use_list *filters,
                            const char *where)
{
    for (size_t i = 0; i < filters->count; i++) {
        if (!explain_filter(explain, filters->items[i], where)) {
            return false;
        }
    }
    return true;
}

/* ---- routers and their rules ---- */

/* Where one router tells its rules. */
struct rule_list {
    struct weir_rule_sink base;
    cJSON *tried;
    const char *module;
    unsigned told;
    double left_out;
};

static void add_rule(const struct rule_list *list, struct weir_str name,
                     enum weir_rule_verdict verdict, struct weir_str why)
{
    cJSON *one = json_append(list->tried);
    json_set(one, "module", list->module);
    json_set_str(one, "name", name);
    cJSON_AddBoolToObject(one, "match", verdict == WEIR_RULE_WINS);
    json_set(one, "verdict",
             verdict == WEIR_RULE_WINS   ? "wins"
             : verdict == WEIR_RULE_FITS ? "fits"
                                         : "differs");
    json_set_str(one, "why", why);
}

static void sink_tell(const struct weir_rule_sink *base, const struct weir_rule *rule)
{
    struct rule_list *list = container_of(base, struct rule_list, base);

    if (list->told >= EXPLAIN_RULES && rule->verdict != WEIR_RULE_WINS) {
        list->left_out++;
        return;
    }
    list->told++;
    add_rule(list, rule->name, rule->verdict, rule->why);
}

static void sink_leave_out(const struct weir_rule_sink *base, uint32_t count)
{
    container_of(base, struct rule_list, base)->left_out += count;
}

/* A router that does not tell its rules, or has none, or failed, is one rule itself. */
static void add_router(const struct rule_list *list, enum weir_status status)
{
    const char *why = status == WEIR_OK         ? "one of its rules fits"
                      : status == WEIR_DECLINED ? "none of its rules fits"
                                                : "it failed";
    add_rule(list, str_from(list->module), status == WEIR_OK ? WEIR_RULE_WINS : WEIR_RULE_DIFFERS,
             str_from(why));
}

/* Asks one router, and lets it tell. What it decides is what `route` says, as for visitors. */
static enum weir_status try_router(struct explain *explain, const struct use *use,
                                   struct rule_list *list)
{
    const struct weir_router *router = use->module->descriptor.router;
    struct instance *instance = use_on(use, stream_loop(&explain->stream)->index);
    struct weir_request *request = &explain->stream.request_handle;

    list->module = use->module->name;
    list->told = 0;
    if (why_out(use->guard) != NULL) {
        add_rule(list, str_from(list->module), WEIR_RULE_DIFFERS, str_from(why_out(use->guard)));
        return WEIR_DECLINED;
    }
    struct call *call = call_begin(&instance->context, HOOK_ROUTE);
    enum weir_status status =
        router->route(&instance->context.base, instance->data, request, &explain->route);
    call_end(call);
    if (router->explain != NULL) {
        call = call_begin(&instance->context, HOOK_EXPLAIN);
        router->explain(&instance->context.base, instance->data, request, &list->base);
        call_end(call);
    }
    if (list->told == 0 || (status != WEIR_OK && status != WEIR_DECLINED)) {
        add_router(list, status);
    }
    return status;
}

/* The answer where the routers send the request nowhere. true: it goes to a pool. */
static bool judge_route(struct explain *explain, const struct plan *current,
                        enum weir_status status)
{
    const struct weir_route_result *route = &explain->route;

    if (status == WEIR_DECLINED) {
        set_answer(explain, 404, "no_route");
    } else if (status != WEIR_OK || (route->status == 0 && route->pool >= current->pool_count)) {
        set_answer(explain, 500, "module_failed");
    } else if (route->status != 0) {
        char *text = base_printf("%s%.*s", route->location.len > 0 ? "redirect to " : "rule",
                                 STR_ARGS(route->location));
        set_answer(explain, route->status, text);
        free(text);
    } else {
        return true;
    }
    return false;
}

/* Asks the routers one by one. false: it ends here. */
static bool explain_route(struct explain *explain, const struct plan *current)
{
    enum weir_status status = WEIR_DECLINED;
    cJSON *route = cJSON_AddObjectToObject(explain->answer, "route");
    struct rule_list list = {.base = {.size = sizeof(list.base),
                                      .limit = EXPLAIN_RULES,
                                      .tell = sink_tell,
                                      .leave_out = sink_leave_out},
                             .tried = cJSON_CreateArray()};

    explain->route = (struct weir_route_result){
        .size = sizeof(explain->route), .pool = WEIR_NO_REF, .route = WEIR_NO_REF};
    const struct use *closed = NULL;
    for (size_t i = 0; i < current->routers.count && status == WEIR_DECLINED && closed == NULL;
         i++) {
        const struct use *use = current->routers.items[i];
        status = try_router(explain, use, &list);
        closed = guard_is_out(use->guard) && use->guard->closed ? use : NULL;
    }
    bool known = status == WEIR_OK && explain->route.route < current->route_count;
    json_set(route, "name", known ? current->routes[explain->route.route]->route->name : NULL);
    cJSON_AddItemToObject(route, "tried", list.tried);
    json_set_number(route, "left_out", list.left_out);
    if (closed != NULL) {
        set_answer_out(explain, closed);
        return false;
    }
    if (known &&
        !explain_filters(explain, &current->routes[explain->route.route]->filters, "route")) {
        return false;
    }
    return judge_route(explain, current, status);
}

/* ---- servers ---- */

static const char *why_not(const struct pool_local *local, const struct server *server)
{
    if (server->admin == ADMIN_MAINTENANCE) {
        return "it is in maintenance";
    }
    if (server->admin == ADMIN_DRAIN) {
        return "it drains: no new sessions";
    }
    if (server->effective == 0) {
        return "its weight is 0";
    }
    if (server->no_address) {
        return "its host name has no known address";
    }
    if (server->ejected) {
        return "it is ejected for a time";
    }
    if (server->health == HEALTH_DOWN) {
        return "it is down";
    }
    if (server->awaiting_probe) {
        return "it waits for its first probe";
    }
    if (!server_has_room(server)) {
        return "it is at its limit";
    }
    return server->locals[local->index].candidate == UINT32_MAX
               ? "a backup, for when no other can serve"
               : NULL;
}

/* The workers' mean; 0: none has one. */
static double latency_ms(const struct server *server)
{
    uint64_t sum = 0, count = 0;
    for (unsigned i = 0; i < server->loops; i++) {
        uint32_t latency = __atomic_load_n(&server->locals[i].latency_us, __ATOMIC_RELAXED);
        sum += latency;
        count += latency > 0;
    }
    return count > 0 ? (double)sum / (double)count / 1000 : NAN;
}

/* The balancer's number, and what it says; null where it has none. */
static void set_score(struct explain *explain, struct pool_local *local,
                      const struct server *server, cJSON *one)
{
    struct weir_score score;
    bool known = pool_score(local, &explain->stream.attempt, server, &score);

    json_set_number(one, "score", known ? round(score.value * 1e6) / 1e6 : NAN);
    json_set(one, "score_text", known && score.text[0] != '\0' ? score.text : NULL);
}

/* NULL: its next connection's ALPN decides. */
static const char *spoken_to(const struct pool_plan *plan, const struct server *server)
{
    const struct up_codec *codec =
        up_protocol_codec((enum up_protocol)plan->settings->protocol, server->url.tls);
    return codec != NULL ? http_version_word(codec->version).ptr : NULL;
}

static cJSON *list_candidates(struct explain *explain, struct pool_local *local)
{
    cJSON *candidates = cJSON_CreateArray();

    for (size_t i = 0; i < local->plan->server_count; i++) {
        const struct server *server = local->plan->servers[i];
        const char *why = why_not(local, server);
        cJSON *one = json_append(candidates);
        json_set(one, "id", server->name);
        cJSON_AddBoolToObject(one, "eligible", why == NULL);
        json_set(one, "why", why != NULL ? why : "it can serve");
        json_set_rate(one, "weight", (double)server->effective / WEIR_WEIGHT_ONE);
        json_set(one, "protocol", spoken_to(local->plan, server));
        json_set_number(one, "in_flight", totals_server_in_flight(server));
        json_set_rate(one, "latency_ms", latency_ms(server));
        set_score(explain, local, server, one);
    }
    return candidates;
}

/* Who chooses: the balancer, or Weir itself while it is out. */
static void tell_balancer(struct explain *explain, const struct balancer *balancer)
{
    cJSON *one = cJSON_AddObjectToObject(explain->answer, "balancer");
    bool out = balancer_is_passed_over(balancer);

    json_set(one, "module", balancer->use->module->name);
    cJSON_AddBoolToObject(one, "out", out);
    json_set(one, "fallback",
             out ? guard_fallback_name(balancer->use->supervision.fallback) : NULL);
}

static void tell_sticky(struct explain *explain, const char *verdict, const struct server *session)
{
    cJSON *one = cJSON_AddObjectToObject(explain->answer, "sticky");

    json_set(one, "verdict", verdict);
    json_set(one, "server", session != NULL ? session->name : NULL);
}

static void explain_pick(struct explain *explain, const struct plan *current)
{
    struct pool_plan *plan = &current->pools[explain->route.pool];
    struct pool_local *local = &plan->pool->locals[stream_loop(&explain->stream)->index];
    struct server *session = NULL;

    explain->stream.pool = plan;
    attempt_begin(&explain->stream.attempt, &explain->stream.request_handle, plan->sticky);
    json_set(explain->answer, "pool", plan->pool->name);
    json_set(explain->protocol, "server", pool_protocol_word(plan->settings->protocol));
    bool sticky_out = plan->sticky != NULL && guard_is_out(plan->sticky->guard);
    if (sticky_out && plan->sticky->guard->closed) {
        tell_sticky(explain, "out", NULL);
        set_answer_out(explain, plan->sticky);
        return;
    }
    if (!explain_filters(explain, &plan->filters, "pool")) {
        return;
    }
    cJSON *candidates = list_candidates(explain, local); /* a pick moves the balancer on */
    struct server_local *chosen = pool_would_pick(local, &explain->stream.attempt, &session);
    const struct server_local *shadow =
        chosen != NULL && (session == NULL || chosen->server != session)
            ? pool_shadow_would_pick(local, &explain->stream.attempt)
            : NULL; /* it has no say in sessions */
    bool named = explain->stream.attempt.sticky_id != WEIR_NO_SERVER;
    bool kept = session != NULL && chosen != NULL && chosen->server == session;
    tell_sticky(explain, sticky_out ? "out" : !named ? "none" : kept ? "known" : "lost", session);
    tell_balancer(explain, local->own.balancer);
    cJSON_AddItemToObject(explain->answer, "candidates", candidates);
    json_set(explain->answer, "pick", chosen != NULL ? chosen->server->name : NULL);
    json_set(explain->answer, "shadow_pick", shadow != NULL ? shadow->server->name : NULL);
    if (chosen == NULL && pool_local_has_untried(local, &explain->stream.attempt.tried)) {
        set_answer(explain, 503, "queued: all that could serve are busy, and then queue_timeout");
    } else if (chosen == NULL) {
        set_answer(explain, 503, "no_server");
    }
}

void explain_answer(struct explain *explain, const struct plan *current)
{
    explain->answer = cJSON_CreateObject();
    json_set(explain->answer, "listener", explain->stream.listener->listener->name);
    explain->protocol = cJSON_AddObjectToObject(explain->answer, "protocol");
    show_offers(explain->protocol, explain->stream.listener);
    cJSON_AddArrayToObject(explain->answer, "filters");
    bool goes_on = explain_filters(explain, &explain->stream.listener->filters, "listener");
    if (!goes_on) {
        json_set(explain->answer, "route", NULL);
    } else if (explain->stream.listener->handler_count > 0) {
        const struct use *use =
            listener_plan_handler(explain->stream.listener, explain->stream.exchange.request.path);
        json_set(explain->answer, "handler", use != NULL ? use->module->name : NULL);
        json_set(explain->answer, "route", NULL);
    } else if (explain_route(explain, current)) {
        explain_pick(explain, current);
    }
    if (!cJSON_HasObjectItem(explain->protocol, "server")) {
        json_set(explain->protocol, "server", NULL);
    }
    static const char *const always[] = {"pool", "pick", "shadow_pick", "balancer", "answer"};
    for (size_t i = 0; i < ARRAY_COUNT(always); i++) {
        if (!cJSON_HasObjectItem(explain->answer, always[i])) {
            json_set(explain->answer, always[i], NULL);
        }
    }
    if (!cJSON_HasObjectItem(explain->answer, "sticky")) {
        tell_sticky(explain, "none", NULL);
    }
    if (!cJSON_HasObjectItem(explain->answer, "candidates")) {
        cJSON_AddArrayToObject(explain->answer, "candidates");
    }
    operation_succeed(explain->operation, 200, explain->answer);
}
