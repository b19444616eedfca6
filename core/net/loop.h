/* SPDX-License-Identifier: MIT */
/*
 * A loop: one thread's libevent base with what all connections on it share: time read once a turn,
 * coarse timers, messages from other threads, work put off to the end of the turn, scratch memory.
 *
 * Thread: everything belongs to the loop's thread, except loop_post and loop_stop.
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <event2/event.h>
#include <stdatomic.h>
#include <time.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/poison.h"

/* A read takes at most what a socket holds, mostly: for large bodies 256 KiB cost 12 % less than
 * 128, and 512 no less than 256. Scratch: a read, behind as much that was kept. */
#define LOOP_READ_MOST    (256u * 1024)
#define LOOP_SCRATCH_SIZE (2 * LOOP_READ_MOST)
#define LOOP_OUTPUT_SIZE  (32u * 1024)
/* Pieces of scratch: sanitizer builds take another for each read, so that what was read before is
 * poisoned for a while, though the next read would have gone to the same place. */
#define LOOP_SCRATCHES (POISON_WORKS ? 8u : 1u)

/* ---- coarse timers: a hashed wheel on one libevent timer ---- */

/* Milliseconds a tick. A timer fires up to one tick (and the grain of the kernel's coarse clock)
 * late, never early. */
#define LOOP_TICK_MS 16u

struct timer;
typedef void (*timer_fn)(struct timer *timer);

/* Embedded in what it times out. Zeroed is unset. Setting it to a later time than it is filed under
 * only writes the deadline: it is filed anew when the old slot comes up, so a timeout that is
 * pushed on with every request costs a store. */
struct timer {
    struct list link;     /* in its slot */
    uint64_t deadline_ns; /* 0: not set */
    uint64_t filed_tick;  /* the tick of the slot it is in */
    timer_fn fn;
};

/* ---- work at the end of the turn ---- */

struct task;
typedef void (*task_fn)(struct task *task);

/* Embedded. Zeroed is not queued. */
struct task {
    struct list link;
    task_fn fn;
};

/* ---- messages from other threads ---- */

struct message;
typedef void (*message_fn)(struct message *message);

/* Owner: the receiver once posted; its fn frees it. */
struct message {
    struct message *next;
    message_fn fn;
};

/* ---- what a layer above keeps for each loop ---- */

struct loop;

/* Embedded in what the layer keeps; the loop only ends it. */
struct loop_part {
    /* Called by loop_free while timers, tasks and loop_free_later still work. */
    void (*end)(struct loop *loop, struct loop_part *part);
};

enum { LOOP_PART_NET, LOOP_PART_HTTP, LOOP_PARTS };

/* ---- time that a loop has lost ---- */

/* A loop stands still while code that is not its own runs too long: a module's. What happened
 * meanwhile is noticed late, and nobody else is to be charged with that. So the time of a peer is
 * measured between two marks: without what was lost in the turn of the first, since what was
 * decided there goes out at its end, and without what was lost since the poll before the one that
 * has brought the end. What was lost in turns between has delayed neither. */
struct loop_mark {
    uint64_t ns;
    uint64_t lost_ns; /* up to then */
    uint64_t turn;
};

/* Turns whose losses are known for long. */
#define LOOP_LOSSES 64u

struct loop_losses {
    uint64_t ns;                 /* all, since the start */
    uint64_t at_turn, at_last;   /* as this turn began, and the one before */
    uint64_t turns[LOOP_LOSSES]; /* turns with losses, by number, */
    uint64_t ends[LOOP_LOSSES];  /* and `ns` at their ends */
};

struct loop {
    struct event_base *base;
    unsigned index; /* 0 .. workers-1; workers for the control thread */
    bool now_fresh;
    atomic_bool stopping;
    uint64_t now_ns_;
    uint64_t turn; /* turns so far */
    struct loop_losses losses;
    char *scratch; /* loop_scratch_take's */
    char *scratches;
    char *output; /* LOOP_OUTPUT_SIZE: message heads on their way out */
    struct arena_cache blocks;
    struct loop_wheel *wheel;
    struct loop_queue *queue;
    struct loop_part *parts[LOOP_PARTS]; /* NULL: none yet */
    struct list tasks;                   /* run at the end of this turn */
    struct list freed;                   /* freed at the end of this turn, after the tasks */
    void *owner;                         /* the worker around it */
    void *calls;                         /* the module host's; NULL: none yet */
};

