/* SPDX-License-Identifier: MIT */
/*
 * A module of every kind that a minor number of the ABI had, using what that had to offer. Built
 * against the headers of before, under the name OLD_NAME; see README.md.
 *
 * As a filter it names itself and its word in each request and response; as a router it sends
 * all to the pool that its option names; as a balancer it takes the usable server with the
 * fewest requests of its own count, by `pick` or (since 1.4) by `cost`; as a sticky module it reads the cookie `old`; the logger
 * writes one line a request.
 */
#include <weir/weir.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct conf {
    struct weir_str word, pool, log;
    int64_t turn;
};

static const struct weir_option rows[] = {
    WEIR_OPTION(struct conf, word, STRING, "none",
                WEIR_CONTEXT_MODULE | WEIR_CONTEXT_POOL | WEIR_CONTEXT_LISTENER,
                WEIR_OPTION_RELOADABLE, "What it says."),
    WEIR_OPTION(struct conf, pool, STRING, "", WEIR_CONTEXT_MODULE, WEIR_OPTION_RELOADABLE,
                "Where its routes lead."),
    WEIR_OPTION(struct conf, log, STRING, "", WEIR_CONTEXT_MODULE, WEIR_OPTION_RELOADABLE,
                "The file that it writes."),
    WEIR_OPTION_RANGE(struct conf, turn, INTEGER, "0", "0", "9", WEIR_CONTEXT_POOL,
                      WEIR_OPTION_RELOADABLE, "Which server begins."),
};
static const struct weir_options options = WEIR_OPTIONS(struct conf, rows);

#define TEXT(literal) ((struct weir_str){(literal), sizeof(literal) - 1})

struct prepared {
    weir_pool_ref pool;
    weir_route_ref route;
};

static enum weir_status conf_create(struct weir_context *ctx, struct weir_check *check,
                                    const void *conf, void **prepared)
{
    const struct conf *own = conf;
    struct prepared *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return WEIR_NO_MEMORY;
    }
    made->pool = made->route = WEIR_NO_REF;
    if (own->pool.len > 0) {
        made->pool = weir_check_pool(ctx, check, &own->pool);
        made->route = weir_check_route(ctx, check, &own->pool, TEXT("old"));
    }
    if (own->word.len > 20) {
        weir_check_error(ctx, check, &own->word, "\"%.*s\" is too long a word", (int)own->word.len,
                         own->word.ptr);
    }
    *prepared = made;
    return WEIR_OK;
}

static void conf_free(struct weir_context *ctx, void *prepared)
{
    (void)ctx;
    free(prepared);
}

/* ---- one instance for all kinds ---- */

struct server {
    weir_server_id id;
    uint64_t sent, done;
};

struct instance {
    const struct conf *conf;
    const struct prepared *prepared;
    struct weir_timer *timer;
    struct weir_file *file;
    struct server *servers;
    uint32_t server_count;
    uint64_t ticks;
};

static enum weir_status create(struct weir_context *ctx, const void *conf, void *prepared,
                               void **out)
{
    struct instance *self = calloc(1, sizeof(*self));
    (void)ctx;
    if (self == NULL) {
        return WEIR_NO_MEMORY;
    }
    self->conf = conf;
    self->prepared = prepared;
    *out = self;
    return WEIR_OK;
}

static void destroy(struct weir_context *ctx, void *instance)
{
    struct instance *self = instance;
    (void)ctx;
    free(self->servers);
    free(self);
}

static enum weir_status worker_start(struct weir_context *ctx, const void *conf, void *prepared)
{
    uint8_t bytes[32];
    (void)conf;
    (void)prepared;
    weir_random(ctx, bytes, sizeof(bytes));
    weir_hmac_sha256(ctx, bytes, sizeof(bytes), "x", 1, bytes);
    return weir_worker_index(ctx) <= weir_worker_count(ctx) && weir_now_ns(ctx) > 0 &&
                   weir_wall_ms(ctx) > 0
               ? WEIR_OK
               : WEIR_ERROR;
}

