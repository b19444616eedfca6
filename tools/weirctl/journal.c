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

static void add_entry(struct table *table, const cJSON *entry)
{
    char value[VALUE_SIZE];
    struct text change = {0};
    const char *state = json_text(entry, "state", "-");

    describe(entry, &change);
    if (isfinite(json_number(entry, "undo_of"))) {
        text_printf(&change, " (takes %.0f back)", json_number(entry, "undo_of"));
    }
    table_number(table, json_number(entry, "id"), 0);
    table_add(table, PLAIN, "%s", show_time(value, json_number(entry, "time")));
    table_add(table, PLAIN, "%s", json_text(entry, "author", "-"));
    table_add(table, PLAIN, "%s", json_text(entry, "command", "-"));
    table_add(table, PLAIN, "%s", json_text(entry, "target", "-"));
    table_add(table, strcmp(state, "pending") == 0 ? YELLOW : PLAIN, "%s", state);
    table_add(table, PLAIN, "%s", text_get(&change));
    text_clear(&change);
}

enum outcome run_journal(struct call *call)
{
    static const struct column columns[] = {
        {"ID", true},      {"TIME", false},  {"AUTHOR", false}, {"COMMAND", false},
        {"TARGET", false}, {"STATE", false}, {"CHANGE", false},
    };
    struct answer answer;
    struct text path = {0};
    const cJSON *each = NULL;
    const char *limit = call_option(call, "limit");
    const char *before = call_option(call, "before");

    api_path(&path, "/journal?limit={}", limit != NULL ? limit : "20");
    if (before != NULL) {
        api_path(&path, "&before={}", before);
    }
    enum outcome outcome = call_get(call, text_get(&path), &answer);
    if (outcome == DONE && answer.json != NULL) {
        struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
        cJSON_ArrayForEach(each, json_at(answer.json, "entries"))
        {
            add_entry(table, each);
        }
        table_print(&table);
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

enum outcome run_undo(struct call *call)
{
    struct answer answer;
    struct text path = {0};
    const cJSON *each = NULL;

    api_path(&path, "/journal/{}/undo", call->words[0]);
    enum outcome outcome = api_call(&call->api, "POST", text_get(&path), NULL, &answer);
    if (outcome == DONE && !call_printed(call, &answer)) {
        cJSON_ArrayForEach(each, json_at(answer.json, "skipped"))
        {
            print_fact("passed by", "%.0f (%s %s): %s", json_number(each, "id"),
                       json_text(each, "command", "change"), json_text(each, "target", ""),
                       json_text(each, "why", ""));
        }
        const cJSON *undone = json_at(answer.json, "undone");
        print_entry("taken back", undone != NULL ? undone : answer.json);
        tell_journal(call, &answer);
    }
    text_clear(&path);
    answer_clear(&answer);
    return outcome;
}

enum outcome run_confirm(struct call *call)
{
    struct answer answer;
    struct text path = {0};

    api_path(&path, "/journal/{}/confirm", call->words[0]);
    enum outcome outcome = api_call(&call->api, "POST", text_get(&path), NULL, &answer);
    if (outcome == DONE && !call_printed(call, &answer)) {
        print_entry("kept", answer.json);
    }
    text_clear(&path);
    answer_clear(&answer);
    return outcome;
}
