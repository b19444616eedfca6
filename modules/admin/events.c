/* SPDX-License-Identifier: MIT */
/*
 * Server-sent events. See events.h.
 */
#include "events.h"

#include <stdlib.h>

#include <weir/json.h>

#include "who.h"

#define KEEP_ALIVE_NS (15 * UINT64_C(1000000000))

/* What may wait for a client: statistics go out below the first, other events below the second. */
#define WAITING_STATISTICS (64u * 1024)
#define WAITING_MAX        (1024u * 1024)

struct event_client {
    struct event_client *next;
    struct events *events;
    struct exchange *exchange;
    struct weir_subscription *subscription;
    size_t waiting;
    bool ended; /* on_end follows */
};

struct events {
    struct admin *admin;
    struct event_client *clients;
    size_t count;
    struct event_client *writing; /* to detect that it goes meanwhile */
    struct weir_timer *timer;
    bool draining;
    struct weir_buffer text; /* of one event */
};

/* ---- clients ---- */

/* Sends. false: the client is gone. */
static bool send_bytes(struct event_client *client, const char *text, size_t len)
{
    struct events *events = client->events;

    events->writing = client;
    size_t waiting = weir_reply_write(client->exchange->req, text, len);
    bool there = events->writing == client;
    events->writing = NULL;
    if (there) {
        client->waiting = waiting;
    }
    return there;
}

void events_end(struct exchange *exchange)
{
    struct event_client *client = exchange->events;
    struct events *events = client->events;
    struct event_client **link = &events->clients;

    while (*link != client) {
        link = &(*link)->next;
    }
    *link = client->next;
    events->count--;
    if (events->writing == client) {
        events->writing = NULL;
    }
    if (client->subscription != NULL) {
        weir_control_unsubscribe(events->admin->ctx, client->subscription);
    }
    exchange->events = NULL;
    free(client);
    if (events->count == 0) {
        weir_timer_cancel(events->admin->ctx, events->timer);
    }
}

/* Stops its events; on_end follows. */
static void silence(struct event_client *client)
{
    client->ended = true;
    if (client->subscription != NULL) {
        weir_control_unsubscribe(client->events->admin->ctx, client->subscription);
        client->subscription = NULL;
    }
}

static void end_stream(struct event_client *client)
{
    if (!client->ended) {
        silence(client);
        weir_reply_end(client->exchange->req);
    }
}

/* ---- who they are for ---- */

/* true: it has ended, and its client may be gone. */
static bool end_unless_stays(struct event_client *client)
{
    if (who_stays(client->events->admin, &client->exchange->caller)) {
        return false;
    }
    end_stream(client);
    return true;
}

void events_review(struct events *events)
{
    struct event_client *client = events->clients;

    while (client != NULL) {
        struct event_client *next = client->next; /* on_end frees this client alone */
        end_unless_stays(client);
        client = next;
    }
}

/* ---- one event ---- */

/* id, event, data (WHATWG HTML section 9.2.6). */
static struct weir_str format_event(struct events *events, const struct weir_event *event)
{
    struct weir_buffer *out = &events->text;

    out->len = 0;
    out->failed = false;
    if (event->id > 0) {
        weir_buffer_text(out, "id: ");
        weir_buffer_number(out, event->id);
        weir_buffer_text(out, "\n");
    }
    weir_buffer_text(out, "event: ");
    weir_buffer_add(out, event->name.ptr, event->name.len);
    weir_buffer_text(out, "\ndata: ");
    weir_buffer_add(out, event->data.ptr, event->data.len);
    weir_buffer_text(out, "\n\n");
    return weir_buffer_str(out);
}

static void on_event(void *arg, const struct weir_event *event)
{
    struct event_client *client = arg;
    size_t limit = event->id == 0 ? WAITING_STATISTICS : WAITING_MAX;

    /* Tokens and users change with an event, and run out no later than with one: statistics. */
    if (end_unless_stays(client)) {
        return;
    }
    if (client->waiting > limit) {
        if (event->id > 0) {
            weir_log(client->events->admin->ctx, WEIR_LOG_INFO,
                     "a listener to events reads too slowly, and is cut off");
            silence(client);
            weir_reply_abort(client->exchange->req);
        }
        return;
    }
    struct weir_str text = format_event(client->events, event);
    if (!client->events->text.failed) { /* else there is no memory */
        send_bytes(client, text.ptr, text.len);
    }
}

