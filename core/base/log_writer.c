/* SPDX-License-Identifier: MIT */
/*
 * A log's thread. It sleeps until something is put, gathers for a moment, and writes what was put
 * until then; orders (reopen, another target, end) come in between. No lock is held while it
 * writes.
 */
#include "base/log_writer.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/crash.h"
#include "base/lanes.h"

/* Lines are rendered so many bytes at a time. */
#define OUT_SIZE ((size_t)256 << 10)

/* After a failed write; how long a target that takes nothing is asked before orders are looked at;
 * and from when on that is worth a line. */
#define RETRY_NS   (200 * NS_PER_MS)
#define FULL_MS    50u
#define STUCK_NS   NS_PER_SECOND
#define TELL_EVERY NS_PER_SECOND

struct change {
    struct change *next;
    uint64_t since_ns;
    struct log_target target;
};

struct orders {
    struct change *changes; /* oldest first */
    uint64_t reopen_ns;     /* when it was asked for, after all changes; 0: it was not */
    bool end;
    uint64_t end_by_ns;
};

struct log_writer {
    struct log_writer_kind kind;
    struct lanes *lanes;
    pthread_t thread;
    bool left; /* joined or detached by log_writer_leave */

    _Atomic bool awake;  /* the thread knows that something was put */
    _Atomic bool urgent; /* much was */
    _Atomic bool gone;   /* the thread has ended */
    _Atomic bool stuck;
    _Atomic uint64_t lost;       /* lines that were taken from the lanes and dropped */
    _Atomic uint64_t drained_ns; /* all that was put until then is out */

    pthread_mutex_t lock;
    pthread_cond_t changed; /* awake, urgent, orders */
    pthread_cond_t ended;   /* gone */
    bool ending;            /* it will be; no way back */
    struct orders orders;

    /* The thread's own. */
    struct log_target target;
    char *out;
    size_t out_size, out_len, out_pos; /* out_pos <= out_len <= out_size; out_pos is written */
    uint64_t retry_ns;                 /* no write before; 0: at once */
    uint64_t full_ns;                  /* since when it takes nothing; 0: it does */
    int why;                           /* it failed so; 0: it is full */
    bool told_stuck;
    uint64_t told_ns, told_dropped;
};

enum outcome { OUT_DRAINED, OUT_FULL, OUT_FAILED };

static struct timespec to_timespec(uint64_t ns)
{
    return (struct timespec){(time_t)(ns / NS_PER_SECOND), (long)(ns % NS_PER_SECOND)};
}

/* ---- putting ---- */

static void wake(struct log_writer *writer, _Atomic bool *why)
{
    if (atomic_exchange(why, true)) {
        return; /* it knows already */
    }
    pthread_mutex_lock(&writer->lock);
    pthread_cond_signal(&writer->changed);
    pthread_mutex_unlock(&writer->lock);
}

bool log_writer_put(struct log_writer *writer, const void *record, size_t len)
{
    enum lanes_put put = lanes_put(writer->lanes, record, len);

    /* Looked at before it is written: the line is not shared with other loops that put. */
    if (!atomic_load(&writer->awake)) {
        wake(writer, &writer->awake);
    }
    if (unlikely(put == LANES_FILLING) && !atomic_load(&writer->urgent)) {
        wake(writer, &writer->urgent);
    }
    return put != LANES_DROPPED;
}

/* ---- what is said ---- */

static uint64_t count_dropped(struct log_writer *writer)
{
    return lanes_dropped(writer->lanes) + atomic_load_explicit(&writer->lost, memory_order_relaxed);
}

static void lose(struct log_writer *writer, const char *data, size_t len)
{
    atomic_fetch_add_explicit(&writer->lost, lanes_count_lines(data, len), memory_order_relaxed);
}

