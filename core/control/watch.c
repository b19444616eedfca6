/* SPDX-License-Identifier: MIT */
/*
 * Watching workers. See watch.h.
 */
#include "control/watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/log.h"
#include "module/call.h"

/* How often they are asked at least; more often where the limit is short. */
#define INTERVAL_MOST_NS  (500 * NS_PER_MS)
#define INTERVAL_LEAST_NS (20 * NS_PER_MS)
/* From here on a worker is late, and told to be. */
#define LATE_NS NS_PER_SECOND
/* A worker that is on the CPU, or would be, has to have worked for this part of the limit. */
#define WORKED_PART 4

struct watched {
    struct message message; /* goes to the worker and comes back */
    struct watch *watch;
    struct worker *worker;
    bool asked;
    bool told;              /* that it is late */
    uint64_t unanswered_ns; /* as far as the control thread ran */
    uint64_t worked_ns;     /* its CPU time when it was asked */
};

struct watch {
    struct worker *self;
    struct timer timer;
    uint64_t limit_ns; /* 0: none */
    uint64_t looked_ns;
    uint64_t end_ns; /* of the program; 0: not to end */
    void (*well)(void);
    unsigned count;
    struct watched workers[];
};

static uint64_t worked_ns(const struct worker *worker)
{
    clockid_t clock;
    struct timespec now = {0};

    if (!worker->running || pthread_getcpuclockid(worker->thread, &clock) != 0) {
        return 0;
    }
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

/* Whether it sleeps, or is no more, as a module can end any thread; else it runs, would like to, or
 * waits for the kernel (proc(5)). */
static bool sleeps(const struct worker *worker)
{
    pid_t tid = atomic_load(&worker->tid);
    char path[64], line[512];
    size_t len = 0;

    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return tid != 0 && errno == ENOENT;
    }
    len = fread(line, 1, sizeof(line) - 1, file);
    fclose(file);
    line[len] = '\0';
    const char *state = strrchr(line, ')');
    return state != NULL && state[1] == ' ' && state[2] == 'S';
}

/* ---- asking ---- */

static void on_answer(struct message *message)
{
    struct watched *watched = container_of(message, struct watched, message);

    if (watched->told) {
        log_write(WEIR_LOG_WARNING, "weir", "worker %u is back after %.1f s",
                  watched->worker->index, (double)watched->unanswered_ns / NS_PER_SECOND);
    }
    watched->asked = watched->told = false;
    watched->unanswered_ns = 0;
}

static void on_worker(struct message *message)
{
    struct watched *watched = container_of(message, struct watched, message);

    message->fn = on_answer;
    loop_post(watched->watch->self->loop, message);
}

static void ask(struct watched *watched)
{
    watched->asked = true;
    watched->worked_ns = worked_ns(watched->worker);
    watched->message.fn = on_worker;
    loop_post(watched->worker->loop, &watched->message);
}

/* ---- the end ---- */

/* "worker 1 hangs in ..." with what it calls. */
static void name(struct watched *watched, char *text, size_t size)
{
    struct crash_text *calls = base_zalloc(sizeof(*calls));

    call_tell(calls, watched->worker->calls);
    snprintf(text, size, "worker %u has not come back for %.1f s%s%.*s", watched->worker->index,
             (double)watched->unanswered_ns / NS_PER_SECOND, calls->len > 0 ? "; it calls " : "",
             (int)calls->len, calls->bytes);
    free(calls);
}

static _Noreturn void end(struct watched *watched, const char *why)
{
    char thread[16], text[512], words[640];

    if (watched != NULL) {
        snprintf(thread, sizeof(thread), "weir-%u", watched->worker->index);
        crash_tell_stall(thread, watched->unanswered_ns / NS_PER_MS, call_tell,
                         watched->worker->calls);
        name(watched, text, sizeof(text));
    } else {
        snprintf(text, sizeof(text), "all workers are well");
    }
    snprintf(words, sizeof(words), "weir: %s: %s", why, text);
    base_last_words(words);
    _exit(WATCH_EXIT);
}

static bool is_stalled(const struct watch *watch, const struct watched *watched)
{
    return watch->limit_ns > 0 && watched->unanswered_ns >= watch->limit_ns &&
           (worked_ns(watched->worker) - watched->worked_ns >= watch->limit_ns / WORKED_PART ||
            sleeps(watched->worker));
}

static uint64_t interval_ns(const struct watch *watch)
{
    uint64_t ns = watch->limit_ns > 0 ? watch->limit_ns / 8 : INTERVAL_MOST_NS;

    ns = ns < INTERVAL_MOST_NS ? ns : INTERVAL_MOST_NS;
    return ns > INTERVAL_LEAST_NS ? ns : INTERVAL_LEAST_NS;
}

static void look(struct timer *timer)
{
    struct watch *watch = container_of(timer, struct watch, timer);
    uint64_t now_ns = loop_now_refresh(watch->self->loop);
    uint64_t passed_ns = now_ns - watch->looked_ns;
    uint64_t most_ns = 2 * interval_ns(watch);
    struct watched *latest = NULL;

    passed_ns = passed_ns < most_ns ? passed_ns : most_ns; /* else it was us who did not run */
    watch->looked_ns = now_ns;
    for (unsigned i = 0; i < watch->count; i++) {
        struct watched *watched = &watch->workers[i];
        if (!watched->asked) {
            ask(watched);
            continue;
        }
        watched->unanswered_ns += passed_ns;
        if (latest == NULL || watched->unanswered_ns > latest->unanswered_ns) {
            latest = watched;
        }
        if (watched->unanswered_ns >= LATE_NS && !watched->told) {
            char text[512];
            watched->told = true;
            name(watched, text, sizeof(text));
            log_write(WEIR_LOG_ERROR, "weir", "%s", text);
        }
        if (is_stalled(watch, watched)) {
            end(watched, "stall_limit is over");
        }
    }
    if (watch->end_ns > 0 && now_ns >= watch->end_ns) {
        end(latest, "the time to stop is over");
    }
    if (watch->well != NULL) {
        watch->well();
    }
    timer_set(watch->self->loop, timer, interval_ns(watch));
}

struct watch *watch_new(struct worker *self, struct worker *const *loops, unsigned count,
                        void (*well)(void))
{
    struct watch *watch = base_zalloc(sizeof(*watch) + count * sizeof(watch->workers[0]));

    watch->self = self;
    watch->count = count;
    watch->well = well;
    watch->looked_ns = loop_now_refresh(self->loop);
    for (unsigned i = 0; i < count; i++) {
        watch->workers[i] = (struct watched){.watch = watch, .worker = loops[i]};
    }
    watch->timer.fn = look;
    timer_set(self->loop, &watch->timer, interval_ns(watch));
    return watch;
}

void watch_free(struct watch **watch)
{
    if (*watch != NULL) {
        timer_cancel((*watch)->self->loop, &(*watch)->timer);
        free(*watch);
        *watch = NULL;
    }
}

void watch_set_limit(struct watch *watch, uint64_t stall_limit_ns)
{
    if (watch != NULL) {
        watch->limit_ns = stall_limit_ns;
        timer_set(watch->self->loop, &watch->timer, interval_ns(watch));
    }
}

void watch_end_within(struct watch *watch, uint64_t ns)
{
    if (watch != NULL) {
        watch->end_ns = loop_now_refresh(watch->self->loop) + ns;
    }
}

uint64_t watch_late_ms(const struct watch *watch, unsigned worker)
{
    const struct watched *watched = watch != NULL ? &watch->workers[worker] : NULL;
    return watched != NULL && watched->told ? watched->unanswered_ns / NS_PER_MS : 0;
}
