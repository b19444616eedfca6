/* SPDX-License-Identifier: MIT */
/*
 * Listeners on loops: they start, continue and stop accepting. See listening.h.
 */
#include "proxy/downstream/listening.h"

#include <stdlib.h>

#include "proxy/downstream/greeting.h"

/* How often leaving sockets are checked, and removed listeners that still have clients. */
#define LEAVE_TICK_NS (LOOP_TICK_MS * NS_PER_MS)
#define GONE_TICK_NS  (NS_PER_SECOND / 4)

static struct listener_local *local_of(const struct list *link)
{
    return container_of(link, struct listener_local, leaving);
}

static bool plan_has(const struct listener_plan *plan, const struct listen_socket *socket)
{
    for (size_t i = 0; plan != NULL && i < plan->socket_count; i++) {
        if (plan->sockets[i] == socket) {
            return true;
        }
    }
    return false;
}

static bool any_has(const struct plan *plan, const struct listen_socket *socket)
{
    for (size_t i = 0; plan != NULL && i < plan->listener_count; i++) {
        if (plan_has(&plan->listeners[i], socket)) {
            return true;
        }
    }
    return false;
}

/* ---- accepting ---- */

static void begun(struct greeter *greeter, int fd, const struct address *peer, uint16_t port,
                  const struct told_ends *told)
{
    downstream_open(container_of(greeter, struct listener_local, greeter), fd, peer, port, told);
}

static void refused(struct greeter *greeter, int fd)
{
    listener_refuse(container_of(greeter, struct listener_local, greeter), fd);
}

/* The port that the acceptor's socket, and so each of its connections, is bound to. */
static uint16_t accepting_port(const struct listener_local *local, const struct acceptor *acceptor)
{
    for (size_t i = 0; i < local->accepting_count; i++) {
        if (local->accepting[i].acceptor == acceptor) {
            return address_port(&local->accepting[i].socket->address);
        }
    }
    return 0;
}

static void accepted(struct acceptor *acceptor, int fd, const struct address *peer, void *arg)
{
    struct listener_local *local = arg;
    enum proxy_protocol protocol = local->plan->settings->proxy_protocol;
    uint16_t port = accepting_port(local, acceptor);

    if (likely(protocol == PROXY_PROTOCOL_OFF)) {
        downstream_open(local, fd, peer, port, NULL);
    } else if (downstream_trusts(local->plan, peer)) {
        greeting_begin(&local->greeter, fd, peer, port);
    } else if (protocol == PROXY_PROTOCOL_ACCEPT) {
        downstream_open(local, fd, peer, port, NULL);
    } else {
        greeting_refuse(&local->greeter, fd, peer);
    }
}

static void accepting_begin(struct listener_local *local, struct listen_socket *socket)
{
    struct loop *loop = local->home->loop;
    int fd = listen_socket_enter(socket, loop->index);
    struct acceptor *acceptor = acceptor_new(loop, fd, accepted, local);

    acceptor_set_gate(acceptor, listener_place_take, listener_place_back);
    if (!listener_plan_on_control(local->plan)) {
        acceptor_set_reserve(acceptor, local->home->keep_reserve);
    }
    local->accepting[local->accepting_count++] = (struct accepting){socket, acceptor, NULL};
}

static bool accepting_has(const struct listener_local *local, const struct listen_socket *socket)
{
    for (size_t i = 0; i < local->accepting_count; i++) {
        if (local->accepting[i].socket == socket) {
            return true;
        }
    }
    return false;
}

/* Ends the entry; the caller fills its place in the array. */
static void accepting_end(struct listener_local *local, struct accepting *accepting)
{
    acceptor_free(&accepting->acceptor);
    if (accepting->leaving == NULL) {
        listen_socket_pass(accepting->socket);
    } else {
        struct loop *loop = local->home->loop;
        listen_socket_leave(accepting->socket, loop->index);
        lifetime_unkeep(accepting->leaving, loop->index);
    }
}

/* ---- leaving ---- */

static void begin_to_leave(struct listener_local *local)
{
    struct down_home *home = local->home;

    if (!list_linked(&local->leaving)) {
        list_push_back(&home->leaving, &local->leaving);
    }
    timer_set(home->loop, &home->leave_timer, LEAVE_TICK_NS);
}

/* Sockets that `plan` lacks (NULL: it lacks all) are leaving, or have passed to another listener.
 * `from`: a plan that has them. */
static void accepting_leave(struct listener_local *local, const struct listener_plan *plan,
                            struct lifetime *from)
{
    const struct down_home *home = local->home;
    const struct plan *next = home->draining ? NULL : home->plan;
    size_t kept = 0;

    for (size_t i = 0; i < local->accepting_count; i++) {
        struct accepting *accepting = &local->accepting[i];
        if (accepting->leaving == NULL && !plan_has(plan, accepting->socket)) {
            if (any_has(next, accepting->socket)) {
                accepting_end(local, accepting);
                continue;
            }
            accepting->leaving = from;
            lifetime_keep(from, home->loop->index);
            begin_to_leave(local);
        }
        local->accepting[kept++] = *accepting;
    }
    local->accepting_count = kept;
}

