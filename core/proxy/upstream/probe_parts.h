/* SPDX-License-Identifier: MIT */
/*
 * Shared by the files of the prober: its state, when it asks (probe.c), and one attempt
 * (probe_attempt.c).
 */
#ifndef PROXY_UPSTREAM_PROBE_PARTS_H
#define PROXY_UPSTREAM_PROBE_PARTS_H

#include "proxy/upstream/probe.h"
#include "proxy/upstream/probe_http.h"

enum attempt_end {
    ATTEMPT_GOOD,
    ATTEMPT_BAD,
    ATTEMPT_TIMED_OUT,
    ATTEMPT_VOID,    /* for lack of something here, which has been told */
    ATTEMPT_UNKNOWN, /* the address is unknown, which says nothing about the server */
};

/* One probe connection. Holds its plan until it ends, for its module's instance. */
struct probing {
    const struct pool_plan *plan; /* its owner is referenced */
    struct weir_probe_target target;
    struct conn *conn;           /* NULL: not yet, or HTTP/2 has it */
    struct probe_http *http;     /* NULL: HTTP/1, or whatever the module sends */
    struct probe_answer *answer; /* NULL: nothing was asked yet */
    struct loop_mark start;
    bool active;
};

/* The prober's state of one server, from its first to its last plan. */
struct probe {
    struct list link;
    struct prober *prober;
    struct server *server;        /* referenced */
    const struct pool_plan *plan; /* of the prober's plan; NULL while a new one is adopted */
    struct probing attempt;
    struct timer timer; /* the next attempt, or this one's timeout */
    struct list turn;   /* in prober.waiting: due, but too many are running */
    int64_t good, bad;  /* in a row */
    bool timed_out;     /* all of `bad` */
};

struct prober {
    struct loop *loop;
    struct batch batch;
    unsigned index;    /* of the loop */
    struct plan *plan; /* referenced on the control thread's loop; NULL: none yet */
    void (*ended)(struct probe *probe, enum attempt_end how, const char *reason);
    probe_changed_fn changed;
    void *arg;
    struct list probes;
    struct list waiting; /* struct probe.turn, the oldest first */
    size_t asking;       /* running attempts */
    size_t asking_most;
    struct task next; /* queued: attempts have ended and others may begin */
};

static inline struct loop *probe_loop(const struct probe *probe)
{
    return probe->prober->loop;
}

/* Modules say "probe: status 503"; the log line has that prefix already. */
static inline const char *without_prefix(const char *reason)
{
    return strncmp(reason, "probe: ", 7) == 0 ? reason + 7 : reason;
}

/* ---- probe_attempt.c ---- */

void attempt_begin(struct probe *probe);
/* Ends it without a word; nothing if none runs. */
void attempt_free(struct probe *probe);
/* The funnel: however an attempt ends, it ends here. */
void attempt_done(struct probe *probe, bool good, bool timed_out, const char *reason);
/* It failed for lack of Weir's own resources: no verdict. A server without one yet gets this as its
 * reason. */
void attempt_void(struct probe *probe, const char *why, const char *advice);

#endif