static void worker_stop(struct weir_context *ctx)
{
    weir_log(ctx, WEIR_LOG_NOTICE, "old worker_stop");
}

/* ---- router ---- */

static enum weir_status route(struct weir_context *ctx, void *instance, struct weir_request *req,
                              struct weir_route_result *out)
{
    const struct instance *self = instance;
    (void)ctx;
    if (weir_request_path(req).len == 4 && memcmp(weir_request_path(req).ptr, "/off", 4) == 0) {
        out->status = 302;
        out->location = TEXT("/elsewhere");
        return WEIR_OK;
    }
    out->pool = self->prepared->pool;
    out->route = self->prepared->route;
    return out->pool != WEIR_NO_REF ? WEIR_OK : WEIR_DECLINED;
}

#if WEIR_ABI_MINOR >= 3
static void explain(struct weir_context *ctx, void *instance, struct weir_request *req,
                    const struct weir_rule_sink *sink)
{
    const struct instance *self = instance;
    struct weir_rule rule = {.size = sizeof(rule),
                             .verdict = WEIR_RULE_WINS,
                             .route = self->prepared->route,
                             .name = TEXT("old rule"),
                             .why = TEXT("it takes all")};
    (void)ctx;
    (void)req;
    weir_rule_tell(sink, &rule);
}
#endif

static const struct weir_router router = {
    .size = sizeof(router),
    .create = create,
    .destroy = destroy,
    .route = route,
#if WEIR_ABI_MINOR >= 3
    .explain = explain,
#endif
};

/* ---- balancer ---- */

#if WEIR_ABI_MINOR >= 4
static double cost(struct weir_context *ctx, void *instance, const struct weir_candidate *candidate,
                   const struct weir_pick *pick)
{
    (void)ctx;
    (void)instance;
    (void)pick;
    return (double)((const struct server *)candidate->slot)->sent;
}

static void on_sent(struct weir_context *ctx, void *instance,
                    const struct weir_candidate *candidate)
{
    struct server *server = candidate->slot;
    (void)instance;
    server->id = candidate->id;
    server->sent++;
    weir_count(ctx, 0, 1);
}

static void on_complete(struct weir_context *ctx, void *instance,
                        const struct weir_feedback *feedback)
{
    struct server *server = feedback->slot;
    (void)instance;
    if (server != NULL && (server->id != feedback->id || ++server->done > server->sent)) {
        weir_log(ctx, WEIR_LOG_ERROR, "old balancer: another's slot, or more ends than requests");
    }
}

static enum weir_status score(struct weir_context *ctx, void *instance,
                              const struct weir_pick *pick, uint32_t index, struct weir_score *out)
{
    (void)ctx;
    (void)instance;
    (void)pick;
    (void)index;
    snprintf(out->text, sizeof(out->text), "old score");
    return WEIR_OK;
}

static enum weir_status save(struct weir_context *ctx, void *instance, struct weir_state *state)
{
    (void)ctx;
    (void)instance;
    if (state->slot == NULL) {
        return WEIR_DECLINED;
    }
    memcpy(state->data, state->slot, sizeof(struct server));
    state->len = sizeof(struct server);
    return WEIR_OK;
}

static enum weir_status restore(struct weir_context *ctx, void *instance,
                                const struct weir_state *state)
{
    (void)ctx;
    (void)instance;
    memcpy(state->slot, state->data, sizeof(struct server));
    ((struct server *)state->slot)->done = ((struct server *)state->slot)->sent = 0;
    return WEIR_OK;
}

static const struct weir_balancer balancer = {
    .size = sizeof(balancer),
    .create = create,
    .destroy = destroy,
    .cost = cost,
    .on_sent = on_sent,
    .on_complete = on_complete,
    .score = score,
    .save = save,
    .restore = restore,
    .slot_size = sizeof(struct server),
};