void listener_local_leave(struct listener_local *local)
{
    if (local->plan != NULL) {
        accepting_leave(local, NULL, local->plan->owner->life);
        greeting_hurry_all(&local->greeter);
        begin_to_leave(local);
    }
}

static void local_go(struct listener_local *local)
{
    if (local->plan == NULL || local->gone) {
        return; /* it never was on this loop, or is leaving */
    }
    local->gone = true;
    listener_local_leave(local);
    list_each(link, &local->home->connections)
    {
        struct downstream *downstream = container_of(link, struct downstream, link);
        if (downstream->local == local) {
            down_conn_drain(&downstream->place.c);
        }
    }
}

void listener_local_adopt(struct listener_local *local, struct down_home *home,
                          struct listener_plan *plan)
{
    struct listener_plan *last = local->plan;

    local->home = home;
    if (plan == NULL) {
        local_go(local);
        return;
    }
    local->plan = plan;
    local->gone = false;
    local->greeter.loop = home->loop;
    local->greeter.listener = local->listener->name;
    local->greeter.timeout_ns = plan->http.header_timeout_ns;
    local->greeter.hurry_ns = down_conn_first_grace_ns(&plan->http);
    local->greeter.required = plan->settings->proxy_protocol == PROXY_PROTOCOL_REQUIRE;
    local->greeter.hurried = home->draining;
    local->greeter.begun = begun;
    local->greeter.refused = refused;
    if (last != NULL) {
        accepting_leave(local, home->draining ? NULL : plan, last->owner->life);
    }
    if (!home->draining) {
        local->accepting =
            base_realloc(local->accepting, sizeof(*local->accepting) *
                                               (local->accepting_count + plan->socket_count + 1));
        for (size_t i = 0; i < plan->socket_count; i++) {
            if (!accepting_has(local, plan->sockets[i])) {
                accepting_begin(local, plan->sockets[i]);
            }
        }
    }
    listener_places_look(local); /* the limit may have changed */
}

/* ---- the end ---- */

/* Accepts what is left in the queues of dry sockets and closes them. `cut`: closes all, which
 * resets whoever is queued. Returns whether sockets are still leaving. */
static bool accepting_close(struct listener_local *local, bool cut)
{
    size_t kept = 0;
    bool leaving = false;

    for (size_t i = 0; i < local->accepting_count; i++) {
        struct accepting *accepting = &local->accepting[i];
        bool leaves = accepting->leaving != NULL;
        bool dry = leaves && atomic_load(&accepting->socket->dry);
        if ((dry && acceptor_finish(accepting->acceptor)) || cut) {
            accepting_end(local, accepting);
        } else {
            leaving |= leaves;
            local->accepting[kept++] = *accepting;
        }
    }
    local->accepting_count = kept;
    return leaving;
}

/* Whether clients of the listener may begin another request. */
static bool clients_may_ask(const struct listener_local *local)
{
    if (local->count == 0) {
        return false;
    }
    list_each(link, &local->home->connections)
    {
        const struct downstream *downstream = container_of(link, struct downstream, link);
        if (downstream->local == local && !down_conn_is_last(&downstream->place.c)) {
            return true;
        }
    }
    return false;
}

bool listening_goes_on(const struct down_home *home, const struct plan *plan)
{
    for (const struct list *link = home->leaving.next; link != &home->leaving; link = link->next) {
        const struct listener_local *local = local_of(link);
        if (local->gone && (plan == NULL || local->plan->owner == plan)) {
            return true;
        }
    }
    return false;
}

/* One listener's next step out; returns whether sockets of it are still leaving. */
static bool local_step(struct listener_local *local)
{
    bool sockets = accepting_close(local, false);

    if (sockets || !list_empty(&local->greeter.waiting) ||
        (local->gone && clients_may_ask(local))) {
        return sockets;
    }
    list_remove(&local->leaving);
    if (local->gone) {
        listener_places_look(local); /* its timer must not outlive it */
        local->gone = false;
        local->plan = NULL;
    }
    return false;
}

bool listening_is_over(const struct down_home *home)
{
    return list_empty(&home->leaving);
}

static void listening_tick(struct timer *timer)
{
    struct down_home *home = container_of(timer, struct down_home, leave_timer);
    bool sockets = false;

    list_each(link, &home->leaving)
    {
        sockets = local_step(local_of(link)) || sockets;
    }
    batch_flush(home->batch);
    if (!list_empty(&home->leaving)) {
        timer_set(home->loop, timer, sockets ? LEAVE_TICK_NS : GONE_TICK_NS);
    }
    home->on_look(home);
}

void listening_cut(struct down_home *home)
{
    list_each(link, &home->leaving)
    {
        struct listener_local *local = local_of(link);
        accepting_close(local, true);
        greeting_close_all(&local->greeter);
        local_step(local);
    }
    timer_cancel(home->loop, &home->leave_timer);
}

void down_home_init(struct down_home *home, struct loop *loop, struct batch *batch,
                    const struct down_events *events, void *user)
{
    *home = (struct down_home){
        .owner = downstream_owner(events),
        .user = user,
        .loop = loop,
        .batch = batch,
        .leave_timer.fn = listening_tick,
    };
    list_init(&home->connections);
    list_init(&home->leaving);
}
