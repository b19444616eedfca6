/* SPDX-License-Identifier: MIT */
/*
 * Sums the loops' numbers and shows them to a module, row by row. See sdk_stats.h.
 *
 * Thread: the control thread's loop; workers go on writing meanwhile.
 */
#include "control/api/sdk_stats.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/logfile.h"
#include "control/api/totals.h"
#include "module/call.h"
#include "module/guard.h"
#include "proxy/plan/trial.h"
#include "proxy/pool/shadow.h"
#include "proxy/runtime.h"
#include "proxy/worker.h"

#define BOUNDS (HISTOGRAM_BUCKETS - 1)

_Static_assert(WEIR_PROTOCOLS == HTTP_VERSIONS && WEIR_GRPC_ENDS == GRPC_ENDS,
               "the SDK counts as the core does");

/* One row's memory; too large for a stack. */
struct view {
    struct traffic sum;
    struct weir_traffic traffic;
    struct weir_histogram connect, first_byte, total;
    uint64_t counts[3][HISTOGRAM_BUCKETS];
    double bounds[BOUNDS];
    struct weir_stats_row row;
    struct weir_shadow_stats shadow;
    uint64_t now_ns;
    bool all;       /* all histograms */
    uint32_t times; /* else `total` of rows of these kinds, as bits */
    weir_stats_fn fn;
    void *arg;
};

static void view_histogram(const struct view *view, struct weir_histogram *to, uint64_t *counts,
                           const struct histogram *from)
{
    uint64_t all = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        counts[i] = from->buckets[i];
        all += counts[i];
    }
    /* The count is that of the buckets shown, also where a worker has added one meanwhile. */
    *to = (struct weir_histogram){.size = sizeof(*to),
                                  .bound_count = BOUNDS,
                                  .bounds = view->bounds,
                                  .counts = counts,
                                  .count = all,
                                  .sum = (double)from->sum_us / 1e6};
}

/* Shows view->row with view->sum. false: the module has enough. */
static bool view_show(struct view *view)
{
    const struct traffic *sum = &view->sum;

    bool times = view->all || (view->times & 1u << view->row.kind) != 0;

    if (view->all) {
        view_histogram(view, &view->connect, view->counts[0], &sum->connect);
        view_histogram(view, &view->first_byte, view->counts[1], &sum->first_byte);
    }
    if (times) {
        view_histogram(view, &view->total, view->counts[2], &sum->total);
    }
    view->traffic = (struct weir_traffic){.size = sizeof(view->traffic),
                                          .reason_count = REASON_COUNT,
                                          .requests = sum->requests,
                                          .bytes_in = sum->bytes_in,
                                          .bytes_out = sum->bytes_out,
                                          .retries = sum->retries,
                                          .connections = sum->connections,
                                          .errors = sum->errors,
                                          .connect = view->all ? &view->connect : NULL,
                                          .first_byte = view->all ? &view->first_byte : NULL,
                                          .total = times ? &view->total : NULL,
                                          .abusive = sum->abusive,
                                          .odd_points = sum->odd_points,
                                          .h2_connections = sum->h2_connections,
                                          .h2_open = sum->h2_open,
                                          .h2_streams = sum->h2_streams};
    memcpy(view->traffic.status, sum->status, sizeof(view->traffic.status));
    memcpy(view->traffic.protocols, sum->protocols, sizeof(view->traffic.protocols));
    memcpy(view->traffic.grpc, sum->grpc, sizeof(view->traffic.grpc));
    view->row.size = sizeof(view->row);
    view->row.traffic = &view->traffic;
    return view->fn(view->arg, &view->row);
}

static void view_begin(struct view *view, enum weir_stats_kind kind, const char *name)
{
    view->sum = (struct traffic){0};
    view->row = (struct weir_stats_row){.kind = kind, .name = str_from(name)};
}

/* Adds one loop's, as far as it is asked for. */
static void view_add(struct view *view, const struct traffic *from)
{
    if (view->all) {
        traffic_sum(&view->sum, from);
        return;
    }
    traffic_sum_counters(&view->sum, from);
    if ((view->times & 1u << view->row.kind) != 0) {
        traffic_sum_times(&view->sum, from);
    }
}

static void view_sum(struct view *view, struct totals totals)
{
    for (unsigned i = 0; i < totals.loops; i++) {
        view_add(view, totals_on(totals, i));
    }
}

/* ---- one kind after the other; false: enough ---- */