static const struct weir_metric metric_rows[] = {{"sent", WEIR_COUNTER, "Requests that it sent."}};
static const struct weir_metrics metrics = WEIR_METRICS(metric_rows);
#else
static enum weir_status on_members(struct weir_context *ctx, void *instance,
                                   const struct weir_candidates *candidates)
{
    struct instance *self = instance;
    struct server *servers = calloc(candidates->count + 1, sizeof(*servers));
    (void)ctx;
    if (servers == NULL) {
        return WEIR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < candidates->count; i++) {
        servers[i].id = weir_candidate_at(candidates, i)->id;
        for (uint32_t j = 0; j < self->server_count; j++) {
            servers[i] = self->servers[j].id == servers[i].id ? self->servers[j] : servers[i];
        }
    }
    free(self->servers);
    self->servers = servers;
    self->server_count = candidates->count;
    return WEIR_OK;
}

static uint32_t pick(struct weir_context *ctx, void *instance, const struct weir_pick *pick)
{
    const struct instance *self = instance;
    uint32_t best = WEIR_PICK_NONE;
    (void)ctx;
    for (uint32_t n = 0; n < self->server_count; n++) {
        uint32_t i = (n + (uint32_t)self->conf->turn) % self->server_count;
        if (weir_pick_usable(pick, i) &&
            (best == WEIR_PICK_NONE || self->servers[i].sent < self->servers[best].sent)) {
            best = i;
        }
    }
    return best;
}

static void on_assign(struct weir_context *ctx, void *instance, uint32_t index)
{
    (void)ctx;
    ((struct instance *)instance)->servers[index].sent++;
}

static void on_complete(struct weir_context *ctx, void *instance,
                        const struct weir_feedback *feedback)
{
    struct instance *self = instance;
    if (feedback->index == WEIR_PICK_NONE) {
        return; /* it is no candidate any more, or another instance's */
    }
    if (feedback->index >= self->server_count ||
        self->servers[feedback->index].id != feedback->id) {
        weir_log(ctx, WEIR_LOG_ERROR, "old balancer: another server has index %u",
                 feedback->index);
    } else if (++self->servers[feedback->index].done > self->servers[feedback->index].sent) {
        weir_log(ctx, WEIR_LOG_ERROR, "old balancer: more have ended than were sent");
    }
}

#if WEIR_ABI_MINOR >= 3
static enum weir_status score(struct weir_context *ctx, void *instance,
                              const struct weir_pick *pick, uint32_t index, struct weir_score *out)
{
    (void)ctx;
    (void)pick;
    out->value = (double)((struct instance *)instance)->servers[index].sent;
    snprintf(out->text, sizeof(out->text), "old score");
    return WEIR_OK;
}
#endif

static const struct weir_balancer balancer = {
    .size = sizeof(balancer),
    .create = create,
    .destroy = destroy,
    .on_members = on_members,
    .pick = pick,
    .on_assign = on_assign,
    .on_complete = on_complete,
#if WEIR_ABI_MINOR >= 3
    .score = score,
#endif
};
#endif

/* ---- sticky ---- */

static weir_server_id lookup(struct weir_context *ctx, void *instance, struct weir_request *req)
{
    struct weir_str cookie;
    char text[40] = "";
    weir_server_id id = WEIR_NO_SERVER;
    (void)ctx;
    (void)instance;
    if (weir_request_header(req, "Cookie", &cookie) && cookie.len < sizeof(text)) {
        memcpy(text, cookie.ptr, cookie.len);
        if (sscanf(text, "old=%" SCNx64, &id) != 1) {
            return WEIR_NO_SERVER;
        }
    }
#if WEIR_ABI_MINOR >= 3
    weir_request_session(req, id);
#endif
    return id;
}