/* Reports a target that takes nothing, if that lasts. */
static void tell_stuck(struct log_writer *writer)
{
    uint64_t now = lanes_now_ns();

    if (writer->full_ns == 0) {
        writer->full_ns = now;
    }
    if (writer->told_stuck || (writer->why == 0 && now - writer->full_ns < STUCK_NS)) {
        return;
    }
    writer->told_stuck = true;
    atomic_store_explicit(&writer->stuck, true, memory_order_relaxed);
    if (!writer->kind.own_log) {
        writer->kind.say(
            WEIR_LOG_WARNING, "log",
            "%s takes nothing (%s): lines wait, and are dropped when more than %zu MiB do",
            writer->target.name,
            writer->why == ENXIO || writer->why == EPIPE ? "nobody reads it"
            : writer->why != 0                           ? strerror(writer->why)
                                                         : "its reader is too slow, or stands",
            LOG_WRITER_WAITING_MAX >> 20);
    }
}

/* All pending lines are out. Returns when there will be more to report; 0: never. */
static uint64_t tell_over(struct log_writer *writer)
{
    uint64_t now = lanes_now_ns();
    uint64_t dropped = count_dropped(writer);
    uint64_t lines = dropped - writer->told_dropped;
    double seconds = writer->full_ns != 0 ? (double)(now - writer->full_ns) / 1e9 : 0;

    bool was_stuck = writer->told_stuck && !writer->kind.own_log;
    writer->full_ns = 0;
    writer->told_stuck = false;
    atomic_store_explicit(&writer->stuck, false, memory_order_relaxed);
    if (lines == 0 && !was_stuck) {
        return 0;
    }
    if (!was_stuck && writer->told_ns != 0 && now - writer->told_ns < TELL_EVERY) {
        return writer->told_ns + TELL_EVERY;
    }
    writer->told_ns = now;
    writer->told_dropped = dropped;
    if (was_stuck) {
        writer->kind.say(lines > 0 ? WEIR_LOG_WARNING : WEIR_LOG_NOTICE, "log",
                         "%s takes lines again, after %.1f s; %llu were dropped",
                         writer->target.name, seconds, (unsigned long long)lines);
    } else {
        writer->kind.say(WEIR_LOG_WARNING, "log",
                         "%llu lines were dropped: %s did not take them in time",
                         (unsigned long long)lines, writer->target.name);
    }
    return 0;
}

/* ---- writing ---- */

static size_t render(const struct log_writer *writer, const struct lanes_record *record, char *out)
{
    if (writer->kind.render != NULL) {
        return writer->kind.render(writer->target.style, record->data, record->len, out);
    }
    memcpy(out, record->data, record->len);
    return record->len;
}

/* Renders what was put until then, as far as there is room. false: there was nothing. */
static bool fill(struct log_writer *writer, uint64_t until_ns)
{
    const struct lanes_record *record;

    writer->out_len = writer->out_pos = 0;
    while ((record = lanes_first(writer->lanes, until_ns)) != NULL) {
        size_t need = record->len + LOG_WRITER_RENDER_MAX;
        if (need > writer->out_size - writer->out_len) {
            if (writer->out_len > 0) {
                break;
            }
            size_t size = need > OUT_SIZE ? need : OUT_SIZE;
            char *grown = realloc(writer->out, size);
            if (grown == NULL) {
                lose(writer, record->data, record->len);
                lanes_remove_first(writer->lanes);
                continue;
            }
            writer->out = grown;
            writer->out_size = size;
        }
        writer->out_len += render(writer, record, writer->out + writer->out_len);
        lanes_remove_first(writer->lanes);
    }
    return writer->out_len > 0;
}

