/* SPDX-License-Identifier: MIT */
/*
 * Signals, and watching the control thread. See sentry.h.
 */
#include "control/sentry.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/log.h"
#include "control/watch.h"
#include "module/call.h"

#define INTERVAL_NS (200 * NS_PER_MS)
/* From here on it is told that a module does not come back. */
#define LATE_NS (5 * NS_PER_SECOND)
/* What a signal that ends the program may wait for the control thread, beside the clients' time. */
#define ANSWER_NS (3 * NS_PER_SECOND)

struct sentry {
    struct worker *self;
    void (*take)(void *arg, int number);
    void *arg;
    sigset_t signals;
    pthread_t thread;
    struct message message; /* to the control thread: signals have been caught */
    pthread_mutex_t lock;   /* of `deaf`: nothing is posted to a loop that has ended */
    bool deaf;
    _Atomic bool posted, ended;
    _Atomic bool heard;      /* the control thread's loop takes signals; else it is the start */
    _Atomic uint64_t caught; /* by number */
    _Atomic uint64_t limit_ns, patience_ns;
    /* What is left until the program is ended; 0: it is not to be. */
    _Atomic uint64_t answer_ns; /* the control thread has a signal to answer */
    _Atomic uint64_t end_ns;    /* the program is to end */
    /* The thread's own. */
    uint64_t looked_ns;
    bool told;
    unsigned workers;
    struct looked { /* at a loop, the control thread's last */
        struct call_stack *calls;
        uint64_t since;   /* of the outermost call; 0: there was none */
        uint64_t hung_ns; /* as far as this thread ran */
    } loops[];
};

/* ---- the end ---- */

static void tell_hung(const struct sentry *sentry, const struct looked *loop, char *text,
                      size_t size)
{
    struct crash_text *calls = base_zalloc(sizeof(*calls));
    unsigned index = (unsigned)(loop - sentry->loops);
    char name[32] = "the control thread";

    if (index < sentry->workers) {
        snprintf(name, sizeof(name), "worker %u", index);
    }
    call_tell(calls, loop->calls);
    snprintf(text, size, "%s has not come back for %.1f s; it calls %.*s", name,
             (double)loop->hung_ns / NS_PER_SECOND, (int)calls->len, calls->bytes);
    free(calls);
}

static _Noreturn void end(const struct sentry *sentry, const struct looked *loop, const char *why)
{
    unsigned index = (unsigned)(loop - sentry->loops);
    char thread[16] = "weir", text[512] = "the control thread does not end it", words[640];

    if (index < sentry->workers) {
        snprintf(thread, sizeof(thread), "weir-%u", index);
    }
    if (loop->hung_ns > 0) {
        crash_tell_stall(thread, loop->hung_ns / NS_PER_MS, call_tell, loop->calls);
        tell_hung(sentry, loop, text, sizeof(text));
    }
    snprintf(words, sizeof(words), "weir: %s: %s", why, text);
    base_last_words(words);
    _exit(WATCH_EXIT);
}

/* As if nobody had caught it: nobody is served yet. */
static _Noreturn void end_by(int number)
{
    sigset_t set;

    signal(number, SIG_DFL); /* who has started it may have left it ignored */
    sigemptyset(&set);
    sigaddset(&set, number);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    raise(number);
    abort();
}

/* Whether that time is over. The control thread may stop the clock meanwhile. */
static bool is_over(_Atomic uint64_t *left_ns, uint64_t passed_ns)
{
    uint64_t left = atomic_load(left_ns), less;

    do {
        if (left == 0) {
            return false;
        }
        less = left > passed_ns ? left - passed_ns : 1;
    } while (!atomic_compare_exchange_weak(left_ns, &left, less));
    return less == 1;
}

/* ---- looking ---- */

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

/* One call of a module that goes on; many short ones, as when a large configuration is built, are
 * no hang. */
static void look_at(struct looked *loop, uint64_t passed_ns)
{
    bool calls = __atomic_load_n(&loop->calls->depth, __ATOMIC_ACQUIRE) > 0;
    uint64_t since = calls ? __atomic_load_n(&loop->calls->calls[0].since, __ATOMIC_RELAXED) : 0;

    loop->hung_ns = since != 0 && since == loop->since ? loop->hung_ns + passed_ns : 0;
    loop->since = since;
}

static void tell(struct sentry *sentry, const struct looked *control)
{
    char text[512];

    if (control->hung_ns >= LATE_NS && !sentry->told) {
        sentry->told = true;
        tell_hung(sentry, control, text, sizeof(text));
        log_write(WEIR_LOG_ERROR, "weir", "%s", text);
    } else if (control->hung_ns == 0 && sentry->told) {
        sentry->told = false;
        log_write(WEIR_LOG_WARNING, "weir", "the control thread is back");
    }
}

/* Workers are watched by the control thread, unless that hangs too, as where a generation is
 * prepared: then nobody may be served any more, and it has no more time than they. */
static void judge(const struct sentry *sentry, const struct looked *control)
{
    uint64_t limit_ns = atomic_load(&sentry->limit_ns);

    for (unsigned i = 0; i < sentry->workers && limit_ns > 0; i++) {
        if (control->hung_ns >= limit_ns && sentry->loops[i].hung_ns >= limit_ns) {
            end(sentry, &sentry->loops[i], "stall_limit is over");
        }
    }
    if (limit_ns > 0 && control->hung_ns >= limit_ns * SENTRY_TIMES &&
        control->hung_ns >= SENTRY_LEAST_NS) {
        end(sentry, control, "stall_limit is over");
    }
}

