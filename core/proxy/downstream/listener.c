/* SPDX-License-Identifier: MIT */
/*
 * Listeners and their connection limits. See listener.h.
 */
#include "proxy/downstream/listener.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"

/* How often a listener at its connection_limit checks for a free place: this notices those that
 * other loops give back. */
#define FULL_LOOK_NS (LOOP_TICK_MS * NS_PER_MS)
/* How often each loop logs that, at most. */
#define FULL_TELL_NS (10 * NS_PER_SECOND)

static void full_look(struct timer *timer)
{
    struct listener_local *local = container_of(timer, struct listener_local, full_timer);

    if (local->plan == NULL || local->listener->open < local->plan->connection_limit) {
        listener_places_look(local);
    } else {
        timer_set(local->home->loop, timer, FULL_LOOK_NS);
    }
}

struct listener *listener_new(struct weir_str name, unsigned loops)
{
    struct listener *listener = base_zalloc_lines(sizeof(*listener));

    listener->name = base_strndup(name.ptr, name.len);
    listener->refs = 1;
    listener->addresses = address_counts_new();
    listener->loops = loops;
    listener->locals = base_zalloc_lines(sizeof(*listener->locals) * loops);
    for (unsigned i = 0; i < loops; i++) {
        listener->locals[i].listener = listener;
        list_init(&listener->locals[i].greeter.waiting);
        listener->locals[i].full_timer.fn = full_look;
    }
    return listener;
}

void listener_unref(struct listener **listener)
{
    struct listener *l = *listener;

    *listener = NULL;
    ASSERT(l->refs > 0);
    if (--l->refs > 0) {
        return;
    }
    for (unsigned i = 0; i < l->loops; i++) {
        ASSERT(l->locals[i].accepting_count == 0 && !l->locals[i].full);
        free(l->locals[i].accepting);
    }
    ASSERT(l->open == 0);
    list_remove(&l->link);
    address_counts_free(&l->addresses);
    free(l->locals);
    free(l->name);
    free(l);
}

static void set_full(struct listener_local *local, bool full)
{
    local->full = full;
    for (size_t i = 0; i < local->accepting_count; i++) {
        acceptor_pause(local->accepting[i].acceptor, full);
    }
}

/* What is above the limit waits in the kernel's queue (backlog) until a place is free. */
bool listener_place_take(struct acceptor *acceptor, void *arg)
{
    struct listener_local *local = arg;
    uint64_t now_ns = loop_now_ns(local->home->loop);

    if (atomic_fetch_add(&local->listener->open, 1) < local->plan->connection_limit) {
        return true;
    }
    listener_place_back(acceptor, local);
    if (local->full_told_ns == 0 || now_ns - local->full_told_ns > FULL_TELL_NS) {
        local->full_told_ns = now_ns;
        log_write(WEIR_LOG_WARNING, "listener",
                  "%s: connection_limit (%u) is reached; new connections wait",
                  local->listener->name, local->plan->connection_limit);
    }
    set_full(local, true);
    timer_set(local->home->loop, &local->full_timer, FULL_LOOK_NS);
    return false;
}

void listener_place_back(struct acceptor *acceptor, void *arg)
{
    struct listener_local *local = arg;
    (void)acceptor;
    atomic_fetch_sub(&local->listener->open, 1);
}

void listener_places_look(struct listener_local *local)
{
    if (local->full) {
        timer_cancel(local->home->loop, &local->full_timer);
        set_full(local, false);
    }
}

void listener_place_give(struct listener_local *local)
{
    listener_place_back(NULL, local);
    listener_places_look(local);
}

void listener_refuse(struct listener_local *local, int fd)
{
    close(fd);
    stat_add(&local->traffic.refused, 1);
    listener_place_give(local);
}