/* Writes what was put until then. */
static enum outcome write_until(struct log_writer *writer, uint64_t until_ns)
{
    do {
        while (writer->out_pos < writer->out_len) {
            size_t written;
            const char *rest = writer->out + writer->out_pos;
            size_t left = writer->out_len - writer->out_pos;
            switch (log_target_write(&writer->target, rest, left, &written)) {
            case LOG_WRITTEN: writer->out_pos += written; break;
            case LOG_FULL: writer->why = 0; return OUT_FULL;
            case LOG_FAILED:
                writer->why = errno;
                writer->retry_ns = lanes_now_ns() + RETRY_NS;
                return OUT_FAILED;
            case LOG_GONE:
                lose(writer, rest, left);
                writer->out_pos = writer->out_len;
                if (writer->kind.own_log) {
                    writer->told_dropped = count_dropped(writer); /* nobody can be told */
                }
                break;
            }
        }
    } while (fill(writer, until_ns));
    writer->retry_ns = 0;
    atomic_store(&writer->drained_ns, until_ns);
    return OUT_DRAINED;
}

/* ---- orders ---- */

/* The rest of a line whose beginning went to the old file has no place in the new one; nor have
 * lines in another style. */
static void leave_old(struct log_writer *writer, bool all)
{
    const char *rest = writer->out + writer->out_pos;
    size_t len = writer->out_len - writer->out_pos;
    bool cut = writer->out_pos > 0 && len > 0 && writer->out[writer->out_pos - 1] != '\n';

    if (len == 0 || (!all && !cut)) {
        return;
    }
    const char *end = all ? NULL : memchr(rest, '\n', len);
    if (end != NULL) {
        len = (size_t)(end - rest) + 1;
    }
    lose(writer, rest, len);
    writer->out_pos += len;
}

static void exchange(struct log_writer *writer, struct log_target *target)
{
    leave_old(writer, target->style != writer->target.style);
    log_target_close(&writer->target);
    writer->target = *target;
    writer->retry_ns = 0;
}

static void reopen(struct log_writer *writer)
{
    struct log_target target;
    char error[512];

    if (writer->target.standard || writer->target.line_by_line) {
        return;
    }
    if (log_target_open(&target, writer->target.name, error, sizeof(error))) {
        exchange(writer, &target);
    } else {
        writer->kind.say(WEIR_LOG_ERROR, "log", "%s; the old file stays", error);
    }
}

static struct orders take_orders(struct log_writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    struct orders orders = writer->orders;
    writer->orders.reopen_ns = 0;
    writer->orders.changes = NULL;
    pthread_mutex_unlock(&writer->lock);
    return orders;
}

static bool is_ordered(const struct log_writer *writer, const struct orders *known)
{
    const struct orders *orders = &writer->orders;
    return orders->reopen_ns != 0 || orders->changes != NULL || orders->end != known->end ||
           orders->end_by_ns != known->end_by_ns;
}

/* Sleeps until `until_ns` (0: for ever), an order, or, with `for_work`, something that was put;
 * then a moment longer, so that lines go together. */
static void sleep_until(struct log_writer *writer, uint64_t until_ns, bool for_work,
                        const struct orders *known)
{
    bool late = false;

    pthread_mutex_lock(&writer->lock);
    while (!late && !is_ordered(writer, known) && !(for_work && atomic_load(&writer->awake))) {
        if (until_ns == 0) {
            pthread_cond_wait(&writer->changed, &writer->lock);
        } else {
            struct timespec until = to_timespec(until_ns);
            late = pthread_cond_timedwait(&writer->changed, &writer->lock, &until) == ETIMEDOUT;
        }
    }
    if (for_work && writer->kind.gather_ns > 0) {
        struct timespec until = to_timespec(lanes_now_ns() + writer->kind.gather_ns);
        while (!is_ordered(writer, known) && !atomic_load(&writer->urgent) &&
               pthread_cond_timedwait(&writer->changed, &writer->lock, &until) != ETIMEDOUT) {}
    }
    pthread_mutex_unlock(&writer->lock);
}

/* ---- the thread ---- */

