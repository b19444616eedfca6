/* SPDX-License-Identifier: MIT */
/*
 * Signals, and the end of the program. See control_state.h.
 */
#include "control/control_state.h"

#include <pthread.h>
#include <signal.h>

#include "base/log.h"
#include "base/logfile.h"
#include "control/loops.h"
#include "control/report.h"
#include "proxy/upstream/names.h"
#include "proxy/pool/recovery.h"

#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

/* What the end takes beside the clients' time: else a thread hangs. */
#define END_GRACE_NS (3 * NS_PER_SECOND)
/* And what takes the program apart once its loops have ended. */
#define LAST_GRACE_NS (10 * NS_PER_SECOND)

/* Notifies systemd, if there is one. */
void control_notify(const char *state)
{
#ifdef HAVE_SYSTEMD
    sd_notify(0, state);
#else
    (void)state;
#endif
}

/* ---- stopping ---- */

/* Messages that loops posted before this one have been handled. */
static void on_last(struct message *message)
{
    loop_stop(container_of(message, struct control, last)->self->loop);
}

static void clear_loop(struct worker *worker, void *arg)
{
    (void)arg;
    worker_clear(worker);
}

void control_release(struct control *control)
{
    if (control->prober != NULL) {
        prober_free(&control->prober);
    }
    if (control->runtime.recovery != NULL) {
        recovery_free(&control->runtime.recovery);
    }
    names_free(&control->runtime.names);
}

static void cleared(void *arg)
{
    struct control *control = arg;

    control_release(control);
    control_leaving_free(control);
    worker_clear(control->self);
    control->last.fn = on_last;
    loop_post(control->self->loop, &control->last);
}

void control_settled(struct control *control)
{
    if (control->clearing && !control->cleared && control->done == NULL && !control->naming) {
        control->cleared = true;
        loops_do(&control->runtime, control->runtime.workers, clear_loop, cleared, control);
    }
}

/* A change or reload under way ends first: cleared loops cannot take a generation, and its
 * caller gets an answer. */
static void clear_all(struct control *control)
{
    if (control->clearing) {
        return;
    }
    control->clearing = true;
    changes_stop(&control->changes);
    names_hurry(control->runtime.names);
    control_settled(control);
}

static void on_drained(struct message *message)
{
    clear_all(container_of(message, struct control, drained));
}

/* On each loop, once. */
static void loop_drained(struct worker *worker)
{
    struct control *control = control_of(generation_of(worker->plan));
    if (atomic_fetch_sub(&control->undrained, 1) == 1) {
        loop_post(control->self->loop, &control->drained);
    }
}

static void drain_loop(struct worker *worker, void *arg)
{
    const struct control *control = arg;
    worker_drain(worker, control->patience_ns, loop_drained);
}

/* Whoever does not let it end is named by the watch over the workers, while that still runs. */
static void end_within(struct control *control, uint64_t ns)
{
    watch_end_within(control->watch, ns);
    sentry_end_within(control->sentry, ns + LAST_GRACE_NS);
}

/* SIGTERM: no new connections; clients that are connected are served, running requests end. */
void control_stop_gently(struct control *control)
{
    if (control->stopping) {
        log_write(WEIR_LOG_INFO, "weir", "stopping already; SIGINT stops at once");
        return;
    }
    if (!control->started) { /* clients may be connected already: they are served first */
        control->stop_wanted = true;
        names_hurry(control->runtime.names);
        return;
    }
    control->stopping = true;
    control->patience_ns = control->runtime.current->plan->global.shutdown_timeout;
    log_write(WEIR_LOG_INFO, "weir", "stopping: running requests have %llu s to end",
              (unsigned long long)(control->patience_ns / NS_PER_SECOND));
    control_notify("STOPPING=1");
    end_within(control, control->patience_ns + END_GRACE_NS);
    control_leave_sockets(control, control->runtime.current, NULL);
    control->undrained = control->runtime.workers + 1;
    control->drained.fn = on_drained;
    loops_do(&control->runtime, control->undrained, drain_loop, NULL, control);
}

static void on_signal(void *arg, int number)
{
    struct control *control = arg;

    switch (number) {
    case SIGHUP: changes_reload(&control->changes); break;
    case SIGTERM: control_stop_gently(control); break;
    case SIGINT:
        log_write(WEIR_LOG_INFO, "weir", "stopping at once");
        control->stopping = true;
        end_within(control, END_GRACE_NS);
        clear_all(control);
        break;
    case SIGUSR1:
        log_reopen();
        logfile_reopen_all();
        log_write(WEIR_LOG_INFO, "weir", "log files are being opened again");
        break;
    case SIGUSR2: report_statistics(control->runtime.current); break;
    default: break;
    }
}

bool control_watch_signals(struct control *control)
{
    static const int numbers[] = {SIGHUP, SIGTERM, SIGINT, SIGUSR1, SIGUSR2, 0};

    control->sentry =
        sentry_new(control->runtime.loops, control->runtime.workers, numbers, on_signal, control);
    if (control->sentry == NULL) {
        fprintf(stderr, "weir: cannot start a thread: %s\n", strerror(errno));
    }
    return control->sentry != NULL;
}

void control_hold_signals(void)
{
    sigset_t held;

    sigemptyset(&held);
    sigaddset(&held, SIGHUP);
    sigaddset(&held, SIGTERM);
    sigaddset(&held, SIGUSR1);
    sigaddset(&held, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &held, NULL);
}