/* NULL: no memory or no descriptors; logged. */
struct loop *loop_new(unsigned index);
/* Ends its part; timers and messages that wait are dropped (messages: not freed). Not while it
 * runs. */
void loop_free(struct loop **loop);

/* Turns until loop_stop. */
void loop_run(struct loop *loop);
/* Not while it runs: deals with messages, tasks and frees that wait. true: there were some. */
bool loop_settle(struct loop *loop);
/* Any thread. The loop ends at the end of its turn. */
void loop_stop(struct loop *loop);

/* LOOP_SCRATCH_SIZE bytes to receive into. Nothing may still point into what was taken before: the
 * next read brings what another peer sent. Sanitizer builds poison that, and what the read callback
 * that took it leaves (loop_scratch_leave), so that a slice that outlives its read is found by
 * whoever follows it. */
static inline char *loop_scratch_take(struct loop *loop)
{
    if (POISON_WORKS) {
        POISON(loop->scratch, LOOP_SCRATCH_SIZE);
        size_t next = (size_t)(loop->scratch - loop->scratches) / LOOP_SCRATCH_SIZE + 1;
        loop->scratch = loop->scratches + next % LOOP_SCRATCHES * LOOP_SCRATCH_SIZE;
        UNPOISON(loop->scratch, LOOP_SCRATCH_SIZE);
    }
    return loop->scratch;
}

static inline void loop_scratch_leave(struct loop *loop)
{
    POISON(loop->scratch, LOOP_SCRATCH_SIZE);
}

/* Monotonic nanoseconds, read anew. */
static inline uint64_t loop_now_refresh(struct loop *loop)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    loop->now_ns_ = (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
    loop->now_fresh = true;
    return loop->now_ns_;
}

/* The same, read at most once a turn. */
static inline uint64_t loop_now_ns(struct loop *loop)
{
    return likely(loop->now_fresh) ? loop->now_ns_ : loop_now_refresh(loop);
}

/* The loop has just lost so much: reads the time anew. */
void loop_lose(struct loop *loop, uint64_t ns);

/* Calls of modules have taken so much of this turn that whoever has been read from once goes behind
 * all others. */
#define LOOP_WEARY_NS (10 * NS_PER_MS)
static inline bool loop_is_weary(const struct loop *loop)
{
    return unlikely(loop->losses.ns - loop->losses.at_turn > LOOP_WEARY_NS);
}

/* When this turn's poll returned: timers that are due then have had their sockets asked. */
static inline uint64_t loop_polled_ns(struct loop *loop)
{
    return loop_now_ns(loop) - (loop->losses.ns - loop->losses.at_turn);
}

static inline struct loop_mark loop_mark(struct loop *loop)
{
    return (struct loop_mark){loop_now_ns(loop), loop->losses.ns, loop->turn};
}

/* The time since the mark that a peer is charged with, for what this turn has brought. */
uint64_t loop_since(struct loop *loop, const struct loop_mark *mark);

/* Wall clock, milliseconds since 1970, read anew. */
uint64_t loop_wall_ms(void);

/* Sets (or moves) a timer to fire `delay_ns` from now. `timer->fn` is set by the owner
 * beforehand. */
void timer_set(struct loop *loop, struct timer *timer, uint64_t delay_ns);
/* Unsets it; nothing when it is not set. The timer's memory may be freed afterwards. */
void timer_cancel(struct loop *loop, struct timer *timer);
static inline bool timer_is_set(const struct timer *timer)
{
    return timer->deadline_ns != 0;
}

/* Queues a task for the end of this turn (or of the next, when tasks are already running); nothing
 * when it is queued. Never starves I/O: tasks queued by tasks wait for the next turn. */
void task_queue(struct loop *loop, struct task *task);
void task_cancel(struct task *task);

/* Frees memory at the end of the turn, when no callback can still hold it. `link` lies in the
 * object; fn gets it. */
struct freed {
    struct list link;
    void (*fn)(struct freed *freed);
};
void loop_free_later(struct loop *loop, struct freed *freed, void (*fn)(struct freed *freed));

/* Runs message->fn on the loop's thread, in order of posting. Any thread. Never fails. */
void loop_post(struct loop *loop, struct message *message);

#endif
