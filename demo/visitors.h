/* SPDX-License-Identifier: MIT */
/* The demo's visitors: what their files share. All runs on one thread.
 *
 * What is a failure: no connection, no whole answer in time, an answer that breaks HTTP, a status or
 * content that does not belong to the request, a cart that is not exactly what was put in.
 * A cart is kept by one process of the shop. When another process answers for it, the cart is lost;
 * that is a failure too, unless the process that kept it is gone: it never answers anybody again. */
#ifndef WEIR_DEMO_VISITORS_H
#define WEIR_DEMO_VISITORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <event2/event.h>

#include "visitors_channel.h"
#include "visitors_cookies.h"
#include "visitors_http.h"

enum {
    GOODS_LIMIT = 128,
    CATEGORY_LIMIT = 16,
    PROCESS_LIMIT = 64,
    BASKET_LIMIT = 16,
    BASKET_QUANTITY = 99, /* pieces of one thing that the shop takes */
    PLAN_LIMIT = 64,
    PATH_LIMIT = 320,
    REQUEST_BODY_LIMIT = 320,
    PROBLEM_LIMIT = 240,
    BUCKETS_PER_DOUBLING = 16,
    HISTOGRAM_BUCKETS = 64 * BUCKETS_PER_DOUBLING,
};

/* --- visitors_world.c: what all visitors know ------------------------------------------------ */

struct good {
    unsigned id;
    uint64_t price_cents;
    char slug[64];
    char name[96];
    char category[32];
    char about[256];
};

/* One process of the shop, known by X-Served-By and X-Shop-Instance; or, with an empty instance,
 * what answered without naming itself. */
struct process {
    char name[48];
    char instance[24];
    uint64_t lost_pending; /* carts lost with it, which are failures if it ever answers again */
    uint64_t lost_first_ns;
};

/* Times by the logarithm: each bucket is 1/16 of a doubling of nanoseconds. */
struct histogram {
    uint64_t count;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* One row of the table: all processes of one name together. */
struct server_row {
    char name[48];
    uint64_t requests;
    uint64_t failed;
    uint64_t second_requests;
    uint64_t bytes;
    struct histogram times;
};

struct world {
    struct event_base *base;
    struct target target;
    unsigned think_min_ms;
    unsigned think_max_ms;
    unsigned timeout_ms;
    bool stopping; /* no new request is begun */
    bool quiet;
    uint64_t started_ns;

    size_t good_count; /* 0 until the first visitor has read the catalogue */
    struct good goods[GOODS_LIMIT];
    size_t process_count;
    struct process processes[PROCESS_LIMIT];
    size_t row_count;
    struct server_row rows[PROCESS_LIMIT];