/* One turn. false: it is to end. */
static bool turn(struct log_writer *writer)
{
    /* In this order: what is put after the first wakes the thread again, and orders that are taken
     * later are for what is put after `until_ns`. */
    atomic_store(&writer->awake, false);
    atomic_store(&writer->urgent, false);
    uint64_t until_ns = lanes_now_ns();
    struct orders orders = take_orders(writer);
    if (orders.end) {
        until_ns = lanes_now_ns(); /* the last order: all that was put before it */
    }

    while (orders.changes != NULL) {
        struct change *change = orders.changes;
        orders.changes = change->next;
        write_until(writer, change->since_ns);
        exchange(writer, &change->target);
        free(change);
    }
    if (orders.reopen_ns != 0) {
        write_until(writer, orders.reopen_ns);
        reopen(writer);
    }
    enum outcome outcome =
        writer->retry_ns > lanes_now_ns() ? OUT_FAILED : write_until(writer, until_ns);
    if (outcome == OUT_DRAINED) {
        uint64_t again_ns = tell_over(writer);
        if (orders.end && (!writer->kind.own_log || !atomic_load(&writer->awake))) {
            return false;
        }
        sleep_until(writer, again_ns, true, &orders);
        return true;
    }
    tell_stuck(writer);
    if (orders.end && lanes_now_ns() >= orders.end_by_ns) {
        return false;
    }
    if (outcome == OUT_FULL) {
        log_target_wait(&writer->target, FULL_MS);
    } else {
        sleep_until(writer, writer->retry_ns, false, &orders);
    }
    return true;
}

/* What is left is lost; for the program's own log nobody can be told. */
static void give_up(struct log_writer *writer)
{
    do {
        if (writer->out_pos < writer->out_len) {
            lose(writer, writer->out + writer->out_pos, writer->out_len - writer->out_pos);
        }
    } while (fill(writer, lanes_now_ns()));
    uint64_t lines = count_dropped(writer) - writer->told_dropped;
    if (lines > 0 && !writer->kind.own_log) {
        writer->kind.say(WEIR_LOG_WARNING, "log",
                         "%s is closed, and took no more: %llu lines are lost", writer->target.name,
                         (unsigned long long)lines);
    }
}

/* Whether the order to end still stands. */
static bool may_end(struct log_writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    writer->ending = writer->orders.end;
    bool ending = writer->ending;
    pthread_mutex_unlock(&writer->lock);
    return ending;
}

static void *thread_main(void *arg)
{
    struct log_writer *writer = arg;

    while (turn(writer) || !may_end(writer)) {}
    give_up(writer);
    log_target_close(&writer->target);
    pthread_mutex_lock(&writer->lock);
    atomic_store(&writer->gone, true);
    pthread_cond_signal(&writer->ended);
    pthread_mutex_unlock(&writer->lock);
    return NULL;
}

