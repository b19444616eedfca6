/* SPDX-License-Identifier: MIT */
/* The demo shop: what its files share. One process is one shop, and runs on one thread: nothing
 * here is locked. */
#ifndef WEIR_DEMO_SHOP_H
#define WEIR_DEMO_SHOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "shop_catalogue.h"
#include "shop_session.h"

enum shop_role { SHOP_API, SHOP_WEB };

/* What the shop has been told to do wrong; see shop_control.c. */
struct shop_faults {
    uint64_t slow_ms;  /* each answer waits this long */
    double fail_share; /* share of requests answered with 500 */
    double drop_share; /* share of requests whose connection is closed without an answer */
    bool sick;         /* /health says 503, all else works */
};

/* A request that waits for its slow answer. `request` is NULL once the client has gone. */
struct shop_waiting;

struct shop {
    struct event_base *base;
    struct evhttp *http;
    struct evhttp_bound_socket *socket;
    const char *name;
    enum shop_role role;
    char instance[17]; /* differs from process to process: tells a restart from a survivor */
    struct shop_faults faults;
    struct session_table *sessions;
    struct shop_waiting *waiting; /* head of a doubly linked list */
    struct event *stop_event;     /* looks whether all is answered, once stopping */
    uint64_t random_state;
    uint64_t requests;
    uint64_t started_ms;
    bool stopping;
};

/* One request while it is being handled; lives on the stack of shop_handle(). */
struct shop_request {
    struct shop *shop;
    struct evhttp_request *http;
    enum evhttp_cmd_type method; /* HEAD is told as GET */
    bool head;
    const char *path; /* decoded, without the query */
    const char *tail; /* what the route's star stood for, or "" */
    struct evkeyvalq query;
    struct session *session; /* NULL until the visitor has something to be kept */
};

/* A row of a role's route table. A pattern ends with a star to take one more segment. */
struct shop_route {
    const char *pattern;
    enum evhttp_cmd_type method;
    void (*handle)(struct shop_request *rq);
};

/* shop_http.c: requests in, answers out. An answer takes ownership of the body it is given. */

/* The callback of evhttp: answers one request; `arg` is the struct shop. */
void shop_handle(struct evhttp_request *http, void *arg);
/* Drops the requests that still wait, at the end. */
void shop_forget_waiting(struct shop *shop);
/* An empty body. Never NULL: a shop without memory for one page ends, and the balancer's other
 * servers go on. */
struct evbuffer *shop_buffer(void);
void shop_answer(struct shop_request *rq, int status, const char *type, struct evbuffer *body);
void shop_add_header(struct shop_request *rq, const char *name, const char *value);
/* A short error in the role's own language: a problem document or a page. */
void shop_error(struct shop_request *rq, int status, const char *detail);
uint64_t shop_now_ms(void);
/* Uniform in [0, 1). */
double shop_random(struct shop *shop);

/* shop_input.c: what came with a request */
/* A query or form value, "" when it is not there. */
const char *shop_value(const struct evkeyvalq *values, const char *name);
/* Reads an unsigned number in decimal digits alone; false leaves *out as it was. */
bool shop_number(const char *text, unsigned max, unsigned *out);
/* The body as text, "" when empty; NULL after an error answer. To be freed. */
char *shop_body(struct shop_request *rq, const char *type);
/* The form of a POST; false after an error answer. The caller clears `form` with
 * evhttp_clear_headers() when it was true. */
bool shop_form(struct shop_request *rq, struct evkeyvalq *form);
/* Whether a browser sent this from a page of this very site, or no browser at all. */
bool shop_same_site(struct shop_request *rq);
/* The session that the request's cookie names; NULL when it names none that is known. */
struct session *shop_known_session(struct shop_request *rq);
/* The session, made when there is none; NULL after an error answer (out of memory). */
struct session *shop_need_session(struct shop_request *rq);
/* Tells the visitor's client its session's present name. */
void shop_set_cookie(struct shop_request *rq);
/* Tells the visitor's client to forget it. */
void shop_drop_cookie(struct shop_request *rq);
bool shop_utf8(const char *text);

/* shop_control.c */
bool shop_parse_duration(const char *text, uint64_t *ms);
bool shop_parse_share(const char *text, double *share);
void shop_handle_control(struct shop_request *rq);
void shop_handle_health(struct shop_request *rq);

/* shop_account.c */
bool shop_account_ok(const char *user, const char *given);
/* The cart stays, the session gets a new name; false after an error answer. */
bool shop_log_in(struct shop_request *rq, const char *user);
/* Ends the session, cart and orders included. */
void shop_log_out(struct shop_request *rq);

/* shop_api.c and shop_web.c: the two sides; each table ends with a NULL pattern. */
extern const struct shop_route shop_api_routes[];
extern const struct shop_route shop_web_routes[];
void shop_api_error(struct shop_request *rq, int status, const char *detail);
void shop_web_error(struct shop_request *rq, int status, const char *detail);

/* shop_page.c: the frame of each page, and what pages are made of. */
struct evbuffer *page_begin(struct shop_request *rq, const char *title);
void page_end(struct shop_request *rq, int status, struct evbuffer *page);
/* Text as HTML, safe in elements and in quoted attributes. */
void page_text(struct evbuffer *page, const char *text);
/* Text as a query value. */
void page_query(struct evbuffer *page, const char *text);
void page_price(struct evbuffer *page, uint64_t cents);
void page_style(struct shop_request *rq);
void page_picture(struct shop_request *rq);
void page_icon(struct shop_request *rq);

#endif
