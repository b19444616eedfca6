/* SPDX-License-Identifier: MIT */
/*
 * Swaps: what is asked for, whatever the subject is. See swap.h.
 */
#include <stdlib.h>

#include "control/change/swap.h"

#define CANARY_DEFAULT        "5%"
#define FOR_DEFAULT_MS        (UINT64_C(60) * 1000)
#define ERROR_RATIO_DEFAULT   2.0
#define LATENCY_RATIO_DEFAULT 1.5

/* "5%" or "0.5%" of the picks. 0: 422 is the answer. */
static double parse_share(struct operation *operation, const char *text)
{
    bool plain = strspn(text, "0123456789.") + 1 == strlen(text); /* no hexadecimal one */
    char *end = NULL;
    double share = strtod(text, &end);

    if (!plain || strcmp(end, "%") != 0 || !(share >= 0.1 && share <= 90)) {
        operation_invalid(operation, "/canary",
                          "\"%.20s\" is no share; write 0.1%% to 90%%, for example \"5%%\"", text);
        return 0;
    }
    return share;
}

static double number_of(const cJSON *body, const char *name, double fallback)
{
    const cJSON *item = json_get(body, name);
    return cJSON_IsNumber(item) ? item->valuedouble : fallback;
}

bool swap_wants_trial(const cJSON *body)
{
    static const char *const names[] = {"canary", "for", "max_error_ratio", "max_latency_ratio"};
    bool wants = false;

    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        wants |= json_get(body, names[i]) != NULL; /* any member about a trial says so */
    }
    return wants;
}

bool swap_ask(struct operation *operation, cJSON *record, double *share)
{
    const cJSON *body = operation->body;
    const char *canary = json_text(body, "canary");
    bool trial = swap_wants_trial(body);

    *share = 0;
    json_set(record, "state", trial ? "trying" : "promoted");
    json_set_number(record, "began", (double)loop_wall_ms());
    json_set(record, "author", operation->author);
    if (!trial) {
        return true;
    }
    double percent = parse_share(operation, canary != NULL ? canary : CANARY_DEFAULT);
    uint64_t time_ms = operation_duration_ms(body, "for", FOR_DEFAULT_MS);
    json_set_number(record, "canary", percent);
    json_set_number(record, "until", (double)(loop_wall_ms() + time_ms));
    json_set_number(record, "max_error_ratio",
                    number_of(body, "max_error_ratio", ERROR_RATIO_DEFAULT));
    json_set_number(record, "max_latency_ratio",
                    number_of(body, "max_latency_ratio", LATENCY_RATIO_DEFAULT));
    *share = percent / 100;
    return !operation->problem;
}