/* Signals are the control thread's; SIGPIPE of a reader that has gone is an error code here. */
static int start_thread(struct log_writer *writer)
{
    sigset_t all, old;

    crash_others(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int failure = pthread_create(&writer->thread, NULL, thread_main, writer);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (failure == 0) {
        pthread_setname_np(writer->thread, "weir-log");
    }
    return failure;
}

struct log_writer *log_writer_new(struct log_target *target, const struct log_writer_kind *kind,
                                  char *error, size_t error_size)
{
    struct log_writer *writer = calloc(1, sizeof(*writer));
    struct lanes *lanes = lanes_new(LOG_WRITER_WAITING_MAX);
    int failure = ENOMEM;

    if (writer != NULL && lanes != NULL) {
        pthread_condattr_t attributes;
        pthread_condattr_init(&attributes);
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        pthread_cond_init(&writer->changed, &attributes);
        pthread_cond_init(&writer->ended, &attributes);
        pthread_condattr_destroy(&attributes);
        pthread_mutex_init(&writer->lock, NULL);
        writer->kind = *kind;
        writer->lanes = lanes;
        writer->target = *target;
        failure = start_thread(writer);
    }
    if (failure != 0) {
        snprintf(error, error_size, "cannot start the thread that writes the log %s: %s",
                 target->name, strerror(failure));
        lanes_free(&lanes);
        free(writer);
        log_target_close(target);
        return NULL;
    }
    return writer;
}

/* ---- orders from outside ---- */

void log_writer_reopen(struct log_writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    writer->orders.reopen_ns = lanes_now_ns();
    pthread_cond_signal(&writer->changed);
    pthread_mutex_unlock(&writer->lock);
}

void log_writer_change(struct log_writer *writer, struct log_target *target)
{
    struct change *change = base_zalloc(sizeof(*change));
    struct change **last = &writer->orders.changes;

    change->target = *target;
    pthread_mutex_lock(&writer->lock);
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = change;
    change->since_ns = lanes_now_ns();
    writer->orders.reopen_ns = 0; /* just opened */
    pthread_cond_signal(&writer->changed);
    pthread_mutex_unlock(&writer->lock);
}

bool log_writer_flush(struct log_writer *writer, uint64_t patience_ns)
{
    uint64_t now = lanes_now_ns();
    uint64_t until_ns = now + patience_ns;
    static const struct timespec moment = {0, 1000000};

    wake(writer, &writer->awake);
    wake(writer, &writer->urgent);
    while (atomic_load(&writer->drained_ns) < now && !atomic_load(&writer->gone)) {
        if (lanes_now_ns() >= until_ns) {
            return false;
        }
        nanosleep(&moment, NULL);
        wake(writer, &writer->awake);
        wake(writer, &writer->urgent);
    }
    return true;
}

void log_writer_end(struct log_writer *writer, uint64_t patience_ns)
{
    uint64_t by_ns = lanes_now_ns() + patience_ns;

    pthread_mutex_lock(&writer->lock);
    if (!writer->orders.end || by_ns < writer->orders.end_by_ns) {
        writer->orders.end = true;
        writer->orders.end_by_ns = by_ns;
    }
    pthread_cond_signal(&writer->changed);
    pthread_mutex_unlock(&writer->lock);
}

bool log_writer_go_on(struct log_writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    bool ok = !writer->ending;
    if (ok) {
        writer->orders.end = false;
        writer->orders.end_by_ns = 0;
    }
    pthread_mutex_unlock(&writer->lock);
    return ok;
}

bool log_writer_wait(struct log_writer *writer, uint64_t patience_ns)
{
    struct timespec until = to_timespec(lanes_now_ns() + patience_ns);
    bool late = false;

    pthread_mutex_lock(&writer->lock);
    while (!atomic_load(&writer->gone) && !late) {
        late = pthread_cond_timedwait(&writer->ended, &writer->lock, &until) == ETIMEDOUT;
    }
    pthread_mutex_unlock(&writer->lock);
    return atomic_load(&writer->gone);
}

void log_writer_leave(struct log_writer *writer, uint64_t patience_ns)
{
    bool ended = log_writer_wait(writer, patience_ns);

    if (writer->left) {
        return;
    }
    writer->left = true;
    if (ended) {
        pthread_join(writer->thread, NULL);
    } else {
        pthread_detach(writer->thread); /* it stands in a disk's or reader's way */
    }
}

void log_writer_free(struct log_writer **writer)
{
    struct log_writer *freed = *writer;

    *writer = NULL;
    ASSERT(atomic_load(&freed->gone) && !freed->left);
    pthread_join(freed->thread, NULL);
    while (freed->orders.changes != NULL) {
        struct change *change = freed->orders.changes;
        freed->orders.changes = change->next;
        log_target_close(&change->target);
        free(change);
    }
    pthread_mutex_destroy(&freed->lock);
    pthread_cond_destroy(&freed->changed);
    pthread_cond_destroy(&freed->ended);
    lanes_free(&freed->lanes);
    free(freed->out);
    free(freed);
}

struct log_health log_writer_state(struct log_writer *writer)
{
    return (struct log_health){
        .dropped = count_dropped(writer),
        .waiting = lanes_held(writer->lanes),
        .stuck = atomic_load_explicit(&writer->stuck, memory_order_relaxed),
    };
}
