/* SPDX-License-Identifier: MIT */
/*
 * What the files of the control thread share: its state, and the steps that one file does for another.
 * Private to core/control. Control thread, unless a comment says otherwise.
 */
#ifndef CONTROL_CONTROL_STATE_H
#define CONTROL_CONTROL_STATE_H

#include "base/mistakes.h"
#include "control/apply.h"
#include "control/change/changes.h"
#include "control/privileges.h"
#include "proxy/upstream/names.h"
#include "proxy/upstream/probe.h"

struct control {
    const char *path;
    struct arena arena;              /* of what the start has read */
    struct global_settings at_start; /* what the process began with */
    struct privileges_folders folders;
    struct runtime runtime;
    struct weir_host host;
    struct worker *self; /* the control thread's loop */
    struct prober *prober;
    struct names *names;
    struct generation *starting; /* waits for names; NULL: none does */
    struct list generations;
    struct event *signals[8];
    size_t signal_count;
    struct changes changes;
    bool naming; /* a reload waits for names */
    /* What is being applied; `done` NULL: nothing is. The gate is a change's, others have none. */
    struct apply *gate_of;
    void (*gate)(void *arg);
    void (*done)(void *arg, const char *error);
    void *done_arg;
    struct operation *reload_operation; /* of the reload that is under way; NULL: a signal's */
    bool started;                       /* the first generation is in force */
    bool stopping;
    bool stop_wanted;     /* SIGTERM came before the start had ended */
    bool clearing;        /* no more changes; the loops let go once what is on its way has ended */
    bool cleared;         /* they have been told to */
    uint64_t patience_ns; /* of clients, while it stops */
    _Atomic unsigned undrained;   /* loops that have not drained */
    struct message drained, last; /* that they have; that all of them have let go */
    struct message left;          /* generations have been left */
    _Atomic bool left_posted;
    struct task refresh;  /* queued: pools have been touched in this turn */
    struct timer tickets; /* until the next key of TLS session tickets */
    uint64_t tickets_ns;  /* what it is set to; 0: not yet */
    struct list leaving;  /* sockets that refuse and are not dry; see leaving.c */
    struct timer leaving_timer;
    int exit_code;
};

/* The control thread around a generation. Any thread. */
static inline struct control *control_of(const struct generation *generation)
{
    return container_of(generation->runtime, struct control, runtime);
}

/* ---- takeover.c: generations come into force and go ---- */

void control_log_mistakes(const struct mistakes *mistakes);
/* What a generation can come to lack, into the log. */
void control_warn(const struct generation *generation);
/* The program's log goes where the generation says from now on. */
void control_take_log(struct generation *generation);

/* runtime.on_left: any loop, the last one has left. */
void control_generation_left(struct runtime *runtime);
void control_free_left(struct control *control);

/* ---- leaving.c: listening sockets go ---- */

/* The sockets of `old` that `now` (NULL: nothing) does not have take no new connections; once no handshake
 * is under way there, the loops that accept on them are told to close. */
void control_leave_sockets(struct control *control, const struct generation *old,
                           const struct generation *now);
/* The end: lets go of those that are left. */
void control_leaving_free(struct control *control);

/* The first generation, which was built, comes into force. */
void control_begin(struct control *control, struct generation *generation);
/* As if it ran: with what is changed at run time, and what names stand for. NULL: told, and nothing has changed. */
struct generation *control_begin_again(struct control *control, struct generation *generation);
void control_names_changed(void *arg);

/* What health and recovery tell. */
void control_refresh_pool(void *arg, struct pool *pool);
void control_server_changed(void *arg, struct server *server);

/* What changes ask for; `arg` is the control. */
extern const struct changes_owner control_owner;

/* ---- stopping.c: signals and the end ---- */

/* Tells systemd, where there is one. */
void control_notify(const char *state);
void control_watch_signals(struct control *control);
/* Until the loop takes them: a signal that comes before would end a program whose sockets have clients already.
 * SIGINT ends it at any time. */
void control_hold_signals(bool hold);
/* SIGTERM: no new connections; who has connected is served, running requests end. During the start: after it. */
void control_stop_gently(struct control *control);
/* Nothing is on its way any more: where the program stops, the loops let go of everything. */
void control_settled(struct control *control);

#endif