static void sticky_response(struct weir_context *ctx, void *instance, struct weir_request *req,
                            struct weir_response *resp, weir_server_id server, bool known)
{
    char text[40];
    (void)ctx;
    (void)instance;
    (void)req;
    if (!known) {
        snprintf(text, sizeof(text), "old=%" PRIx64, server);
        weir_response_add_header(resp, TEXT("Set-Cookie"), (struct weir_str){text, strlen(text)});
    }
}

static const struct weir_sticky sticky = {
    .size = sizeof(sticky),
    .create = create,
    .destroy = destroy,
    .lookup = lookup,
    .on_response = sticky_response,
};

/* ---- health ---- */

static size_t request(struct weir_context *ctx, void *instance,
                      const struct weir_probe_target *target, char *out, size_t capacity)
{
    (void)ctx;
    (void)instance;
    int len = snprintf(out, capacity, "GET /old HTTP/1.0\r\nHost: %.*s\r\n\r\n",
                       (int)target->authority.len, target->authority.ptr);
    return len > 0 ? (size_t)len : 0;
}

static enum weir_verdict judge(struct weir_context *ctx, void *instance,
                               const struct weir_probe_target *target, const char *data, size_t len,
                               bool eof, char *reason, size_t reason_size)
{
    (void)ctx;
    (void)instance;
    (void)target;
    if (len < 12 && !eof) {
        return WEIR_VERDICT_MORE;
    }
    bool up = len >= 12 && memcmp(data + 9, "200", 3) == 0;
    snprintf(reason, reason_size, "old probe: %s", up ? "good" : "bad");
    return up ? WEIR_VERDICT_UP : WEIR_VERDICT_DOWN;
}

#if WEIR_ABI_MINOR >= 2
static void on_outcomes(struct weir_context *ctx, void *instance,
                        const struct weir_outcomes *outcomes)
{
    struct instance *self = instance;
    if (self->ticks++ == 0) {
        weir_log(ctx, WEIR_LOG_NOTICE, "old outcomes of %.*s: %u", (int)outcomes->name.len,
                 outcomes->name.ptr, outcomes->runs[0].outcome);
    }
}
#endif

static const struct weir_health health = {
    .size = sizeof(health),
    .create = create,
    .destroy = destroy,
    .request = request,
    .judge = judge,
#if WEIR_ABI_MINOR >= 2
    .on_outcomes = on_outcomes,
#endif
};

/* ---- filter: all instances of a module share a request's slot ---- */

static const char mark[] = OLD_NAME;

static enum weir_status on_request(struct weir_context *ctx, void *instance,
                                   struct weir_request *req)
{
    const struct instance *self = instance;
    struct weir_str path = weir_request_path(req);

    *weir_request_slot(req, ctx) = (void *)(uintptr_t)mark;
    if (path.len == 5 && memcmp(path.ptr, "/self", 5) == 0) {
        return weir_reply(req, 418, TEXT("text/plain"), TEXT("old\n")) == WEIR_OK ? WEIR_DONE
                                                                                : WEIR_ERROR;
    }
#if WEIR_ABI_MINOR >= 1
    if (path.len == 6 && memcmp(path.ptr, "/moved", 6) == 0) {
        weir_request_set_path(req, TEXT("/new"));
    }
#endif
    return weir_request_set_header(req, TEXT("X-Old"), weir_request_copy(req, self->conf->word));
}

static void on_response(struct weir_context *ctx, void *instance, struct weir_request *req,
                        struct weir_response *resp)
{
    const struct instance *self = instance;
    bool slot = *weir_request_slot(req, ctx) == (void *)(uintptr_t)mark;
    weir_response_set_header(resp, TEXT("X-Old"), slot ? self->conf->word : TEXT("another's slot"));
#if WEIR_ABI_MINOR >= 1
    struct weir_str path = weir_request_path(req);
    if (path.len == 6 && memcmp(path.ptr, "/upper", 6) == 0) {
        weir_response_transform(resp, instance);
    }
#endif
}

