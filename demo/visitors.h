/* SPDX-License-Identifier: MIT */
/* The demo's visitors: what their files share. Each visitor is a thread that asks by libcurl;
 * what they all know is behind the world's lock.
 *
 * What is a failure: no connection, no whole answer in time, a status or content that does not
 * belong to the request, a cart that is not exactly what was put in. A cart is kept by one
 * process of the shop. When another process answers for it, the cart is lost; that is a failure
 * too, unless the process that kept it is gone: it never answers anybody again. */
#ifndef WEIR_DEMO_VISITORS_H
#define WEIR_DEMO_VISITORS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#include <curl/curl.h>

#include "demo.h"

enum {
    PROCESS_LIMIT = 64,
    BASKET_LIMIT = 16,
    BASKET_QUANTITY = 99, /* pieces of one thing that the shop takes */
    HISTOGRAM_BUCKETS = 64 * 16,
};

/* Times by the logarithm: each bucket is 1/16 of a doubling of nanoseconds. */
struct histogram {
    uint64_t count;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* One process of the shop, known by X-Served-By and X-Shop-Instance; or, with an empty instance,
 * what answered without naming itself. A row of the table. */
struct process {
    char name[48], instance[24];
    uint64_t requests, failed, second_requests, bytes;
    struct histogram times;
    uint64_t lost_pending; /* carts lost with it, which are failures if it ever answers again */
    uint64_t lost_first_ns;
};

struct world {
    const char *url; /* without a last slash */
    const char *ca_file;
    unsigned think_min_ms, think_max_ms, timeout_ms;
    bool quiet;
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t stop;
    atomic_bool stopping; /* no new request is begun */
    uint64_t started_ns;
    cJSON *goods; /* the catalogue, as the first visitor has read it; never changes then */
    size_t process_count;
    struct process processes[PROCESS_LIMIT];
    uint64_t requests, failed, second_requests;
    atomic_ullong connections, resumed, carts_checked, orders;
    struct histogram second_times;
    uint64_t carts_lost;       /* with their process */
    uint64_t carts_lost_alive; /* while their process lives: failures */
    unsigned complaints;       /* failures told in words so far */
};

/* What a visitor expects one side of the shop to know of it. */
struct basket {
    size_t count;
    struct {
        const cJSON *good;
        unsigned quantity;
    } lines[BASKET_LIMIT];
    int keeper;     /* the process that keeps it; -1 while there is nothing to keep */
    char user[32];  /* logged in as; "" when not */
    char order[32]; /* the last order's number; "" without one */
    double order_cents;
};

enum side { API, WEB, ANYWHERE }; /* whose memory of the visitor a request needs */

struct visitor {
    struct world *world;
    unsigned number;
    pthread_t thread;
    uint64_t random_state;
    struct basket baskets[2]; /* by side */
    const cJSON *good;        /* what was looked at last */
    char style_tag[64];
    CURL *curl; /* connection, cookies and TLS sessions with it */
    const char *doing;
    size_t process; /* that answered last */
    bool resumed;   /* the connection has an earlier one's TLS session */
    uint64_t sent_count;
    long status;
    char *body; /* of the last answer, ended by NUL */
    size_t body_len, body_room;
};

/* A request. `body` NULL or empty: there is none; it is JSON for the API and a form for the
 * pages. */
struct asked {
    const char *doing; /* in words, for messages */
    enum side side;
    bool hurried; /* no thinking before it: a browser does it by itself */
    const char *method, *path, *field;
    char *body;
};

/* --- visitors_world.c: what all visitors know; each function takes the lock
 * --------------------- */

/* Counts a finished exchange of that process; the process's index. */
size_t world_count(struct world *world, const char *name, const char *instance, uint64_t began_ns,
                   size_t bytes);
/* Counts a failure of a process, and tells it on standard error unless there were many. */
void world_fail(struct world *world, size_t process, unsigned visitor, const char *what,
                const char *why);
/* A cart that `process` kept is not there any more. */
void world_lose_cart(struct world *world, size_t process);
/* Judges the lost carts whose process never answered again, at the end. */
void world_settle(struct world *world);
void report_second(struct world *world); /* the live line */
void report_end(struct world *world);    /* the table and the last line */

/* --- visitors_web.c: asking
 * ---------------------------------------------------------------------- */

/* Nothing of what was before is brought along: a new person. false: no memory. */
bool become_stranger(struct visitor *visitor);
/* Thinks, asks, and takes the answer. false: there is none, or not to this request, or the
 * visitor's cart was lost (which has all been counted), or the visitors are to end. */
bool ask(struct visitor *visitor, const struct asked *asked);
/* Counts a failure; false. */
bool wrong(struct visitor *visitor, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *header(struct visitor *visitor, const char *name); /* "": there is none */

/* --- visitors_life.c
 * ----------------------------------------------------------------------------- */

unsigned visitor_random(struct visitor *visitor, unsigned below); /* uniform in [0, below) */
void *visitor_live(void *visitor);                                /* until all are to end */

/* --- visitors_cart.c: what is done with a cart, by the API or by the pages' forms; false: it
 * went wrong --- */

bool cart_add(struct visitor *visitor, enum side side);
bool cart_look(struct visitor *visitor, enum side side);
bool cart_change(struct visitor *visitor, enum side side, unsigned quantity); /* 0 removes a line */
bool cart_order(struct visitor *visitor, enum side side);
bool log_in(struct visitor *visitor, enum side side);
bool log_out(struct visitor *visitor, enum side side);
/* Whether status and the beginning of Content-Type are these. */
bool expect(struct visitor *visitor, long status, const char *type);
/* Whether it is a whole page of the shop with that part. */
bool expect_page(struct visitor *visitor, const char *part);

#endif
