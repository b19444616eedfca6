/* SPDX-License-Identifier: MIT */
/* Turns, tasks, frees and messages. */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "net_help.h"
#include "runner.h"

static struct loop *loop;

static void setup(void)
{
    loop = loop_new(3);
    ck_assert_ptr_nonnull(loop);
    ck_assert_uint_eq(loop->index, 3);
}

static void teardown(void)
{
    loop_free(&loop);
    ck_assert_ptr_null(loop);
}

/* ---- messages ---- */

#define THREADS  4u
#define MESSAGES 5000u

struct note {
    struct message message;
    unsigned thread, number;
};

static unsigned seen[THREADS];
static unsigned seen_total;

static void on_note(struct message *message)
{
    struct note *note = container_of(message, struct note, message);

    ck_assert_uint_eq(note->number, seen[note->thread]);
    seen[note->thread]++;
    seen_total++;
    free(note);
}

static void *post_many(void *arg)
{
    unsigned thread = (unsigned)(uintptr_t)arg;

    for (unsigned i = 0; i < MESSAGES; i++) {
        struct note *note = base_zalloc(sizeof(*note));
        note->message.fn = on_note;
        note->thread = thread;
        note->number = i;
        loop_post(loop, &note->message);
    }
    return NULL;
}

static bool all_seen(void *arg)
{
    (void)arg;
    return seen_total == THREADS * MESSAGES;
}

UNIT_TEST(test_messages_of_each_thread_come_in_order)
{
    pthread_t threads[THREADS];

    seen_total = 0;
    memset(seen, 0, sizeof(seen));
    for (unsigned i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, post_many, (void *)(uintptr_t)i), 0);
    }
    run_until(loop, all_seen, NULL);
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void stop_by_message(struct message *message)
{
    (void)message;
    loop_stop(loop);
}

static void *post_late(void *arg)
{
    usleep(20000); /* likely after the loop has gone to sleep; right also before */
    loop_post(loop, arg);
    return NULL;
}

UNIT_TEST(test_a_message_wakes_a_sleeping_loop)
{
    struct message message = {.fn = stop_by_message};
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, post_late, &message), 0);
    loop_run(loop);
    pthread_join(thread, NULL);
}

static unsigned settled;

static void post_again(struct message *message)
{
    if (++settled < 3) {
        loop_post(loop, message);
    }
}

static void post_it(struct task *task)
{
    static struct message message = {.fn = post_again};
    (void)task;
    loop_post(loop, &message);
}

UNIT_TEST(test_what_waits_is_settled_without_running)
{
    struct task task = {.fn = post_it};

    settled = 0;
    ck_assert(!loop_settle(loop));
    task_queue(loop, &task);
    while (loop_settle(loop)) {}
    ck_assert_uint_eq(settled, 3);
}

static void *stop_late(void *arg)
{
    (void)arg;
    usleep(20000);
    loop_stop(loop);
    return NULL;
}

UNIT_TEST(test_stop_from_another_thread)
{
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, stop_late, NULL), 0);
    loop_run(loop);
    pthread_join(thread, NULL);
    /* It can run again. */
    run_turns(loop, 2);
}

/* ---- tasks and frees ---- */

static char order[16];

static void record(char what)
{
    size_t len = strlen(order);
    ck_assert_uint_lt(len + 1, sizeof(order));
    order[len] = what;
}

static struct task second_task, first_task, later_task;
static uint64_t first_turn, later_turn;

static void on_freed(struct freed *freed)
{
    (void)freed;
    record('f');
}

static struct freed thing;

static void first(struct task *task)
{
    (void)task;
    record('1');
    first_turn = loop->turn;
    loop_free_later(loop, &thing, on_freed);
    task_queue(loop, &later_task);
    task_queue(loop, &later_task); /* once is enough */
}

static void second(struct task *task)
{
    (void)task;
    record('2');
}

static void later(struct task *task)
{
    (void)task;
    record('3');
    later_turn = loop->turn;
    loop_stop(loop);
}

UNIT_TEST(test_tasks_then_frees_and_new_tasks_a_turn_later)
{
    memset(order, 0, sizeof(order));
    thing = (struct freed){0};
    first_task = (struct task){.fn = first};
    second_task = (struct task){.fn = second};
    later_task = (struct task){.fn = later};
    task_queue(loop, &first_task);
    task_queue(loop, &second_task);
    loop_run(loop);
    ck_assert_str_eq(order, "12f3");
    ck_assert_uint_eq(later_turn, first_turn + 1);
}

UNIT_TEST(test_a_cancelled_task_does_not_run)
{
    memset(order, 0, sizeof(order));
    second_task = (struct task){.fn = second};
    task_queue(loop, &second_task);
    task_cancel(&second_task);
    run_turns(loop, 2);
    ck_assert_str_eq(order, "");
}

static void part_end(struct loop *of, struct loop_part *part)
{
    ck_assert_ptr_eq(of->parts[LOOP_PART_HTTP], part);
    record('e');
    loop_free_later(of, &thing, on_freed);
}

UNIT_TEST(test_the_part_ends_with_the_loop_and_may_free_later)
{
    struct loop_part part = {part_end};
    memset(order, 0, sizeof(order));
    thing = (struct freed){0};
    ck_assert_ptr_null(loop->parts[LOOP_PART_HTTP]);
    loop->parts[LOOP_PART_HTTP] = &part;
    loop_free(&loop);
    ck_assert_str_eq(order, "ef");
}

static bool posted_seen;

static void on_posted(struct message *message)
{
    (void)message;
    posted_seen = true;
}

static void forever(struct task *task)
{
    if (posted_seen) {
        loop_stop(loop);
    } else {
        task_queue(loop, task);
    }
}

UNIT_TEST(test_tasks_that_queue_themselves_do_not_starve_events)
{
    struct task task = {.fn = forever};
    struct message message = {.fn = on_posted};

    posted_seen = false;
    task_queue(loop, &task);
    loop_post(loop, &message);
    loop_run(loop);
    ck_assert(posted_seen);
}

/* ---- time ---- */

static uint64_t times[3];

static void read_time(struct task *task)
{
    (void)task;
    times[0] = loop_now_ns(loop);
    usleep(2000);
    times[1] = loop_now_ns(loop);
}

UNIT_TEST(test_time_is_read_once_a_turn)
{
    struct task task = {.fn = read_time};

    task_queue(loop, &task);
    run_turns(loop, 1);
    ck_assert_uint_eq(times[0], times[1]);
    task_queue(loop, &task);
    times[2] = times[0];
    run_turns(loop, 1);
    ck_assert_uint_ge(times[0], times[2] + 2 * NS_PER_MS);
    ck_assert_uint_gt(loop_wall_ms(), UINT64_C(1577836800000)); /* 2020 */
}

UNIT_FIXTURE(setup, teardown);
UNIT_TIMEOUT(60);
