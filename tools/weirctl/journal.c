/* SPDX-License-Identifier: MIT */
/*
 * The journal: who changed what, taking back, keeping.
 */
#include "command.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A value as people read it; the caller frees it. NULL: there is none. */
static char *show_value(const char *name, const cJSON *value)
{
    char time[VALUE_SIZE];

    if (cJSON_IsNumber(value) && strcmp(name, "drain_deadline") == 0) {
        return strdup(show_time(time, value->valuedouble));
    }
    return value != NULL ? cJSON_PrintUnformatted(value) : NULL;
}

/* What a change did to each member: `weight 1 -> 3`. */
static void describe(const cJSON *entry, struct text *out)
{
    const cJSON *before = json_at(entry, "before");
    const cJSON *after = json_at(entry, "after");
    const cJSON *members = cJSON_IsObject(after) ? after : before;
    const cJSON *each = NULL;

    cJSON_ArrayForEach(each, members)
    {
        const cJSON *old =
            cJSON_IsObject(after) ? cJSON_GetObjectItemCaseSensitive(before, each->string) : each;
        const cJSON *new = cJSON_IsObject(after) ? each : NULL;
        char *from = show_value(each->string, old);
        char *to = show_value(each->string, new);
        if (from == NULL || to == NULL || strcmp(from, to) != 0) {
            text_printf(out, "%s%s ", out->len > 0 ? ", " : "", each->string);
            text_printf(out, from != NULL && to != NULL ? "%s -> %s" : "%s%s",
                        from != NULL ? from : "", to != NULL ? to : "");
        }
        free(from);
        free(to);
    }
}

static void add_state(struct table *table, const cJSON *entry)
{
    const char *state = json_text(entry, "state", "-");
    table_add(table, strcmp(state, "pending") == 0 ? YELLOW : PLAIN, "%s", state);
}

static void add_change(struct table *table, const cJSON *entry)
{
    struct text change = {0};

    describe(entry, &change);
    if (isfinite(json_number(entry, "undo_of"))) {
        text_printf(&change, " (takes %.0f back)", json_number(entry, "undo_of"));
    }
    table_add(table, PLAIN, "%s", text_get(&change));
    text_clear(&change);
}

enum outcome run_journal(struct call *call)
{
    static const struct column columns[] = {
        {"ID", SHOW_COUNT, "id", NULL},          {"TIME", SHOW_TIME, "time", NULL},
        {"AUTHOR", SHOW_TEXT, "author", NULL},   {"COMMAND", SHOW_TEXT, "command", NULL},
        {"TARGET", SHOW_TEXT, "target", NULL},   {"STATE", SHOW_TEXT, NULL, add_state},
        {"CHANGE", SHOW_TEXT, NULL, add_change},
    };
    struct answer answer;
    struct text path = {0};
    const char *limit = call_option(call, "limit");
    const char *before = call_option(call, "before");

    api_path(&path, "/journal?limit={}", limit != NULL ? limit : "20");
    if (before != NULL) {
        api_path(&path, "&before={}", before);
    }
    enum outcome outcome = call_get(call, text_get(&path), &answer);
    if (outcome == DONE && answer.json != NULL) {
        PRINT_LIST(columns, json_at(answer.json, "entries"));
        double cursor = json_number(answer.json, "cursor");
        if (isfinite(cursor)) {
            printf("there are older ones: weirctl journal --before %.0f\n", cursor);
        }
    }
    text_clear(&path);
    answer_clear(&answer);
    return outcome;
}

static void print_entry(const char *did, const cJSON *entry)
{
    struct text change = {0};

    describe(entry, &change);
    print_fact(did, "%.0f (%s %s%s%s)", json_number(entry, "id"),
               json_text(entry, "command", "change"), json_text(entry, "target", ""),
               change.len > 0 ? ": " : "", text_get(&change));
    text_clear(&change);
}

static void tell_undo(const struct call *call, const struct answer *answer)
{
    const cJSON *undone = json_at(answer->json, "undone"), *each = NULL;

    cJSON_ArrayForEach(each, json_at(answer->json, "skipped"))
    {
        print_fact("passed by", "%.0f (%s %s): %s", json_number(each, "id"),
                   json_text(each, "command", "change"), json_text(each, "target", ""),
                   json_text(each, "why", ""));
    }
    print_entry("taken back", undone != NULL ? undone : answer->json);
    tell_journal(call, answer);
}

enum outcome run_undo(struct call *call)
{
    return call_send(call, "POST", NULL, tell_undo, "/journal/{}/undo", call->words[0]);
}

static void tell_confirm(const struct call *call, const struct answer *answer)
{
    (void)call;
    print_entry("kept", answer->json);
}

enum outcome run_confirm(struct call *call)
{
    return call_send(call, "POST", NULL, tell_confirm, "/journal/{}/confirm", call->words[0]);
}
