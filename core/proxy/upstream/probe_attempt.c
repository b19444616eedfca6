/* SPDX-License-Identifier: MIT */
/*
 * A probe is a chain of small callbacks (resolve, connect, send, read, judge) that all end in
 * attempt_done. See probe_parts.h.
 */
#include "proxy/upstream/probe_parts.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "net/conn.h"
#include "net/follow.h"
#include "net/proxy_header.h"
#include "proxy/plan/lifetime.h"
#include "proxy/pool/members.h"

void attempt_free(struct probe *probe)
{
    struct probing *attempt = &probe->attempt;
    if (!attempt->active) {
        return;
    }
    if (attempt->conn != NULL) {
        conn_close(&attempt->conn, false);
    }
    probe_http_end(&attempt->http);
    free(attempt->answer);
    struct lifetime *life = attempt->plan->owner->life;
    *attempt = (struct probing){0};
    lifetime_unref(life, probe->prober->index);
    probe->prober->asking--;
    if (!list_empty(&probe->prober->waiting)) {
        task_queue(probe_loop(probe), &probe->prober->next);
    }
}

void attempt_done(struct probe *probe, bool good, bool timed_out, const char *reason)
{
    uint64_t took_ns = loop_since(probe_loop(probe), &probe->attempt.start);

    timer_cancel(probe_loop(probe), &probe->timer);
    server_note_probe(probe->server, good, took_ns, without_prefix(reason));
    attempt_free(probe);
    probe->prober->ended(probe,
                         good        ? ATTEMPT_GOOD
                         : timed_out ? ATTEMPT_TIMED_OUT
                                     : ATTEMPT_BAD,
                         reason);
}

void attempt_void(struct probe *probe, const char *why, const char *advice)
{
    static struct log_limit limit;
    struct server *server = probe->server;

    log_limited(&limit, WEIR_LOG_WARNING, "health", "no verdict on server %s/%s: %s%s",
                server->pool_name, server->name, why, advice);
    if (server->health == HEALTH_UNKNOWN) {
        char text[sizeof(server->reason)];
        snprintf(text, sizeof(text), "no verdict yet: %s", why);
        server_set_health(server, HEALTH_UNKNOWN, text);
    }
    timer_cancel(probe_loop(probe), &probe->timer);
    attempt_free(probe);
    probe->prober->ended(probe, ATTEMPT_VOID, why);
}

static struct instance *attempt_instance(const struct probe *probe)
{
    return use_on(probe->attempt.plan->health, probe->prober->index);
}

static const struct weir_health *attempt_ops(const struct probe *probe)
{
    return probe->attempt.plan->health->module->descriptor.health;
}

static enum up_protocol probe_protocol(const struct pool_plan *plan)
{
    int32_t own = plan->probe->protocol;
    return (enum up_protocol)(own > 0 ? own - 1 : plan->settings->protocol);
}

/* false: the attempt has ended. */
static bool attempt_judge(struct probe *probe, bool eof)
{
    struct probing *attempt = &probe->attempt;
    struct instance *instance = attempt_instance(probe);
    char reason[160] = "";

    eof = eof || attempt->answer->len == PROBE_ANSWER_MAX;
    struct call *call = call_begin(&instance->context, HOOK_JUDGE);
    enum weir_verdict verdict = attempt_ops(probe)->judge(
        &instance->context.base, instance->data, &attempt->target, attempt->answer->text,
        attempt->answer->len, eof, reason, sizeof(reason));
    call_end(call);
    reason[sizeof(reason) - 1] = '\0';
    if (verdict == WEIR_VERDICT_MORE && !eof) {
        return true;
    }
    if (reason[0] == '\0') {
        snprintf(reason, sizeof(reason), "probe: %s",
                 verdict == WEIR_VERDICT_UP     ? "it answered"
                 : verdict == WEIR_VERDICT_DOWN ? "the answer is not as expected"
                                                : "the answer was cut short");
    }
    attempt_done(probe, verdict == WEIR_VERDICT_UP, false, reason);
    return false;
}

