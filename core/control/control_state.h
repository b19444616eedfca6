/* SPDX-License-Identifier: MIT */
/*
 * What the files of the control thread share: its state, and the steps that one file does for another.
 * Private to core/control. Control thread, unless a comment says otherwise.
 */
#ifndef CONTROL_CONTROL_STATE_H
#define CONTROL_CONTROL_STATE_H

#include "base/mistakes.h"
#include "control/apply.h"
#include "control/plane.h"
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
    struct plane *plane;
    bool applying;
    bool naming; /* a reload waits for names */
    /* what is being applied: a change (its gate and end), or a reload (the operation, or NULL) */
    struct apply *gate;
    void (*change_gate)(void *arg);
    void (*change_done)(void *arg, const char *error);
    void *change_arg;
    struct operation *reload_operation;
    bool rebuilding; /* since names have other servers */
    bool first;      /* the start's generation */
    bool started;    /* the first generation is in force */
    bool stopping;
    bool stop_wanted;     /* SIGTERM came before the start had ended */
    bool clearing;        /* no more changes; the loops let go once what is on its way has ended */
    bool cleared;         /* they have been told to */
    unsigned left;        /* loops that have not drained */
    struct task refresh;  /* queued: pools have been touched in this turn */
    struct timer tickets; /* until the next key of TLS session tickets */
    uint64_t tickets_ns;  /* what it is set to; 0: not yet */
    struct list leaving;  /* sockets that refuse and are not dry; see leaving.c */
    struct timer leaving_timer;
    int exit_code;
};

/* ---- takeover.c: generations come into force and go ---- */

/* The control thread around a generation. Any thread. */
struct control *control_of(const struct generation *generation);
/* Tells systemd, where there is one. */
void control_notify(const char *state);

/* A message to a loop, which may come back as the answer. Whoever gets it last frees it. */
struct note {
    struct message message;
    struct control *control;
    struct worker *worker;
    uint64_t patience_ns;
};

struct note *control_note(struct control *control, struct worker *worker, message_fn fn);

void control_log_mistakes(const struct mistakes *mistakes);
void control_print_mistakes(const struct mistakes *mistakes);
/* What a generation can come to lack, into the log. */
void control_warn(const struct generation *generation);
/* The program's log goes where the generation says from now on. */
void control_take_log(struct generation *generation);
unsigned control_count_workers(const struct global_settings *global);

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

/* A generation's servers have addresses: it comes into force. */
void control_named(void *arg, struct generation *generation);
void control_names_changed(void *arg);

/* What the plane asks for (plane_owner), and health, names and recovery tell. */
void control_refresh_pool(void *arg, struct pool *pool);
void control_refresh_server(void *arg, struct server *server);
void control_server_changed(void *arg, struct server *server);
void control_apply_change(void *arg, struct generation *generation, void (*gate)(void *gate_arg),
                          void (*done)(void *gate_arg, const char *error), void *gate_arg);
void control_gate_passed(void *arg, const char *error);
void control_rebuild(void *arg, struct plane *plane);
void control_reload(void *arg, struct operation *operation, struct plane *plane);

/* ---- stopping.c: signals and the end ---- */

void control_watch_signals(struct control *control);
/* Until the loop takes them: a signal that comes before would end a program whose sockets have clients already.
 * SIGINT ends it at any time. */
void control_hold_signals(bool hold);
/* SIGTERM: no new connections; who has connected is served, running requests end. During the start: after it. */
void control_stop_gently(struct control *control);
/* Nothing is on its way any more: where the program stops, the loops let go of everything. */
void control_settled(struct control *control);

#endif