static void look(struct sentry *sentry)
{
    uint64_t now = now_ns(), passed_ns = now - sentry->looked_ns;
    const struct looked *control = &sentry->loops[sentry->workers];

    sentry->looked_ns = now;
    passed_ns = passed_ns < 2 * INTERVAL_NS ? passed_ns : 2 * INTERVAL_NS; /* else nothing ran */
    for (unsigned i = 0; i <= sentry->workers; i++) {
        look_at(&sentry->loops[i], passed_ns);
    }
    tell(sentry, control);
    judge(sentry, control);
    if (is_over(&sentry->answer_ns, passed_ns) || is_over(&sentry->end_ns, passed_ns)) {
        if (!atomic_load(&sentry->heard) && control->hung_ns == 0) {
            end_by(SIGTERM); /* a start that is long */
        }
        end(sentry, control, "the time to stop is over");
    }
}

/* ---- signals ---- */

static void on_message(struct message *message)
{
    struct sentry *sentry = container_of(message, struct sentry, message);

    atomic_store(&sentry->posted, false); /* first: what is caught from here on posts anew */
    if (!atomic_load(&sentry->heard)) {   /* what the start waited for ran messages: they wait on */
        return;
    }
    atomic_store(&sentry->answer_ns, 0);
    uint64_t caught = atomic_exchange(&sentry->caught, 0);
    for (int number = 1; number < 64 && !sentry->deaf; number++) {
        if ((caught >> number & 1) != 0) {
            sentry->take(sentry->arg, number);
        }
    }
}

void sentry_listen(struct sentry *sentry)
{
    atomic_store(&sentry->heard, true);
    if (atomic_load(&sentry->caught) != 0 && !atomic_exchange(&sentry->posted, true)) {
        loop_post(sentry->self->loop, &sentry->message);
    }
}

/* The shorter time counts where two signals wait. */
static void await_answer(struct sentry *sentry, uint64_t within_ns)
{
    uint64_t left = atomic_load(&sentry->answer_ns);

    if (left == 0 || left > within_ns) {
        atomic_store(&sentry->answer_ns, within_ns);
    }
}

static void caught(struct sentry *sentry, int number)
{
    if (number == SIGINT && !atomic_load(&sentry->heard)) {
        end_by(SIGINT);
    } else if (number == SIGINT) {
        await_answer(sentry, ANSWER_NS);
    } else if (number == SIGTERM) {
        await_answer(sentry, ANSWER_NS + atomic_load(&sentry->patience_ns));
    }
    atomic_fetch_or(&sentry->caught, UINT64_C(1) << number);
    pthread_mutex_lock(&sentry->lock);
    if (!sentry->deaf && !atomic_exchange(&sentry->posted, true)) {
        loop_post(sentry->self->loop, &sentry->message);
    }
    pthread_mutex_unlock(&sentry->lock);
}

static void *sentry_main(void *arg)
{
    static const struct timespec interval = {.tv_nsec = INTERVAL_NS};
    struct sentry *sentry = arg;

    crash_thread_begins(NULL, NULL);
    while (!atomic_load(&sentry->ended)) {
        int number = sigtimedwait(&sentry->signals, NULL, &interval);
        if (number > 0 && !atomic_load(&sentry->ended)) {
            caught(sentry, number);
        }
        look(sentry);
    }
    crash_thread_ends();
    return NULL;
}

/* ---- life ---- */

struct sentry *sentry_new(struct worker *const *loops, unsigned workers, const int *signals,
                          void (*take)(void *arg, int number), void *arg)
{
    struct sentry *sentry = base_zalloc(sizeof(*sentry) + (workers + 1) * sizeof(sentry->loops[0]));
    sigset_t others, before;

    sentry->self = loops[workers];
    sentry->workers = workers;
    for (unsigned i = 0; i <= workers; i++) {
        sentry->loops[i].calls = loops[i]->calls;
    }
    sentry->take = take;
    sentry->arg = arg;
    sentry->message.fn = on_message;
    sentry->looked_ns = now_ns();
    pthread_mutex_init(&sentry->lock, NULL);
    sigemptyset(&sentry->signals);
    for (; *signals != 0; signals++) {
        sigaddset(&sentry->signals, *signals);
    }
    pthread_sigmask(SIG_BLOCK, &sentry->signals, NULL);
    crash_others(&others);
    pthread_sigmask(SIG_SETMASK, &others, &before);
    errno = pthread_create(&sentry->thread, NULL, sentry_main, sentry);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (errno != 0) {
        pthread_mutex_destroy(&sentry->lock);
        free(sentry);
        return NULL;
    }
    pthread_setname_np(sentry->thread, "weir-sentry");
    return sentry;
}

void sentry_deafen(struct sentry *sentry)
{
    pthread_mutex_lock(&sentry->lock);
    sentry->deaf = true;
    pthread_mutex_unlock(&sentry->lock);
}

void sentry_free(struct sentry **sentry)
{
    struct sentry *gone = *sentry;

    *sentry = NULL;
    atomic_store(&gone->ended, true);
    pthread_kill(gone->thread, SIGUSR1); /* it waits for one of them */
    pthread_join(gone->thread, NULL);
    pthread_mutex_destroy(&gone->lock);
    free(gone);
}

void sentry_set_limits(struct sentry *sentry, uint64_t stall_limit_ns, uint64_t patience_ns)
{
    if (sentry != NULL) {
        atomic_store(&sentry->limit_ns, stall_limit_ns);
        atomic_store(&sentry->patience_ns, patience_ns);
    }
}

void sentry_end_within(struct sentry *sentry, uint64_t ns)
{
    if (sentry != NULL) {
        atomic_store(&sentry->end_ns, ns);
    }
}