static bool show_process(struct view *view, const struct generation *g)
{
    view_begin(view, WEIR_STATS_PROCESS, PACKAGE_VERSION);
    for (size_t i = 0; i < g->plan->listener_count; i++) {
        const struct listener *listener = g->plan->listeners[i].listener;
        view_sum(view, TOTALS_OF(listener));
        view->row.open += listener->open;
    }
    for (size_t i = 0; i < g->plan->pool_count; i++) {
        const struct pool_plan *plan = &g->plan->pools[i];
        view->row.queued += plan->pool->queue.waiting;
        view->row.in_flight += totals_in_flight(plan);
    }
    view->row.start_wall_ms = g->runtime->start_wall_ms;
    view->row.generation = g->id;
    view->row.workers = g->runtime->workers;
    view->row.log_dropped = logfile_dropped() + log_state().dropped;
    view->row.reloads = g->runtime->reloads.done;
    view->row.reloads_refused = g->runtime->reloads.refused;
    view->row.reloaded_wall_ms = g->runtime->reloads.done_wall_ms;
    view->row.reload_refused = g->runtime->reloads.last_refused;
    return view_show(view);
}

static bool show_listeners(struct view *view, const struct generation *g)
{
    for (size_t i = 0; i < g->plan->listener_count; i++) {
        const struct listener_plan *plan = &g->plan->listeners[i];
        view_begin(view, WEIR_STATS_LISTENER, plan->listener->name);
        view_sum(view, TOTALS_OF(plan->listener));
        view->row.open = plan->listener->open;
        view->row.tls = plan->tls != NULL;
        view->row.handler = listener_plan_on_control(plan);
        if (!view_show(view)) {
            return false;
        }
    }
    return true;
}

static bool show_routes(struct view *view, const struct generation *g)
{
    for (size_t i = 0; i < g->plan->route_count; i++) {
        view_begin(view, WEIR_STATS_ROUTE, g->plan->routes[i]->route->name);
        const struct route *route = g->plan->routes[i]->route;
        for (unsigned k = 0; k < route->loops; k++) {
            view_add(view, &route->traffic[k]);
        }
        if (!view_show(view)) {
            return false;
        }
    }
    return true;
}

static double seconds(double ms)
{
    return ms >= 0 ? ms / 1000 : NAN;
}

static void view_shadow_of(struct view *view, const struct server *server)
{
    struct shadow_choices sum = shadow_sum_of(server);

    view->shadow = (struct weir_shadow_stats){
        .size = sizeof(view->shadow),
        .picked = sum.picked,
        .chosen = sum.chosen,
        .in_flight = shadow_in_flight(server),
        .wait = seconds(shadow_wait_ms(&sum)),
        .predicted_wait = seconds(shadow_predicted_ms(server, &sum)),
    };
    view->row.shadow = &view->shadow;
}

static void view_shadow(struct view *view, const struct pool_plan *plan)
{
    struct shadow_counts sum = shadow_sum(plan->pool);

    view->shadow = (struct weir_shadow_stats){
        .size = sizeof(view->shadow),
        .out = shadow_out(plan).reason[0] != '\0',
        .asked = sum.asked,
        .agreed = sum.agreed,
        .none = sum.none,
        .waits = sum.waits,
        .wait = (double)sum.wait_us / 1e6,
        .predicted_wait = (double)sum.predicted_us / 1e6,
    };
    view->row.shadow = &view->shadow;
}

static bool show_server(struct view *view, const struct pool_plan *plan,
                        const struct server *server)
{
    view_begin(view, WEIR_STATS_SERVER, server->name);
    view_sum(view, TOTALS_OF(server));
    view->row.pool = str_from(server->pool_name);
    view->row.url = server->url.text;
    view->row.in_flight = totals_server_in_flight(server);
    view->row.health = server->health == HEALTH_UP ? WEIR_STATS_HEALTH_UP
                       : !server_is_well(server)   ? WEIR_STATS_HEALTH_DOWN
                                                   : WEIR_STATS_HEALTH_UNKNOWN;
    view->row.state = server->admin == ADMIN_READY   ? WEIR_STATS_READY
                      : server->admin == ADMIN_DRAIN ? WEIR_STATS_DRAIN
                                                     : WEIR_STATS_MAINTENANCE;
    view->row.weight = server->weight;
    view->row.effective_weight = (double)server->effective / WEIR_WEIGHT_ONE;
    view->row.max_connections = server->max_connections;
    view->row.backup = server->backup != 0;
    view->row.sticky = plan->sticky != NULL;
    if (view->row.sticky && view->all) {
        view->row.sessions = sessions_count(server, view->now_ns);
    }
    if (plan->shadow != NULL) {
        view_shadow_of(view, server);
    }
    return view_show(view);
}

