/* SPDX-License-Identifier: MIT */
/*
 * Probes: the bytes that a health module sends, and its judgement of what comes back.
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
    };
}

const char *weir_test_probe(struct weir_test_instance *health,
                            const struct weir_probe_target *target, size_t *len)
{
    fake_require_kind(health, WEIR_TEST_HEALTH, __func__);
    /* Of its own size, so that a sanitizer sees a byte too much. */
    char *out = fake_alloc(PROBE_CAPACITY);
    size_t used =
        health->host->health.request(&health->ctx.base, health->data, target, out, PROBE_CAPACITY);
    bool fits = used <= PROBE_CAPACITY;
    fake_buffer_clear(&health->probe);
    if (fits) {
        fake_buffer_append(&health->probe, out, used);
    }
    free(out);
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
    char *copy = malloc(len > 0 ? len : 1);
    if (copy == NULL) {
        fake_abort(__func__, "there is no memory left");
    }
    memcpy(copy, data, len);
    health->reason[0] = '\0';
    enum weir_verdict verdict =
        health->host->health.judge(&health->ctx.base, health->data, target, copy, len, eof,
                                   health->reason, sizeof(health->reason));
    free(copy);
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
