/* SPDX-License-Identifier: MIT */
/*
 * Events, sent to subscribers. The last EVENTS_KEPT are kept, so that a client that reconnects
 * misses none. Control thread.
 */
#ifndef CONTROL_API_EVENTS_H
#define CONTROL_API_EVENTS_H

#include <cjson/cJSON.h>
#include <weir/control.h>

#include "net/loop.h"

#define EVENTS_KEPT 256u

struct kept_event {
    uint64_t id;
    char *name;
    char *data;
};

struct events {
    struct loop *loop;
    struct list subscriptions; /* struct weir_subscription.link */
    struct kept_event kept[EVENTS_KEPT];
    uint64_t first_id,
        next_id; /* kept: those of [next_id - EVENTS_KEPT, next_id) from first_id on */
};

void events_init(struct events *events, struct loop *loop);
/* Ends remaining subscriptions: they get no more events. */
void events_end(struct events *events);

/* Sends and keeps an event; takes over the data. */
void events_tell(struct events *events, const char *name, cJSON *data);
/* Sends `statistics`, which are not kept. */
void events_tell_statistics(struct events *events, const char *data);

/* Whether there are subscribers. */
static inline bool events_heard(const struct events *events)
{
    return !list_empty(&events->subscriptions);
}

struct weir_subscription *events_subscribe(struct events *events, uint64_t last_id,
                                           weir_event_fn fn, void *arg);
void events_unsubscribe(struct weir_subscription *subscription);

#endif
