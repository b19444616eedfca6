/* SPDX-License-Identifier: MIT */
/*
 * Events: Weir's server-sent events as lines, followed over lost connections.
 */
#include "command.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* One event being put together from its lines (WHATWG HTML, server-sent events). */
struct event {
    struct text type;
    struct text data;
    struct text id;
    char last_id[64]; /* of the last whole event that had one */
};

/* What the caller wants. */
struct follow {
    struct call *call;
    struct event event;
    struct text line;
    bool statistics;
    long left; /* events until the end; below 0: no end */
};

/* ---- one event ---- */

/* Statistics in one line. */
static void print_statistics(const cJSON *data)
{
    print_fact(
        "statistics",
        "%.1f requests a second, %.1f errors, %.0f in flight, %.0f connections, %.0f of HTTP/2",
        json_number(data, "total.rate"), json_number(data, "total.errors_rate"),
        json_number(data, "total.in_flight"), json_number(data, "total.connections"),
        json_number(data, "total.http2.connections"));
}

/* The members of an event's data that are plain, `name value` each. */
static void print_members(const char *type, const cJSON *data)
{
    const cJSON *each = NULL;
    struct text line = {0};
    char time[VALUE_SIZE];

    cJSON_ArrayForEach(each, data)
    {
        text_puts(&line, line.len > 0 ? ", " : "");
        if (cJSON_IsString(each)) {
            text_printf(&line, "%s %s", each->string, each->valuestring);
        } else if (strcmp(each->string, "time") == 0 || strcmp(each->string, "since") == 0) {
            text_printf(&line, "%s %s", each->string, show_time(time, each->valuedouble));
        } else {
            char *json = cJSON_PrintUnformatted(each);
            text_printf(&line, "%s %s", each->string, json != NULL ? json : "?");
            cJSON_free(json);
        }
    }
    print_fact(type, "%s", text_get(&line));
    text_clear(&line);
}

/* For programs: one object a line. */
static void print_event_json(const struct event *event, cJSON *data)
{
    cJSON *whole = cJSON_CreateObject();

    cJSON_AddStringToObject(whole, "event", text_get(&event->type));
    if (event->id.len > 0) {
        cJSON_AddStringToObject(whole, "id", text_get(&event->id));
    }
    cJSON_AddItemReferenceToObject(whole, "data", data);
    char *line = cJSON_PrintUnformatted(whole);
    puts(line != NULL ? line : "{}");
    cJSON_free(line);
    cJSON_Delete(whole);
}

/* An empty line ended the event. */
static void take_event(struct follow *follow)
{
    struct event *event = &follow->event;
    const char *type = event->type.len > 0 ? text_get(&event->type) : "message";
    bool statistics = strcmp(type, "statistics") == 0;

    if (event->id.len > 0 && event->id.len < sizeof(event->last_id)) {
        snprintf(event->last_id, sizeof(event->last_id), "%s", text_get(&event->id));
    }
    if (event->data.len > 0 && (follow->statistics || !statistics)) {
        cJSON *data = cJSON_Parse(text_get(&event->data));
        if (follow->call->api.json) {
            print_event_json(event, data != NULL ? data : (data = cJSON_CreateNull()));
        } else if (statistics) {
            print_statistics(data);
        } else {
            print_members(type, data);
        }
        fflush(stdout);
        cJSON_Delete(data);
        follow->left -= follow->left > 0;
    }
    text_clear(&event->type);
    text_clear(&event->data);
    text_clear(&event->id);
}

/* One line of the stream. */
static void take_line(struct follow *follow, const char *line)
{
    struct event *event = &follow->event;
    size_t name = strcspn(line, ":");
    const char *value = line + name + (line[name] == ':');

    value += *value == ' ';
    if (*line == '\0') {
        take_event(follow);
    } else if (name == 5 && strncmp(line, "event", 5) == 0) {
        text_clear(&event->type);
        text_puts(&event->type, value);
    } else if (name == 4 && strncmp(line, "data", 4) == 0) {
        text_puts(&event->data, event->data.len > 0 ? "\n" : "");
        text_puts(&event->data, value);
    } else if (name == 2 && strncmp(line, "id", 2) == 0) {
        text_clear(&event->id);
        text_puts(&event->id, value);
    }
}

/* A piece of the stream; whether more is wanted. */
static bool take_bytes(void *arg, const char *bytes, size_t len)
{
    struct follow *follow = arg;

    for (size_t i = 0; i < len && follow->left != 0; i++) {
        if (bytes[i] == '\n') {
            take_line(follow, text_get(&follow->line));
            follow->line.len = 0;
            text_add(&follow->line, "", 0);
        } else if (bytes[i] != '\r') {
            text_add(&follow->line, bytes + i, 1);
        }
    }
    return follow->left != 0;
}

/* ---- following ---- */

/* Follows one connection to its end. */
static enum outcome follow_once(struct follow *follow, char *error, size_t size)
{
    struct text fields = {0};

    text_puts(&fields, "Accept: text/event-stream\n");
    if (follow->event.last_id[0] != '\0') {
        text_printf(&fields, "Last-Event-ID: %s\n", follow->event.last_id);
    }
    snprintf(error, size, "Weir ended the stream");
    enum outcome outcome = api_follow(&follow->call->api, "/events", text_get(&fields), take_bytes,
                                      follow, error, size);
    text_clear(&fields);
    text_clear(&follow->line);
    text_clear(&follow->event.type);
    text_clear(&follow->event.data);
    text_clear(&follow->event.id);
    return outcome;
}

enum outcome run_events(struct call *call)
{
    struct follow follow = {.call = call, .left = -1};
    char error[512];
    unsigned pause_s = 1;
    bool had_one = false;
    enum outcome outcome = DONE;

    follow.statistics = call_option(call, "statistics") != NULL;
    if (call_option(call, "count") != NULL) {
        follow.left = atol(call_option(call, "count"));
        if (follow.left <= 0) {
            return call_misused(call, "--count wants a number above 0");
        }
    }
    /* A first failure or a refusal ends it; a lost connection is retried. */
    for (;;) {
        outcome = follow_once(&follow, error, sizeof(error));
        if (follow.left == 0 || (outcome != DONE && (!had_one || outcome != UNREACHABLE))) {
            break;
        }
        if (outcome == DONE) {
            had_one = true;
            pause_s = 1;
            complain("the connection was lost (%s); trying again", error);
        }
        nanosleep(&(struct timespec){(time_t)pause_s, 0}, NULL);
        pause_s = pause_s < 16 ? pause_s * 2 : 16;
    }
    return outcome;
}