static bool show_pool(struct view *view, const struct pool_plan *plan)
{
    view_begin(view, WEIR_STATS_POOL, plan->pool->name);
    view_sum(view, TOTALS_OF(plan->pool));
    view->row.queued = plan->pool->queue.waiting;
    view->row.servers = (uint32_t)plan->server_count;
    view->row.in_flight = totals_in_flight(plan);
    view->row.servers_up = totals_servers_up(plan);
    if (plan->shadow != NULL) {
        view_shadow(view, plan);
    }
    if (!view_show(view)) {
        return false;
    }
    for (size_t i = 0; i < plan->server_count; i++) {
        if (!show_server(view, plan, plan->servers[i])) {
            return false;
        }
    }
    return true;
}

static enum weir_status visit(struct weir_context *ctx, bool all, uint32_t times, weir_stats_fn fn,
                              void *arg)
{
    const struct worker *worker = worker_of(module_context_of(ctx)->loop);
    const struct generation *g = worker->plan != NULL ? generation_of(worker->plan) : NULL;
    struct view *view = aligned_alloc(_Alignof(struct view), sizeof(*view)); /* it has a traffic */

    if (view == NULL) {
        return WEIR_NO_MEMORY;
    }
    memset(view, 0, sizeof(*view));
    view->all = all;
    view->times = times;
    view->fn = fn;
    view->arg = arg;
    view->now_ns = loop_now_ns(worker->loop);
    for (unsigned i = 0; i < BOUNDS; i++) {
        view->bounds[i] = (double)histogram_bound_us(i + 1) / 1e6;
    }
    bool more =
        g != NULL && show_process(view, g) && show_listeners(view, g) && show_routes(view, g);
    for (size_t i = 0; more && i < g->plan->pool_count; i++) {
        more = show_pool(view, &g->plan->pools[i]);
    }
    free(view);
    return WEIR_OK;
}

static enum weir_status stats_visit(struct weir_context *ctx, weir_stats_fn fn, void *arg)
{
    return visit(ctx, true, 0, fn, arg);
}

static enum weir_status stats_counters(struct weir_context *ctx, uint32_t times, weir_stats_fn fn,
                                       void *arg)
{
    return visit(ctx, false, times, fn, arg);
}

/* Copies of a module share their metrics, and one that is tried stands beside the other. */
static bool shown_before(const struct plan *plan, size_t block, const struct metric *metric)
{
    for (size_t i = 0; i < block; i++) {
        const struct module *module = plan->modules.items[i]->module;
        for (uint32_t k = 0; k < module->metric_count; k++) {
            if (module->metrics[k] == metric) {
                return true;
            }
        }
    }
    return false;
}

static void stats_metrics(struct weir_context *ctx, weir_metric_fn fn, void *arg)
{
    const struct worker *worker = worker_of(module_context_of(ctx)->loop);
    const struct plan *plan = worker->plan;

    for (size_t i = 0; plan != NULL && i < plan->modules.count; i++) {
        const struct module *module = plan->modules.items[i]->module;
        bool tried = plan->has_canary && i + 1 == plan->modules.count;
        for (uint32_t k = 0; k < module->metric_count; k++) {
            if (tried && shown_before(plan, i, module->metrics[k])) {
                continue;
            }
            const struct weir_metric_row row = {
                .size = sizeof(row),
                .type = module->metrics[k]->type,
                .module = str_from(module->name),
                .name = str_from(module->metrics[k]->name),
                .help = str_from(module->descriptor.metrics->rows[k].help),
                .value = metric_value(module->metrics[k]),
            };
            if (!fn(arg, &row)) {
                return;
            }
        }
    }
}

/* ---- what is known of modules ---- */

/* What one family of rows says. */
struct module_view {
    weir_module_fn fn;
    void *arg;
    struct weir_module_row row;
    const struct plan *plan;
    bool more;
};

