/* SPDX-License-Identifier: MIT */
/*
 * Connections that have room for another exchange. See spares.h.
 */
#include "proxy/pool/spares.h"

static struct up_conn *conn_of(const struct list *link)
{
    return container_of(link, struct up_conn, link);
}

struct up_conn *spares_find(const struct spares *spares, const struct pin *pin)
{
    if (unlikely(pin != NULL)) {
        return pin->spare != NULL && pin->spare->spares == spares ? pin->spare : NULL;
    }
    if (list_empty(&spares->list)) {
        return NULL;
    }
    struct up_conn *first = conn_of(spares->list.next);
    return likely(first->pin == NULL) ? first : NULL;
}

void spares_remove(struct spares *spares, struct up_conn *c)
{
    if (c->pin != NULL && c->pin->spare == c) {
        c->pin->spare = NULL;
    }
    if (c->spares != NULL) {
        list_remove(&c->link);
        spares->idle -= c->spare_idle;
        c->spares = NULL;
    }
}

void spares_settle(struct spares *spares, struct up_conn *c)
{
    bool idle = c->running == 0;

    if (c->room == 0) {
        spares_remove(spares, c);
        return;
    }
    if (c->spares != NULL) {
        spares->idle += (size_t)idle - c->spare_idle;
        c->spare_idle = idle;
        return;
    }
    c->spares = spares;
    c->spare_idle = idle;
    spares->idle += idle;
    if (likely(c->pin == NULL)) {
        list_push_front(&spares->list, &c->link);
        return;
    }
    list_push_back(&spares->list, &c->link);
    struct up_conn *other = c->pin->spare;
    c->pin->spare = c;
    if (other != NULL && other->running == 0) {
        up_conn_close(other);
    } else if (other != NULL) {
        spares_remove(other->spares, other); /* until nothing runs there any more */
    }
}

uint64_t spares_expire(struct spares *spares, uint64_t before_ns)
{
    uint64_t oldest_ns = UINT64_MAX;

    list_each(link, &spares->list)
    {
        struct up_conn *c = conn_of(link);
        if (c->running > 0) {
            continue;
        }
        if (c->idle_since_ns <= before_ns) {
            up_conn_close(c);
        } else if (c->idle_since_ns < oldest_ns) {
            oldest_ns = c->idle_since_ns;
        }
    }
    return oldest_ns;
}

void spares_drop(struct spares *spares)
{
    list_each(link, &spares->list)
    {
        struct up_conn *c = conn_of(link);
        if (c->running == 0) {
            up_conn_close(c);
        } else {
            spares_remove(spares, c);
        }
    }
}

bool spares_close_one(struct spares *spares)
{
    for (struct list *link = spares->list.prev; spares->idle > 0; link = link->prev) {
        if (conn_of(link)->running == 0) {
            up_conn_close(conn_of(link));
            return true;
        }
    }
    return false;
}

void pin_end(struct pin *pin)
{
    struct up_conn *c = pin->spare;

    if (unlikely(c != NULL)) {
        ASSERT(c->running == 0);
        up_conn_close(c);
    }
}