void events_writable(struct exchange *exchange)
{
    exchange->events->waiting = 0;
}

/* ---- keeping alive ---- */

static void on_timer(void *arg)
{
    static const char comment[] = ": still here\n\n";
    struct events *events = arg;
    struct event_client *client = events->clients;

    weir_timer_set(events->admin->ctx, events->timer, KEEP_ALIVE_NS);
    while (client != NULL) {
        struct event_client *next = client->next;
        if (!end_unless_stays(client) && !client->ended && client->waiting < WAITING_MAX) {
            send_bytes(client, comment, sizeof(comment) - 1);
        }
        client = next;
    }
}

/* ---- beginning ---- */

static uint64_t last_id_of(const struct weir_request *req)
{
    struct weir_str text = {NULL, 0};
    uint64_t id = 0;

    weir_request_header(req, "Last-Event-ID", &text);
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9' || id > UINT64_MAX / 10 - 1) {
            return 0;
        }
        id = id * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    return id;
}

static bool start_stream(struct weir_request *req)
{
    struct reply reply;
    reply_begin(&reply, req);
    reply_add(&reply, "Content-Type", weir_str_of("text/event-stream"));
    reply_add(&reply, "Cache-Control", weir_str_of("no-store"));
    return reply_stream(&reply, 200);
}

static void add_client(struct events *events, struct exchange *exchange)
{
    static const char retry[] = "retry: 1000\n\n";
    struct event_client *client = calloc(1, sizeof(*client));
    struct admin *admin = events->admin;

    if (client == NULL) {
        reply_problem_with(exchange->req, 503, "Retry-After", "1", "there is no memory for it");
        return;
    }
    if (!start_stream(exchange->req)) {
        free(client);
        return;
    }
    client->events = events;
    client->exchange = exchange;
    client->next = events->clients;
    events->clients = client;
    exchange->events = client;
    exchange->task = TASK_EVENTS;
    if (events->count++ == 0) {
        weir_timer_set(admin->ctx, events->timer, KEEP_ALIVE_NS);
    }
    if (!send_bytes(client, retry, sizeof(retry) - 1)) {
        return;
    }
    client->subscription =
        weir_control_subscribe(admin->ctx, last_id_of(exchange->req), on_event, client);
    if (client->subscription == NULL || events->draining) {
        end_stream(client); /* the client reconnects after a second */
    }
}

void events_begin(struct exchange *exchange)
{
    struct events *events = exchange->admin->events;
    struct weir_request *req = exchange->req;

    if (!weir_str_is(weir_request_method(req), "GET")) {
        reply_method(req, "GET");
    } else if (!who_enter(exchange)) {
        return;
    } else if (events->count >= (size_t)exchange->admin->conf->event_clients) {
        reply_problem_with(req, 503, "Retry-After", "5",
                           "%zu clients listen to events already; the option event_clients allows "
                           "no more",
                           events->count);
    } else {
        add_client(events, exchange);
    }
}

/* ---- life ---- */

struct events *events_new(struct admin *admin)
{
    struct events *events = calloc(1, sizeof(*events));
    if (events == NULL) {
        return NULL;
    }
    events->admin = admin;
    events->timer = weir_timer_new(admin->ctx, on_timer, events);
    if (events->timer == NULL) {
        free(events);
        return NULL;
    }
    return events;
}

void events_drain(struct events *events)
{
    struct event_client *client = events->clients;

    events->draining = true;
    while (client != NULL) {
        struct event_client *next = client->next;
        end_stream(client);
        client = next;
    }
}

void events_free(struct events **events)
{
    weir_timer_free((*events)->admin->ctx, (*events)->timer);
    weir_buffer_free(&(*events)->text);
    free(*events);
    *events = NULL;
}