/* By an error of the connection. */
static void attempt_broken(struct probe *probe, const struct conn *conn)
{
    enum conn_error error = (enum conn_error)conn->error;
    char reason[160];

    if (conn_error_is_own(error)) {
        attempt_void(probe, conn_error_word(error), conn_error_advice(error));
        return;
    }
    if (error == CONN_ALPN && probe_protocol(probe->attempt.plan) == UP_HTTP_2) {
        attempt_done(probe, false, false, "probe: " PROBE_NOT_HTTP2);
        return;
    }
    snprintf(reason, sizeof(reason), "probe: connection %s%s%s", conn_error_word(error),
             conn_tls_error(conn)[0] != '\0' ? ": " : "", conn_tls_error(conn));
    attempt_done(probe, false, error == CONN_TIMED_OUT, reason);
}

static void attempt_readable(struct conn *conn)
{
    struct probe *probe = conn->owner;
    struct probe_answer *answer = probe->attempt.answer;
    char *data = NULL;
    size_t len = 0;

    if (conn->opening || answer == NULL) {
        return;
    }
    for (;;) {
        switch (conn_read(conn, &data, &len, PROBE_ANSWER_MAX)) {
        case CONN_AGAIN: return;
        case CONN_EOF: attempt_judge(probe, true); return;
        case CONN_ERROR: attempt_broken(probe, conn); return;
        case CONN_DATA:
            if (len > PROBE_ANSWER_MAX - answer->len) {
                len = PROBE_ANSWER_MAX - answer->len;
            }
            memcpy(answer->text + answer->len, data, len);
            answer->len += len;
            if (!attempt_judge(probe, false)) {
                return;
            }
            break;
        }
    }
}

static void attempt_drained(struct conn *conn)
{
    (void)conn;
}

/* ---- HTTP/2 ---- */

static void attempt_answered(void *arg, bool whole)
{
    attempt_judge(arg, whole);
}

static void attempt_failed(void *arg, const struct conn *conn, const char *why)
{
    struct probe *probe = arg;
    char reason[160];

    if (conn != NULL && conn->error != CONN_OK) {
        attempt_broken(probe, conn);
        return;
    }
    snprintf(reason, sizeof(reason), "probe: %s", why);
    attempt_done(probe, false, false, reason);
}

static const struct probe_http_events attempt_http_events = {
    .on_answer = attempt_answered,
    .on_failed = attempt_failed,
};

static void attempt_exchange(struct probe *probe, struct weir_str request)
{
    struct probing *attempt = &probe->attempt;
    struct conn *conn = attempt->conn;
    const char *why = NULL;

    attempt->conn = NULL;
    attempt->http = probe_http_begin(conn, &probe->prober->batch, &attempt->plan->limits, request,
                                     attempt->answer, &attempt_http_events, probe, &why);
    if (attempt->http == NULL && why != NULL) {
        attempt_failed(probe, NULL, why);
    } else if (attempt->http == NULL) {
        attempt_void(probe, conn_error_word(CONN_NO_MEMORY), conn_error_advice(CONN_NO_MEMORY));
    }
}

/* ---- how it begins ---- */

