/* SPDX-License-Identifier: MIT */
/*
 * A message to each loop, and back. See loops.h.
 */
#include "control/loops.h"

#include <stdlib.h>

struct round {
    struct loop *control;
    void (*fn)(struct worker *worker, void *arg);
    void (*done)(void *arg);
    void *arg;
    unsigned waiting; /* loops that have not answered; control thread */
    struct step {
        struct message message; /* goes to the loop and comes back */
        struct round *round;
        struct worker *worker;
    } steps[];
};

static void answered(struct message *message)
{
    struct round *round = container_of(message, struct step, message)->round;

    if (--round->waiting == 0) {
        if (round->done != NULL) {
            round->done(round->arg);
        }
        free(round);
    }
}

static void on_loop(struct message *message)
{
    struct step *step = container_of(message, struct step, message);

    step->round->fn(step->worker, step->round->arg);
    message->fn = answered;
    loop_post(step->round->control, message);
}

void loops_do(struct runtime *runtime, unsigned count, void (*fn)(struct worker *worker, void *arg),
              void (*done)(void *arg), void *arg)
{
    struct round *round = base_zalloc(sizeof(*round) + count * sizeof(round->steps[0]));

    round->control = runtime->loops[runtime->workers]->loop;
    round->fn = fn;
    round->done = done;
    round->arg = arg;
    round->waiting = count;
    for (unsigned i = 0; i < count; i++) {
        struct step *step = &round->steps[i];
        step->message.fn = on_loop;
        step->round = round;
        step->worker = runtime->loops[i];
        loop_post(step->worker->loop, &step->message);
    }
}
