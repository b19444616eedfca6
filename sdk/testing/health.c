/* SPDX-License-Identifier: MIT */
/*
 * Probes: the bytes that a health module sends, and its judgement of what comes back. Outcomes:
 * what it listens to, and the ejections that it asks for.
 */
#include "fake.h"

#include <stdlib.h>

/* What Weir gives a probe's request, and how much of a response it keeps. */
#define PROBE_CAPACITY    8192
#define RESPONSE_CAPACITY 16384

struct weir_probe_target weir_test_target(const char *authority, bool tls)
{
    return (struct weir_probe_target){
        .size = sizeof(struct weir_probe_target),
        .tls = tls ? 1 : 0,
        .id = UINT64_C(0x5eed),
        .name = {"server", 6},
        .authority = fake_str(authority),
        .http = 1,
    };
}

const char *weir_test_probe(struct weir_test_instance *health,
                            const struct weir_probe_target *target, size_t *len)
{
    fake_require_kind(health, WEIR_TEST_HEALTH, __func__);
    /* Of its own size, so that a sanitizer sees a byte too much. */
    char *out = fake_lend(PROBE_CAPACITY, "the room of a probe that is over");
    FAKE_HOOK("request");
    size_t used =
        health->host->health.request(&health->ctx.base, health->data, target, out, PROBE_CAPACITY);
    bool fits = used <= PROBE_CAPACITY;
    fake_buffer_clear(&health->probe);
    if (fits) {
        fake_buffer_append(&health->probe, out, used);
    }
    fake_take_back(out);
    if (len != NULL) {
        *len = used;
    }
    return fits ? fake_buffer_text(&health->probe) : NULL;
}

/* One call of the hook, on a copy that ends where the data does. */
static enum weir_verdict judge(struct weir_test_instance *health,
                               const struct weir_probe_target *target, const char *data, size_t len,
                               bool eof)
{
    char *copy = fake_lend_copy(data, len, "the bytes of a judge that is over");
    FAKE_HOOK("judge");
    health->reason[0] = '\0';
    enum weir_verdict verdict =
        health->host->health.judge(&health->ctx.base, health->data, target, copy, len, eof,
                                   health->reason, sizeof(health->reason));
    fake_take_back(copy);
    if (memchr(health->reason, '\0', sizeof(health->reason)) == NULL) {
        fake_problem(health->host, "judge wrote a reason without an end");
        health->reason[sizeof(health->reason) - 1] = '\0';
    }
    if (verdict != WEIR_VERDICT_MORE && health->reason[0] == '\0') {
        fake_problem(health->host, "judge gave a verdict without a reason");
    }
    return verdict;
}

enum weir_verdict weir_test_judge(struct weir_test_instance *health,
                                  const struct weir_probe_target *target, const char *data,
                                  size_t len, size_t step, bool eof, const char **reason)
{
    enum weir_verdict verdict = WEIR_VERDICT_MORE;
    size_t limit = len < RESPONSE_CAPACITY ? len : RESPONSE_CAPACITY;
    size_t have = 0;

    fake_require_kind(health, WEIR_TEST_HEALTH, __func__);
    if (reason != NULL) {
        *reason = health->reason;
    }
    if (health->host->health.judge == NULL) {
        snprintf(health->reason, sizeof(health->reason), "the connection stands");
        return WEIR_VERDICT_UP;
    }
    while (verdict == WEIR_VERDICT_MORE && have < limit) {
        have = step == 0 || step > limit - have ? limit : have + step;
        verdict = judge(health, target, data, have, have == RESPONSE_CAPACITY);
    }
    if (verdict == WEIR_VERDICT_MORE && eof && have < RESPONSE_CAPACITY) {
        verdict = judge(health, target, data, have, true);
    }
    return verdict;
}

/* ---- outcomes ---- */

void weir_test_outcomes(struct weir_test_instance *health, weir_server_id server,
                        const struct weir_outcome_run *runs, uint32_t count)
{
    fake_require_kind(health, WEIR_TEST_HEALTH, __func__);
    if (health->host->health.on_outcomes == NULL) {
        fake_abort(__func__, "the module has no on_outcomes");
    }
    /* Of its own size, so that a sanitizer sees a run too many. */
    struct weir_outcome_run *copy =
        fake_lend_copy(runs, count * sizeof(*copy), "the outcomes of a call that is over");
    struct weir_outcomes outcomes = {
        .size = sizeof(outcomes),
        .id = server,
        .name = {"server", 6},
        .run_count = count,
        .runs = copy,
    };
    FAKE_HOOK("on_outcomes");
    health->host->health.on_outcomes(&health->ctx.base, health->data, &outcomes);
    fake_take_back(copy);
}

void weir_test_outcome(struct weir_test_instance *health, weir_server_id server,
                       enum weir_outcome outcome, uint32_t count)
{
    struct weir_outcome_run run = {.outcome = (uint32_t)outcome, .count = count};
    weir_test_outcomes(health, server, &run, 1);
}

enum weir_status fake_health_eject(struct weir_context *ctx, weir_server_id server,
                                   uint64_t duration_ns, const char *reason)
{
    struct weir_test *host = fake_context(ctx)->host;

    if (host->health.on_outcomes == NULL) {
        fake_problem(host, "weir_health_eject was called by a module that does not listen");
        return WEIR_INVALID;
    }
    if (reason == NULL || (reason[0] == '\0' && duration_ns > 0)) {
        fake_problem(host, "weir_health_eject got no reason");
        reason = "";
    }
    if (host->refuse_ejections && duration_ns > 0) {
        return WEIR_DECLINED;
    }
    snprintf(host->ejection_reason, sizeof(host->ejection_reason), "%s", reason);
    host->ejection = (struct weir_test_ejection){
        .server = server, .duration_ns = duration_ns, .reason = host->ejection_reason};
    host->ejection_count++;
    return WEIR_OK;
}

size_t weir_test_ejection_count(const struct weir_test *host)
{
    return host->ejection_count;
}

struct weir_test_ejection weir_test_last_ejection(const struct weir_test *host)
{
    return host->ejection;
}

void weir_test_refuse_ejections(struct weir_test *host, bool refuse)
{
    host->refuse_ejections = refuse;
}
