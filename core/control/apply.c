/* SPDX-License-Identifier: MIT */
/*
 * Two rounds over all loops. See apply.h.
 */
#include "control/apply.h"

#include <stdio.h>
#include <stdlib.h>

struct apply {
    struct runtime *runtime;
    struct generation *generation;
    apply_gate_fn gate; /* NULL: none */
    apply_fn fn;
    void *arg;
    unsigned waiting; /* loops that have not answered this round */
    bool failed;
    char error[512]; /* the first failure */
};

/* Goes to a loop with an order, and back with the answer. */
struct order {
    struct message message;
    struct apply *apply;
    struct worker *worker;
    bool ok;
    char error[256];
};

static struct worker *control_worker(const struct apply *apply)
{
    return apply->runtime->loops[apply->runtime->workers];
}

static void send_orders(struct apply *apply, message_fn fn)
{
    apply->waiting = apply->runtime->workers + 1;
    for (unsigned i = 0; i <= apply->runtime->workers; i++) {
        struct order *order = base_zalloc(sizeof(*order));
        order->message.fn = fn;
        order->apply = apply;
        order->worker = apply->runtime->loops[i];
        loop_post(order->worker->loop, &order->message);
    }
}

static void answer(struct order *order, message_fn fn)
{
    order->message.fn = fn;
    loop_post(control_worker(order->apply)->loop, &order->message);
}

static void finished(struct message *message)
{
    struct order *order = container_of(message, struct order, message);
    struct apply *apply = order->apply;

    free(order);
    if (--apply->waiting > 0) {
        return;
    }
    apply->fn(apply->arg, apply->generation, apply->failed ? apply->error : NULL);
    free(apply);
}

static void on_loop_commit(struct message *message)
{
    struct order *order = container_of(message, struct order, message);
    worker_commit(order->worker, order->apply->generation);
    answer(order, finished);
}

static void on_loop_abandon(struct message *message)
{
    struct order *order = container_of(message, struct order, message);
    generation_abandon(order->apply->generation, order->worker);
    answer(order, finished);
}

static void prepared(struct message *message)
{
    struct order *order = container_of(message, struct order, message);
    struct apply *apply = order->apply;

    if (!order->ok && !apply->failed) {
        apply->failed = true;
        snprintf(apply->error, sizeof(apply->error), "%s", order->error);
    }
    free(order);
    if (--apply->waiting > 0) {
        return;
    }
    if (!apply->failed && apply->gate != NULL) {
        apply->gate(apply->arg, apply);
    } else {
        send_orders(apply, apply->failed ? on_loop_abandon : on_loop_commit);
    }
}

struct generation *apply_generation(const struct apply *apply)
{
    return apply->generation;
}

void apply_pass(struct apply *apply, const char *error)
{
    if (error != NULL) {
        apply->failed = true;
        snprintf(apply->error, sizeof(apply->error), "%s", error);
    }
    send_orders(apply, error != NULL ? on_loop_abandon : on_loop_commit);
}

static void on_loop_prepare(struct message *message)
{
    struct order *order = container_of(message, struct order, message);
    order->ok = generation_prepare(order->apply->generation, order->worker, order->error,
                                   sizeof(order->error));
    answer(order, prepared);
}

void apply_begin(struct runtime *runtime, struct generation *generation, apply_gate_fn gate,
                 apply_fn fn, void *arg)
{
    struct apply *apply = base_zalloc(sizeof(*apply));
    apply->runtime = runtime;
    apply->generation = generation;
    apply->gate = gate;
    apply->fn = fn;
    apply->arg = arg;
    send_orders(apply, on_loop_prepare);
}