#if WEIR_ABI_MINOR >= 1
static enum weir_status on_response_data(struct weir_context *ctx, void *instance, void *state,
                                         struct weir_transform *transform, const void *data,
                                         size_t len, enum weir_flow flow, size_t *used)
{
    (void)ctx;
    (void)instance;
    (void)state;
    (void)flow;
    for (size_t i = 0; i < len; i++) {
        char c = ((const char *)data)[i];
        c = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
        weir_transform_write(transform, &c, 1);
    }
    *used = len;
    return WEIR_OK;
}
#endif

static const struct weir_filter filter = {
    .size = sizeof(filter),
    .create = create,
    .destroy = destroy,
    .on_request = on_request,
    .on_response = on_response,
#if WEIR_ABI_MINOR >= 1
    .on_response_data = on_response_data,
#endif
};

/* ---- logger ---- */

static void flush(void *arg)
{
    ((struct instance *)arg)->ticks++;
}

static enum weir_status logger_create(struct weir_context *ctx, const void *conf, void *prepared,
                                      void **out)
{
    enum weir_status status = create(ctx, conf, prepared, out);
    struct instance *self = *out;
    if (status != WEIR_OK || self->conf->log.len == 0) {
        return status;
    }
    self->file = weir_file_open(ctx, self->conf->log);
    self->timer = weir_timer_new(ctx, flush, self);
    if (self->timer != NULL) {
        weir_timer_set(ctx, self->timer, 1000000);
    }
    return self->file != NULL && self->timer != NULL ? WEIR_OK : WEIR_ERROR;
}

static void logger_destroy(struct weir_context *ctx, void *instance)
{
    struct instance *self = instance;
    if (self->file != NULL) {
        weir_file_close(ctx, self->file);
        weir_timer_free(ctx, self->timer);
    }
    destroy(ctx, instance);
}

static void log_request(struct weir_context *ctx, void *instance, struct weir_request *req,
                        struct weir_response *resp, const struct weir_record *record)
{
    const struct instance *self = instance;
    char line[256];
    if (self->file != NULL) {
        int len = snprintf(line, sizeof(line), "%.*s %u %u %s\n", (int)weir_request_path(req).len,
                           weir_request_path(req).ptr, record->status,
                           resp != NULL ? weir_response_status(resp) : 0,
                           record->total_ns > 0 && record->start_wall_ms > 0 ? "timed" : "untimed");
        weir_file_write(ctx, self->file, line, (size_t)len);
    }
}

static const struct weir_logger logger = {
    .size = sizeof(logger),
    .create = logger_create,
    .destroy = logger_destroy,
    .log = log_request,
};

/* ---- handler ---- */

static enum weir_status handle(struct weir_context *ctx, void *instance, struct weir_request *req)
{
    const struct instance *self = instance;
    (void)ctx;
    return weir_reply(req, 200, TEXT("text/plain"), self->conf->word);
}

static const struct weir_handler handler = {
    .size = sizeof(handler),
    .create = create,
    .destroy = destroy,
    .on_request = handle,
};

static const struct weir_module module = {
    .size = sizeof(module),
    .abi_major = WEIR_ABI_MAJOR,
    .abi_minor = WEIR_ABI_MINOR,
    .name = OLD_NAME,
    .version = "1.0",
    .license = "MIT",
    .summary = "uses what its ABI had",
    .options = &options,
    .conf_create = conf_create,
    .conf_free = conf_free,
    .worker_start = worker_start,
    .worker_stop = worker_stop,
    .router = &router,
    .balancer = &balancer,
    .sticky = &sticky,
    .health = &health,
    .filter = &filter,
    .handler = &handler,
    .logger = &logger,
#if WEIR_ABI_MINOR >= 4
    .metrics = &metrics,
#endif
};
WEIR_MODULE(module);