    uint64_t requests;
    uint64_t failed;
    uint64_t second_requests;
    struct histogram second_times;
    uint64_t carts_checked;
    uint64_t carts_lost;       /* with their process */
    uint64_t carts_lost_alive; /* while their process lives: failures */
    uint64_t orders;
    unsigned complaints; /* failures told in words so far */
};

uint64_t now_ns(void);
/* The index of the process that sent `response`; the one without a name when there is none. */
size_t world_process(struct world *world, const struct response *response);
/* Counts a finished exchange; `process` as above. */
void world_count(struct world *world, size_t process, uint64_t began_ns, uint64_t time_ns,
                 size_t bytes);
/* Counts a failure of a process, and tells it on standard error unless there were many. */
void world_fail(struct world *world, size_t process, unsigned visitor, const char *what,
                const char *why);
/* A cart that `process` kept is not there any more. */
void world_lose_cart(struct world *world, size_t process);
/* Judges the lost carts whose process never answered again, at the end. */
void world_settle(struct world *world);
const struct good *world_good(const struct world *world, unsigned id);
/* Goods that the shop should find for a category ("" for all) and a word ("" for any). */
size_t world_count_goods(const struct world *world, const char *category, const char *word);

/* --- visitors_report.c ----------------------------------------------------------------------- */

void histogram_add(struct histogram *histogram, uint64_t value_ns);
double histogram_ms(const struct histogram *histogram, double share);
/* The live line, once a second. */
void report_second(struct world *world);
/* The table and the last line. */
void report_end(struct world *world);

/* --- visitors_life.c: one visitor ------------------------------------------------------------ */

/* What a visitor expects one side of the shop to know of it. */
struct basket {
    size_t count;
    struct {
        const struct good *good;
        unsigned quantity;
    } lines[BASKET_LIMIT];
    int keeper;     /* the process that keeps it; -1 while there is nothing to keep */
    char user[32];  /* logged in as; "" when not */
    char order[32]; /* the last order's number; "" without one */
    uint64_t order_cents;
};

struct visitor;

/* A request as an act prepares it. */
struct asked {
    const char *method;
    const char *type; /* of the body; NULL without one */
    char path[PATH_LIMIT];
    char body[REQUEST_BODY_LIMIT];
    const char *etag; /* for If-None-Match; NULL without */
};

enum act_side {
    ANYWHERE, /* needs nothing of what the shop remembers */
    ON_API,   /* needs the API side's memory of this visitor */
    ON_WEB,   /* needs the web side's */
};

/* Something a visitor does, with what must come of it. */
struct act {
    const char *name;
    enum act_side side;
    bool hurried; /* no thinking before it: a browser does it by itself */
    /* Fills `asked`; false when there is nothing to be done. */
    bool (*prepare)(struct visitor *visitor, struct asked *asked);
    /* False, with `problem` (PROBLEM_LIMIT bytes) written, when the answer is not right. */
    bool (*check)(struct visitor *visitor, const struct response *response, char *problem);
};

struct visitor {
    struct world *world;
    unsigned number;
    uint64_t random_state;
    struct channel *channel;
    struct event *timer;
    struct cookie_jar jar;
    struct basket api;
    struct basket web;
    size_t plan_len;
    size_t plan_at;
    const struct act *plan[PLAN_LIMIT];
    /* What the present act is about. */
    const struct act *act;
    bool on_web; /* this journey's cart is on the web side */
    const struct good *good;
    unsigned quantity;
    char word[32];
    char style_tag[64];
    uint64_t sent_count;
    char visit_id[40];
    uint64_t began_ns;
    bool busy;
};

/* NULL when there is no memory. The visitor begins at once, and lives until visitor_free(). */
struct visitor *visitor_new(struct world *world, unsigned number, uint64_t seed);
void visitor_free(struct visitor **visitor);
/* The basket that the present act is about; NULL when it needs none. */
struct basket *visitor_basket(struct visitor *visitor);
/* Uniform in [0, below). */
unsigned visitor_random(struct visitor *visitor, unsigned below);

/* --- visitors_acts.c: acts that need no memory, and helpers --------------------------- */

extern const struct act act_learn, act_home, act_style, act_picture, act_shelf, act_find, act_look,
    act_api_find, act_api_look, act_stray;

/* --- visitors_api.c and visitors_web.c: acts on a cart ---------------------------------------- */

extern const struct act act_api_add, act_api_cart, act_api_change, act_api_remove, act_api_order,
    act_api_receipt, act_api_login, act_api_me, act_api_logout;
extern const struct act act_web_add, act_web_cart, act_web_change, act_web_remove, act_web_checkout,
    act_web_order, act_web_receipt, act_web_login, act_web_me, act_web_logout;

/* Writes `problem` and returns false. */
bool wrong(char *problem, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Whether status and the beginning of Content-Type are these. */
bool expect(const struct response *response, int status, const char *type, char *problem);

/* --- visitors_basket.c ----------------------------------------------------------------------- */

/* Whether a few more pieces of a good surely fit into the shop's cart and this basket. */
bool basket_has_room(const struct basket *basket, const struct good *good);
void basket_add(struct basket *basket, const struct good *good, unsigned quantity);
void basket_set(struct basket *basket, const struct good *good, unsigned quantity);
uint64_t basket_cents(const struct basket *basket);
/* Whether that line of the cart is this; the shop lists things in the order they were put in. */
bool basket_holds(const struct basket *basket, size_t position, double id, double quantity);
/* Picks one of its lines into visitor->good; false when it is empty. */
bool pick_line(struct visitor *visitor, const struct basket *basket);
/* The users that the shop knows, by a visitor's number. */
const char *user_of(const struct visitor *visitor);

#endif
