/* SPDX-License-Identifier: MIT */
/*
 * Listening sockets that close without losing a connection. See net/listener.h.
 */
#include <stdlib.h>

#include "control/control_state.h"

/* How long a handshake may take on a socket that closes. */
#define HANDSHAKE_NS NS_PER_SECOND

struct leaving {
    struct list link;
    struct listen_socket *socket; /* referenced */
    uint64_t end_ns;
};

static bool has_socket(const struct generation *generation, const struct listen_socket *socket)
{
    for (size_t i = 0; generation != NULL && i < generation->plan->listener_count; i++) {
        const struct listener_plan *plan = &generation->plan->listeners[i];
        for (size_t k = 0; k < plan->socket_count; k++) {
            if (plan->sockets[k] == socket) {
                return true;
            }
        }
    }
    return false;
}

static void leaving_free(struct leaving *leaving)
{
    list_remove(&leaving->link);
    listen_socket_unref(&leaving->socket);
    free(leaving);
}

/* At least a turn later, when the kernel has finished what it was doing as the socket began to
 * refuse. */
static void on_timer(struct timer *timer)
{
    struct control *control = container_of(timer, struct control, leaving_timer);
    uint64_t now_ns = loop_now_ns(control->self->loop);

    list_each(link, &control->leaving)
    {
        struct leaving *leaving = container_of(link, struct leaving, link);
        if (now_ns >= leaving->end_ns || listen_socket_is_settled(leaving->socket)) {
            atomic_store(&leaving->socket->dry, true);
            leaving_free(leaving);
        }
    }
    if (!list_empty(&control->leaving)) {
        timer_set(control->self->loop, timer, HANDSHAKE_NS / 16);
    }
}

void control_leave_sockets(struct control *control, const struct generation *old,
                           const struct generation *now)
{
    struct loop *loop = control->self->loop;

    for (size_t i = 0; i < old->plan->listener_count; i++) {
        const struct listener_plan *plan = &old->plan->listeners[i];
        for (size_t k = 0; k < plan->socket_count; k++) {
            if (has_socket(now, plan->sockets[k])) {
                continue;
            }
            struct leaving *leaving = base_zalloc(sizeof(*leaving));
            listen_socket_refuse(plan->sockets[k]);
            leaving->socket = listen_socket_ref(plan->sockets[k]);
            leaving->end_ns = loop_now_ns(loop) + HANDSHAKE_NS;
            list_push_back(&control->leaving, &leaving->link);
            control->leaving_timer.fn = on_timer;
            timer_set(loop, &control->leaving_timer, LOOP_TICK_MS * NS_PER_MS);
        }
    }
}

void control_leaving_free(struct control *control)
{
    list_each(link, &control->leaving)
    {
        leaving_free(container_of(link, struct leaving, link));
    }
    timer_cancel(control->self->loop, &control->leaving_timer);
}