static void attempt_send(struct probe *probe)
{
    struct probing *attempt = &probe->attempt;
    struct instance *instance = attempt_instance(probe);
    const struct weir_health *ops = attempt_ops(probe);
    bool http_2 = up_protocol_is_2(probe_protocol(attempt->plan), attempt->conn);
    char request[PROBE_REQUEST_MAX];

    attempt->target.http = http_2 ? 2 : 1;
    struct call *call = call_begin(&instance->context, HOOK_REQUEST);
    size_t len = ops->request(&instance->context.base, instance->data, &attempt->target, request,
                              sizeof(request));
    call_end(call);
    if (len > sizeof(request)) {
        attempt_done(probe, false, false, "probe: the module's request is longer than 8 KiB");
        return;
    }
    if (len > 0 && !http_2) {
        conn_write(attempt->conn, &(struct iovec){request, len}, 1);
    }
    if (ops->judge == NULL) {
        attempt_done(probe, true, false, "probe: it takes connections");
        return;
    }
    attempt->answer = base_alloc(sizeof(*attempt->answer));
    attempt->answer->len = 0;
    if (len == 0 && !attempt_judge(probe, false)) {
        return;
    }
    if (len > 0 && http_2) {
        attempt_exchange(probe, (struct weir_str){request, len});
    } else {
        conn_resume_read(attempt->conn);
    }
}

static void attempt_open(struct conn *conn, bool ok)
{
    struct probe *probe = conn->owner;

    if (ok && !up_protocol_agreed(probe_protocol(probe->attempt.plan), conn)) {
        attempt_failed(probe, NULL, PROBE_NOT_HTTP2);
    } else if (ok) {
        attempt_send(probe);
    } else {
        attempt_broken(probe, conn);
    }
}

static const struct conn_ops attempt_conn_ops = {
    .on_readable = attempt_readable,
    .on_drained = attempt_drained,
    .on_open = attempt_open,
};

/* The address to probe; false: the host name is not resolved. */
static bool attempt_address(const struct probe *probe, struct address *address)
{
    const struct pool_plan *plan = probe->attempt.plan;
    const struct weir_str *text = &plan->probe->address;
    char error[160];
    if (plan->probe_name != NULL) {
        return followed_address(plan->probe_name, address);
    }
    if (text->len > 0) {
        return address_parse(address, *text, error, sizeof(error));
    }
    return server_get_address(probe->server, address);
}

void attempt_begin(struct probe *probe)
{
    struct probing *attempt = &probe->attempt;
    struct server *server = probe->server;
    const struct pool_plan *plan = probe->plan;
    struct address address;
    enum conn_error error = CONN_OK;

    if (plan->probe_name != NULL && !followed_address(plan->probe_name, &address)) {
        probe->prober->ended(probe, ATTEMPT_UNKNOWN, NULL);
        return;
    }
    *attempt =
        (struct probing){.plan = plan, .start = loop_mark(probe_loop(probe)), .active = true};
    attempt->target = (struct weir_probe_target){.size = sizeof(attempt->target),
                                                 .tls = server->url.tls,
                                                 .id = server->id,
                                                 .name = str_from(server->name),
                                                 .authority = str_from(probe->server->authority)};
    lifetime_ref(plan->owner->life, probe->prober->index);
    probe->prober->asking++;
    if (!attempt_address(probe, &address)) {
        attempt_done(probe, false, false, "probe: the host name has no known address");
        return;
    }
    struct conn_tls_client tls = {.ctx = plan->tls,
                                  .name = pool_plan_tls_name(plan, server),
                                  .alpn = up_protocol_names(probe_protocol(plan))};
    attempt->conn = conn_connect(probe_loop(probe), &address.u.any, address.len,
                                 server->url.tls ? &tls : NULL, &attempt_conn_ops, probe, &error);
    /* A separate probe address is a separate service, which need not support PROXY headers. */
    unsigned proxy = plan->probe->address.len == 0 ? plan->settings->send_proxy_protocol : 0;
    char header[PROXY_HEADER_WRITE_MAX];
    if (attempt->conn != NULL && proxy != SEND_PROXY_OFF &&
        !conn_preface(attempt->conn, header, proxy_header_write(header, proxy, NULL, NULL))) {
        conn_close(&attempt->conn, true);
        error = CONN_NO_MEMORY;
    }
    if (attempt->conn == NULL) {
        attempt_void(probe, conn_error_word(error), conn_error_advice(error));
        return;
    }
    timer_set(probe_loop(probe), &probe->timer, plan->probe->timeout);
}
