/* SPDX-License-Identifier: MIT */
/* The demo shop: what its files share. One process is one shop, and runs on one thread: nothing
 * here is locked. It speaks HTTP by libevent's server. As role `api` its answers are JSON; as
 * role `web` the same answers are put into the pages of demo/shop. */
#ifndef WEIR_DEMO_SHOP_H
#define WEIR_DEMO_SHOP_H

#include <stddef.h>
#include <sys/queue.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "demo.h"

enum {
    CATALOGUE_MAX = 100,
    CATALOGUE_PAGE = 12,
    CART_LINES = 32,
    CART_QUANTITY = 99,
    SESSION_ID_LEN = 32, /* hexadecimal digits */
    SESSION_USER_LEN = 32,
    ORDER_NUMBER_LEN = 12,
    ORDER_NAME_LEN = 80,
};

/* What the shop was told to do wrong; see shop.c. */
struct shop_faults {
    uint64_t slow_ms;  /* each answer waits this long */
    double fail_share; /* share of requests answered with 500 */
    double drop_share; /* share of requests whose connection is closed without an answer */
    bool sick;         /* /health says 503, all else works */
};

struct cart {
    size_t count;
    struct {
        unsigned product; /* its id */
        unsigned quantity;
    } lines[CART_LINES];
};

struct order {
    char number[ORDER_NUMBER_LEN + 1];
    char name[ORDER_NAME_LEN + 1]; /* who gets it */
    struct cart goods;
};

/* A visitor's session, in this process's memory alone: another server of the same pool knows
 * nothing of it, which is why such a shop needs a balancer that keeps visitors on their server.
 * Valid until the next call that makes or drops one. */
struct session {
    char id[SESSION_ID_LEN + 1];
    char user[SESSION_USER_LEN + 1]; /* "" when not logged in */
    struct cart cart;
    struct order order; /* the last one; its number is "" before the first */
    uint64_t used_ms;
    TAILQ_ENTRY(session) age;
};

struct waiting; /* a request that waits for its slow answer */

struct shop {
    struct event_base *base;
    struct evhttp *http;
    struct evhttp_bound_socket *socket;
    const char *name;
    const char *files; /* the folder with the catalogue and the pages */
    const char *bind;
    unsigned port;
    bool has_role, web;
    bool stopping;
    char instance[17]; /* differs from process to process: tells a restart from a survivor */
    struct shop_faults faults;
    cJSON *catalogue; /* an array; the product with id N is at N - 1 */
    /* Sessions by id, and by their last use, the oldest first. */
    void *sessions;
    TAILQ_HEAD(, session) ages;
    size_t session_count;
    unsigned session_limit;
    uint64_t session_ttl_ms;
    LIST_HEAD(, waiting) waiting;
    uint64_t requests;
    uint64_t started_ms;
};

/* One request while it is handled; lives on the stack. */
struct shop_request {
    struct shop *shop;
    struct evhttp_request *http;
    enum evhttp_cmd_type method; /* HEAD is told as GET */
    const char *path;            /* without the query */
    const char *tail;            /* what the route's star stood for, or "" */
    struct evkeyvalq values;     /* of the query and of the body, be it a form or JSON */
    struct session *session;     /* NULL until the visitor has something to be kept */
    const struct shop_route *route;
    char next[40]; /* where a browser is sent after a change; "" for the route's own place */
};

/* A row of the route table. A pattern ends with a star to take one more segment. */
struct shop_route {
    const char *pattern;
    enum evhttp_cmd_type method;
    void (*handle)(struct shop_request *rq);
    bool body;        /* it has one: a form, or JSON */
    const char *page; /* of the web side: where the answer is put; NULL: there is no page */
    const char *next; /* of the web side: where a browser is sent instead */
};
extern const struct shop_route shop_routes[]; /* shop_trade.c; ends with a NULL pattern */

/* shop_http.c: requests in, answers out. An answer takes ownership of what it is given. */
void shop_handle(struct evhttp_request *http, void *arg);
void shop_forget_waiting(struct shop *shop);
struct evbuffer *shop_buffer(void); /* never NULL: a shop without memory for one page ends */
void shop_add_header(struct shop_request *rq, const char *name, const char *value);
const char *shop_header(struct shop_request *rq, const char *name); /* "": there is none */
void shop_send(struct shop_request *rq, int status, const char *type, struct evbuffer *body);
/* Answers with JSON, or with the page or place of the route. */
void shop_answer(struct shop_request *rq, int status, cJSON *json);
/* An error in the role's own language: a problem document (RFC 9457) or a page. */
void shop_error(struct shop_request *rq, int status, const char *detail);
/* Whether a browser sent this from a page of this very site, or no browser at all. */
bool shop_same_site(struct shop_request *rq);

const char *shop_value(const struct shop_request *rq, const char *name); /* "": there is none */
/* Reads query and body into rq->values; false after an error answer. */
bool shop_read_values(struct shop_request *rq);

/* shop_page.c: the web side's pages, pictures and what seldom changes */
struct evbuffer *page_make(struct shop_request *rq, const char *name, const cJSON *content);
void page_file(struct shop_request *rq);
void page_picture(struct shop_request *rq);
struct evbuffer *page_read(const struct shop *shop, const char *name); /* NULL: cannot be read */

/* shop_session.c */
struct session *session_known(struct shop_request *rq); /* NULL: its cookie names none */
/* The session, made when there is none; NULL after an error answer. */
struct session *session_need(struct shop_request *rq);
/* Gives the session another id, so that one known before a login is worth nothing after it. */
bool session_rename(struct shop_request *rq);
void session_end(struct shop_request *rq);
void session_expire(struct shop *shop);
void session_drop_all(struct shop *shop);
unsigned cart_pieces(const struct cart *cart);
/* Adds pieces of a product, or sets how many there are; 0 removes it. What is wrong; NULL:
 * nothing. */
extern const char cart_not_there[];
const char *cart_change(struct cart *cart, unsigned product, unsigned quantity, bool add);
/* Makes the cart an order and empties it. false: no randomness for its number. */
bool session_order(struct session *session, const char *name);
/* Fills `out` with `digits` random hexadecimal digits (an even number) and a NUL. */
bool session_random_hex(char *out, size_t digits);

/* shop_trade.c */
const cJSON *catalogue_find(const struct shop *shop, const char *id_or_slug);

/* shop.c */
/* Read `200ms`, `1.5s` or `30m` into a uint64_t, and `10%` into a double. */
bool shop_read_duration(const char *text, void *ms);
bool shop_read_share(const char *text, void *share);
void shop_handle_control(struct shop_request *rq);
void shop_handle_health(struct shop_request *rq);

#endif
