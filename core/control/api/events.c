/* SPDX-License-Identifier: MIT */
/*
 * Events. See events.h. A subscription that is ended while events are told stays until the end of
 * the turn.
 */
#include "control/api/events.h"

#include <stdlib.h>

#include "control/api/json.h"

struct weir_subscription {
    struct list link;
    struct events *events; /* NULL: they have ended */
    struct loop *loop;
    struct task replay;
    struct freed freed;
    uint64_t last_id; /* told, or not wanted */
    weir_event_fn fn; /* NULL: ended */
    void *arg;
};

void events_init(struct events *events, struct loop *loop)
{
    events->loop = loop;
    list_init(&events->subscriptions);
    /* Ascending over restarts: by the clock, which counts slower than this. */
    events->first_id = events->next_id = loop_wall_ms() * 1000;
}

void events_end(struct events *events)
{
    list_each(link, &events->subscriptions)
    {
        struct weir_subscription *subscription = container_of(link, struct weir_subscription, link);
        task_cancel(&subscription->replay);
        list_remove(link);
        subscription->events = NULL;
    }
    for (size_t i = 0; i < EVENTS_KEPT; i++) {
        free(events->kept[i].name);
        free(events->kept[i].data);
    }
}

static void tell(struct events *events, const struct weir_event *event)
{
    list_each(link, &events->subscriptions)
    {
        struct weir_subscription *subscription = container_of(link, struct weir_subscription, link);
        /* One whose replay is still to come hears of this in it. */
        if (subscription->fn == NULL || (event->id > 0 && subscription->replay.link.next != NULL)) {
            continue;
        }
        subscription->last_id = event->id > 0 ? event->id : subscription->last_id;
        subscription->fn(subscription->arg, event);
    }
}

void events_tell(struct events *events, const char *name, cJSON *data)
{
    struct kept_event *kept = &events->kept[events->next_id % EVENTS_KEPT];

    free(kept->name);
    free(kept->data);
    *kept = (struct kept_event){events->next_id++, base_strdup(name), json_print(data)};
    cJSON_Delete(data);
    struct weir_event event = {sizeof(event), kept->id, str_from(kept->name), str_from(kept->data)};
    tell(events, &event);
}

void events_tell_statistics(struct events *events, const char *data)
{
    struct weir_event event = {sizeof(event), 0, STR("statistics"), str_from(data)};
    tell(events, &event);
}

static void replay(struct task *task)
{
    struct weir_subscription *subscription = container_of(task, struct weir_subscription, replay);
    const struct events *events = subscription->events;
    uint64_t oldest = events->next_id - events->first_id > EVENTS_KEPT
                          ? events->next_id - EVENTS_KEPT
                          : events->first_id;
    uint64_t id = subscription->last_id + 1 > oldest ? subscription->last_id + 1 : oldest;

    for (; id < events->next_id && subscription->fn != NULL; id++) {
        const struct kept_event *kept = &events->kept[id % EVENTS_KEPT];
        struct weir_event event = {sizeof(event), id, str_from(kept->name), str_from(kept->data)};
        subscription->last_id = id;
        subscription->fn(subscription->arg, &event);
    }
}

struct weir_subscription *events_subscribe(struct events *events, uint64_t last_id,
                                           weir_event_fn fn, void *arg)
{
    struct weir_subscription *subscription = base_zalloc(sizeof(*subscription));

    subscription->events = events;
    subscription->loop = events->loop;
    subscription->fn = fn;
    subscription->arg = arg;
    subscription->last_id = last_id > 0 ? last_id : events->next_id - 1;
    subscription->replay.fn = replay;
    list_push_back(&events->subscriptions, &subscription->link);
    task_queue(events->loop, &subscription->replay);
    return subscription;
}

static void subscription_free(struct freed *freed)
{
    free(container_of(freed, struct weir_subscription, freed));
}

void events_unsubscribe(struct weir_subscription *subscription)
{
    subscription->fn = NULL;
    if (subscription->events != NULL) {
        task_cancel(&subscription->replay);
    }
    list_remove(&subscription->link);
    loop_free_later(subscription->loop, &subscription->freed, subscription_free);
}