static void show_number(struct module_view *view, double value, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void show_number(struct module_view *view, double value, const char *format, ...)
{
    char labels[256];
    va_list args;

    va_start(args, format);
    int len = vsnprintf(labels, sizeof(labels), format, args);
    va_end(args);
    view->row.labels = (struct weir_str){labels, (size_t)len};
    view->row.value = value;
    view->more = view->more && view->fn(view->arg, &view->row);
}

static void show_calls(struct module_view *view, const char *labels, const struct call_times *sum)
{
    show_number(view, (double)call_count(sum), "%s", labels);
}

static void show_seconds(struct module_view *view, const char *labels, const struct call_times *sum)
{
    show_number(view, call_ticks_ns((double)sum->ticks) / 1e9, "%s", labels);
}

static void show_times(struct module_view *view, const char *labels, const struct call_times *sum)
{
    show_number(view, call_quantile_ns(sum, 0.5) / 1e9, "%s,point=\"p50\"", labels);
    show_number(view, call_quantile_ns(sum, 0.99) / 1e9, "%s,point=\"p99\"", labels);
    show_number(view, call_ticks_ns((double)sum->worst) / 1e9, "%s,point=\"worst\"", labels);
}

static void show_strikes(struct module_view *view, const char *labels, const struct call_times *sum)
{
    for (enum strike strike = 0; strike < STRIKES; strike++) {
        show_number(view, (double)sum->strikes[strike], "%s,kind=\"%s\"", labels,
                    strike_name(strike));
    }
}

/* Of a copy that is tried, so that its numbers are not those of the one in force. */
static const char *copy_label(const struct plan *plan, size_t block)
{
    return plan->has_canary && block + 1 == plan->modules.count ? ",copy=\"new\"" : "";
}

/* How many module blocks have a copy that no block before has: the last one is that of a trial,
 * which may be of a balancer whose module is in force anyway. */
static size_t count_copies(const struct plan *plan)
{
    size_t count = plan->modules.count;

    for (size_t i = 0; i + 1 < count && plan->has_canary; i++) {
        if (plan->modules.items[i]->module == plan->modules.items[count - 1]->module) {
            return count - 1;
        }
    }
    return count;
}

static void show_hooks(struct module_view *view, const struct plan *plan,
                       void (*show)(struct module_view *view, const char *labels,
                                    const struct call_times *sum))
{
    for (size_t i = 0, count = count_copies(plan); i < count; i++) {
        const struct module *module = plan->modules.items[i]->module;
        for (enum module_hook hook = 0; hook < MODULE_HOOKS && view->more; hook++) {
            struct call_times sum;
            char labels[160];
            snprintf(labels, sizeof(labels), "module=\"%s\",hook=\"%s\"%s", module->name,
                     module_hook_name(hook), copy_label(plan, i));
            if (call_sum(module->meters, module->loops, hook, &sum)) {
                show(view, labels, &sum);
            }
        }
    }
}

static void show_blocks_out(struct module_view *view, const struct module *module, const char *copy)
{
    unsigned out = 0;

    list_each(link, &module->guards)
    {
        out += plan_has_out(view->plan, container_of(link, struct guard, link));
    }
    show_number(view, out, "module=\"%s\"%s", module->name, copy);
}

static void show_quarantine(struct module_view *view, const struct module *module, const char *copy)
{
    show_number(view, module->quarantine != NULL, "module=\"%s\"%s", module->name, copy);
}

static void show_allocated(struct module_view *view, const char *labels,
                           const struct call_times *sum)
{
    show_number(view, (double)sum->allocated, "%s", labels);
}

/* What became of one arm's picks in a pool where a copy is tried. */
struct arm_totals {
    uint64_t picks;
    struct trial_counts total;
};

static void show_picks(struct module_view *view, const char *labels, const struct arm_totals *tried)
{
    show_number(view, (double)tried->picks, "%s", labels);
}

static void show_requests(struct module_view *view, const char *labels,
                          const struct arm_totals *tried)
{
    show_number(view, (double)tried->total.requests, "%s", labels);
}

static void show_errors(struct module_view *view, const char *labels,
                        const struct arm_totals *tried)
{
    show_number(view, (double)tried->total.errors, "%s", labels);
}

static void show_first_byte(struct module_view *view, const char *labels,
                            const struct arm_totals *tried)
{
    const struct histogram *times = &tried->total.first_byte;

    if (times->count > 0) {
        show_number(view, histogram_quantile_ms(times, 0.5) / 1e3, "%s,point=\"p50\"", labels);
        show_number(view, histogram_quantile_ms(times, 0.99) / 1e3, "%s,point=\"p99\"", labels);
    }
}

static void show_trials(struct module_view *view, const struct plan *plan,
                        void (*show)(struct module_view *view, const char *labels,
                                     const struct arm_totals *tried))
{
    static const char *const copies[TRIAL_ARMS] = {[ARM_OLD] = "old", [ARM_NEW] = "new"};

    for (size_t i = 0; i < plan->pool_count; i++) {
        const struct pool_plan *pool = &plan->pools[i];
        for (unsigned arm = 0; arm < TRIAL_ARMS && pool->trial != NULL && view->more; arm++) {
            const struct use *use = arm == ARM_NEW ? pool->canary : pool->balance;
            struct arm_totals tried;
            char labels[224];
            snprintf(labels, sizeof(labels), "module=\"%s\",pool=\"%s\",copy=\"%s\"",
                     use->module->name, pool->pool->name, copies[arm]);
            trial_total(pool->trial, arm, &tried.picks, &tried.total);
            show(view, labels, &tried);
        }
    }
}

/* One of the functions: by hook, by module, by pool and copy where one is tried. */
static const struct {
    const char *name, *help;
    enum weir_metric_type type;
    void (*hook)(struct module_view *view, const char *labels, const struct call_times *sum);
    void (*module)(struct module_view *view, const struct module *module, const char *copy);
    void (*trial)(struct module_view *view, const char *labels, const struct arm_totals *tried);
} module_numbers[] = {
    {"calls", "Calls of modules' hooks.", WEIR_COUNTER, .hook = show_calls},
    {"call_time_seconds", "Time in modules' hooks, without calls inside them.", WEIR_COUNTER,
     .hook = show_seconds},
    {"call_duration_seconds", "Time of a call: median, 99th percentile and worst since loading.",
     WEIR_GAUGE, .hook = show_times},
    {"strikes", "Breaches of modules' contract: calls over budget, wrong answers, failed hooks.",
     WEIR_COUNTER, .hook = show_strikes},
    {"blocks_out", "Blocks of a module that are out for too many strikes, or in quarantine.",
     WEIR_GAUGE, .module = show_blocks_out},
    {"quarantined", "1 for a module in quarantine, since Weir has died in it.", WEIR_GAUGE,
     .module = show_quarantine},
    {"allocated_bytes", "Memory that modules' hooks have asked Weir for.", WEIR_COUNTER,
     .hook = show_allocated},
    {"trial_picks", "Picks of a pool's balancers while one is tried beside the other.",
     WEIR_COUNTER, .trial = show_picks},
    {"trial_requests", "Requests of these picks that have ended.", WEIR_COUNTER,
     .trial = show_requests},
    {"trial_errors", "Those that failed, or were answered with 5xx.", WEIR_COUNTER,
     .trial = show_errors},
    {"trial_first_byte_seconds", "Their time to the first byte: median and 99th percentile.",
     WEIR_GAUGE, .trial = show_first_byte},
};

static void stats_modules(struct weir_context *ctx, weir_module_fn fn, void *arg)
{
    const struct worker *worker = worker_of(module_context_of(ctx)->loop);
    const struct plan *plan = worker->plan;
    struct module_view view = {.fn = fn, .arg = arg, .plan = plan, .more = plan != NULL};

    for (size_t i = 0; i < ARRAY_COUNT(module_numbers) && view.more; i++) {
        view.row = (struct weir_module_row){.size = sizeof(view.row),
                                            .type = module_numbers[i].type,
                                            .name = str_from(module_numbers[i].name),
                                            .help = str_from(module_numbers[i].help)};
        if (module_numbers[i].hook != NULL) {
            show_hooks(&view, plan, module_numbers[i].hook);
        } else if (module_numbers[i].trial != NULL) {
            show_trials(&view, plan, module_numbers[i].trial);
        }
        for (size_t k = 0, count = count_copies(plan);
             k < count && view.more && module_numbers[i].module != NULL; k++) {
            module_numbers[i].module(&view, plan->modules.items[k]->module, copy_label(plan, k));
        }
    }
}

static struct weir_str reason_name(struct weir_context *ctx, uint32_t reason)
{
    (void)ctx;
    return reason < REASON_COUNT ? reason_word((enum reason)reason) : (struct weir_str){"", 0};
}

void sdk_stats_fill(struct weir_host *host)
{
    host->stats_visit = stats_visit;
    host->stats_counters = stats_counters;
    host->stats_metrics = stats_metrics;
    host->stats_modules = stats_modules;
    host->reason_name = reason_name;
}
