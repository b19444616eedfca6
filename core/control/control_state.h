/* SPDX-License-Identifier: MIT */
/*
 * State shared by the files of the control thread, and the steps that one does for another. Private
 * to core/control. Control thread, unless a comment says otherwise.
 */
#ifndef CONTROL_CONTROL_STATE_H
#define CONTROL_CONTROL_STATE_H

#include "base/mistakes.h"
#include "control/change/changes.h"
#include "control/privileges.h"
#include "control/sentry.h"
#include "control/watch.h"
#include "proxy/upstream/names.h"
#include "proxy/upstream/probe.h"

struct control {
    const char *path;
    struct arena arena;              /* memory of the settings read at the start */
    struct global_settings at_start; /* settings of the start */
    struct privileges_folders folders;
    struct runtime runtime;
    struct weir_host host;
    unsigned loop_count; /* of runtime.loops, made so far */
    struct worker *self; /* the control thread's loop */
    struct prober *prober;
    struct watch *watch;         /* NULL: workers do not run yet */
    struct generation *starting; /* the first one, until it begins */
    struct list generations;
    struct sentry *sentry; /* takes signals; NULL: not yet */
    struct changes changes;
    bool naming; /* a reload waits for names */
    /* The generation that comes into force; `done` NULL: none. Only a change has a gate. */
    struct generation *next;
    void (*gate)(void *arg);
    void (*done)(void *arg, const char *error);
    void *done_arg;
    atomic_flag failed; /* it does not: whoever sets it, on any loop, writes `error` */
    char error[512];    /* empty: no failure */
    struct operation *reload_operation; /* of the reload under way; NULL: by a signal */
    bool started;                       /* the first generation is in force */
    bool stopping;
    bool stop_wanted;     /* SIGTERM came during the start */
    bool clearing;        /* no more changes; loops are cleared once what is under way has ended */
    bool cleared;         /* loops are being cleared */
    uint64_t patience_ns; /* for clients, while it stops */
    _Atomic unsigned undrained;   /* loops that have not drained */
    struct message drained, last; /* all loops have drained; all are cleared */
    struct message left;          /* loops have left generations */
    _Atomic bool left_posted;
    struct message alarm; /* blocks of modules are out */
    _Atomic bool alarm_posted;
    struct task refresh;  /* queued: pools have been touched in this turn */
    struct timer tickets; /* until the next key of TLS session tickets */
    uint64_t tickets_ns;  /* what it is set to; 0: not yet */
    struct list leaving;  /* sockets that refuse and are not dry yet; see leaving.c */
    struct timer leaving_timer;
    int exit_code;
};

/* The control of a generation. Any thread. */
static inline struct control *control_of(const struct generation *generation)
{
    return container_of(generation->runtime, struct control, runtime);
}

/* ---- takeover.c: generations come into force and go ---- */

/* Logs what the generation may run out of. */
void control_warn(const struct generation *generation);
/* Switches the program's log to the generation's target and level. */
void control_take_log(struct generation *generation);

/* runtime.on_left: on any loop, the last one to leave. */
void control_generation_left(struct runtime *runtime);
/* Of the modules' registry. */
void control_module_alarm(void *arg);
void control_free_left(struct control *control);

/* ---- restoring.c: what the store keeps comes into force ---- */

void control_log_mistakes(const struct mistakes *mistakes);
/* Derives a generation that no loop has prepared again, with runtime changes and the servers that
 * names expand to, and with another copy of a module (`swap` NULL: none). NULL: mistakes were
 * logged; the old one is still valid. */
struct generation *control_begin_again(struct control *control, struct generation *generation,
                                       const struct plan_swap *swap);
/* The same with the copies of modules and the balancers of pools that changes have put in force;
 * what cannot be had is logged and left out. */
struct generation *control_restore(struct control *control, struct generation *generation);

/* ---- leaving.c: listening sockets go ---- */

/* Sockets of `old` that `now` (NULL: none) lacks stop taking connections. Once no handshake is
 * under way there, the loops close them. */
void control_leave_sockets(struct control *control, const struct generation *old,
                           const struct generation *now);
/* At the end: frees those that are left. */
void control_leaving_free(struct control *control);

/* Brings the first generation, `starting`, into force. */
void control_begin(struct control *control);
void control_names_changed(void *arg);

/* For health checks and recovery. */
void control_refresh_pool(void *arg, struct pool *pool);
void control_server_changed(void *arg, struct server *server);

/* What changes ask for; `arg` must be the control. */
extern const struct changes_owner control_owner;

/* ---- stopping.c: signals and the end ---- */

/* Frees what follows servers: probes, names, recovery. May be called twice. */
void control_release(struct control *control);
/* Notifies systemd, if there is one. */
void control_notify(const char *state);
/* From here on signals are caught, and taken once the loop runs. false: it has told why. */
bool control_watch_signals(struct control *control);
/* Blocks signals until they are caught, since one would end a program that has clients already.
 * SIGINT ends it at any time. */
void control_hold_signals(void);
/* SIGTERM: no new connections; connected clients are served, running requests end. During the
 * start: once that has ended. */
void control_stop_gently(struct control *control);
/* Nothing is under way: if the program stops, clears the loops. */
void control_settled(struct control *control);

#endif
