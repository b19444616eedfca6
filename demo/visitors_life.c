/* SPDX-License-Identifier: MIT */
/* One visitor: makes a plan, carries it out one request after the other, and judges each answer. */
#include "visitors.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { WIRE_LIMIT = 8192, COOKIES_ROOM = 4096 };

unsigned visitor_random(struct visitor *visitor, unsigned below)
{
    visitor->random_state ^= visitor->random_state >> 12;
    visitor->random_state ^= visitor->random_state << 25;
    visitor->random_state ^= visitor->random_state >> 27;
    return (unsigned)((visitor->random_state * UINT64_C(2685821657736338717) >> 33) % below);
}

struct basket *visitor_basket(struct visitor *visitor)
{
    switch (visitor->act->side) {
    case ON_API: return &visitor->api;
    case ON_WEB: return &visitor->web;
    default: return NULL;
    }
}

/* --- Plans ----------------------------------------------------------------------------------- */

static bool chance(struct visitor *visitor, unsigned percent)
{
    return visitor_random(visitor, 100) < percent;
}

static void plan(struct visitor *visitor, const struct act *act)
{
    assert(visitor->plan_len < PLAN_LIMIT);
    visitor->plan[visitor->plan_len++] = act;
}

/* Looks around until something was found; the last look decides what may go into the cart. */
static void plan_looking(struct visitor *visitor)
{
    for (unsigned looks = 1 + visitor_random(visitor, 3); looks > 0; looks--) {
        switch (visitor_random(visitor, 4)) {
        case 0: plan(visitor, &act_find); break;
        case 1: plan(visitor, &act_api_find); break;
        default: plan(visitor, &act_shelf); break;
        }
        plan(visitor, &act_look);
        if (chance(visitor, 60)) {
            plan(visitor, &act_picture);
        }
        if (chance(visitor, 40)) {
            plan(visitor, &act_api_look);
        }
    }
}

static void plan_cart(struct visitor *visitor)
{
    bool web = visitor->on_web;
    plan(visitor, web ? &act_web_add : &act_api_add);
    plan(visitor, web ? &act_web_cart : &act_api_cart);
    if (chance(visitor, 30)) {
        plan(visitor, web ? &act_web_change : &act_api_change);
        plan(visitor, web ? &act_web_cart : &act_api_cart);
    }
    if (chance(visitor, 15)) {
        plan(visitor, web ? &act_web_remove : &act_api_remove);
        plan(visitor, web ? &act_web_cart : &act_api_cart);
    }
}

static void plan_checkout(struct visitor *visitor)
{
    bool web = visitor->on_web;
    if (chance(visitor, 50)) {
        plan(visitor, web ? &act_web_login : &act_api_login);
        plan(visitor, web ? &act_web_me : &act_api_me);
        plan(visitor, web ? &act_web_cart : &act_api_cart); /* logging in must not lose it */
    }
    if (web) {
        plan(visitor, &act_web_checkout);
    }
    plan(visitor, web ? &act_web_order : &act_api_order);
    plan(visitor, web ? &act_web_receipt : &act_api_receipt);
    plan(visitor, web ? &act_web_cart : &act_api_cart); /* must be empty now */
    if (chance(visitor, 50)) {
        plan(visitor, web ? &act_web_logout : &act_api_logout);
    }
}

/* A new person: nothing of what was before is brought along. */
static void become_stranger(struct visitor *visitor)
{
    memset(&visitor->jar, 0, sizeof visitor->jar);
    memset(&visitor->api, 0, sizeof visitor->api);
    memset(&visitor->web, 0, sizeof visitor->web);
    visitor->api.keeper = -1;
    visitor->web.keeper = -1;
    *visitor->style_tag = '\0';
    visitor->plan_len = 0;
    visitor->plan_at = 0;
}

static void make_plan(struct visitor *visitor)
{
    /* Carts left behind by earlier journeys stay and are looked for again, within reason. */
    bool full = visitor->api.count > BASKET_LIMIT / 2 || visitor->web.count > BASKET_LIMIT / 2;
    if (visitor->plan_at > 0 && (full || chance(visitor, 35))) {
        become_stranger(visitor);
        channel_forget(visitor->channel);
    } else if (visitor->plan_at > 0 && chance(visitor, 35)) {
        channel_hang_up(visitor->channel);
    }
    visitor->plan_len = 0;
    visitor->plan_at = 0;
    visitor->on_web = chance(visitor, 30);
    if (visitor->world->good_count == 0) {
        plan(visitor, &act_learn);
    }
    plan(visitor, &act_home);
    plan(visitor, &act_style);
    if (chance(visitor, 10)) {
        plan(visitor, &act_stray);
    }
    if (chance(visitor, 20)) {
        plan(visitor, &act_learn);
    }
    for (unsigned rounds = 1 + visitor_random(visitor, 3); rounds > 0; rounds--) {
        plan_looking(visitor);
        plan_cart(visitor);
    }
    if (chance(visitor, 65)) {
        plan_checkout(visitor);
    }
}

/* --- One act --------------------------------------------------------------------------------- */

/* Writes the request as it goes over the wire. */
static size_t write_request(struct visitor *visitor, const struct asked *asked, char *wire)
{
    char cookies[COOKIES_ROOM];
    const struct target *target = &visitor->world->target;
    size_t body_len = strlen(asked->body);
    cookies_for(&visitor->jar, asked->path, target->tls, cookies, sizeof cookies);
    snprintf(visitor->visit_id, sizeof visitor->visit_id, "v%u-%llu", visitor->number,
             (unsigned long long)++visitor->sent_count);
    int len = snprintf(wire, WIRE_LIMIT,
                       "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: weir-visitors/1.0\r\n"
                       "Accept: */*\r\nX-Visit-Id: %s\r\n",
                       asked->method, asked->path, target->authority, visitor->visit_id);
    if (*cookies != '\0') {
        len += snprintf(wire + len, WIRE_LIMIT - (size_t)len, "Cookie: %s\r\n", cookies);
    }
    if (asked->etag != NULL) {
        len += snprintf(wire + len, WIRE_LIMIT - (size_t)len, "If-None-Match: %s\r\n", asked->etag);
    }
    if (asked->type != NULL) {
        len += snprintf(wire + len, WIRE_LIMIT - (size_t)len,
                        "Content-Type: %s\r\nContent-Length: %zu\r\n", asked->type, body_len);
    }
    len += snprintf(wire + len, WIRE_LIMIT - (size_t)len, "\r\n%s", asked->body);
    assert(len < WIRE_LIMIT);
    return (size_t)len;
}

static void think(struct visitor *visitor, const struct act *before)
{
    const struct world *world = visitor->world;
    unsigned ms = world->think_min_ms +
                  visitor_random(visitor, world->think_max_ms - world->think_min_ms + 1);
    if (before != NULL && before->hurried) {
        ms = ms / 20;
    }
    struct timeval pause = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    evtimer_add(visitor->timer, &pause);
}

static void on_act(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct visitor *visitor = arg;
    struct world *world = visitor->world;
    char wire[WIRE_LIMIT];
    if (world->stopping) {
        return;
    }
    for (;;) {
        if (visitor->plan_at == visitor->plan_len) {
            make_plan(visitor);
        }
        struct asked asked = {.method = "GET"};
        visitor->act = visitor->plan[visitor->plan_at++];
        if (visitor->act->prepare(visitor, &asked)) {
            size_t len = write_request(visitor, &asked, wire);
            visitor->began_ns = now_ns();
            visitor->busy = true;
            channel_send(visitor->channel, wire, len, strcmp(asked.method, "HEAD") == 0,
                         world->timeout_ms);
            return;
        }
    }
}

static bool take_cookies(struct visitor *visitor, const struct response *response, char *problem)
{
    for (size_t i = 0; i < response->header_count; i++) {
        if (strcasecmp(response->headers[i].name, "Set-Cookie") == 0 &&
            !cookies_set(&visitor->jar, response->headers[i].value)) {
            return wrong(problem, "a cookie that cannot be kept: %.100s",
                         response->headers[i].value);
        }
    }
    return true;
}

/* The shop repeats each request's id: an answer that belongs to another request is found out. */
static bool is_own_answer(const struct visitor *visitor, const struct response *response,
                          char *problem)
{
    const char *id = response_header(response, "X-Visit-Id");
    if (id != NULL && strcmp(id, visitor->visit_id) != 0) {
        return wrong(problem, "the answer to request %.40s instead of %s", id, visitor->visit_id);
    }
    if (id == NULL && response->status < 400) {
        return wrong(problem, "status %d without the request's id", response->status);
    }
    return true;
}

static bool keeps_something(const struct basket *basket)
{
    return basket->count > 0 || *basket->user != '\0' || *basket->order != '\0';
}

/* Judges a whole answer. True when the visitor goes on as the same person. */
static bool judge(struct visitor *visitor, const struct response *response, size_t process)
{
    char problem[PROBLEM_LIMIT] = "";
    struct world *world = visitor->world;
    struct basket *basket = visitor_basket(visitor);
    bool elsewhere = basket != NULL && basket->keeper >= 0 && keeps_something(basket) &&
                     (size_t)basket->keeper != process &&
                     *world->processes[process].instance != '\0';
    bool well = is_own_answer(visitor, response, problem);
    if (well && elsewhere && response->status < 500) {
        world_lose_cart(world, (size_t)basket->keeper);
        return false;
    }
    well = well && take_cookies(visitor, response, problem) &&
           visitor->act->check(visitor, response, problem);
    if (!well) {
        world_fail(world, process, visitor->number, visitor->act->name, problem);
        return false;
    }
    if (basket != NULL) {
        basket->keeper = keeps_something(basket) ? (int)process : -1;
    }
    return true;
}

static void on_answer(void *arg, enum exchange_result result, const struct response *response,
                      const char *why)
{
    struct visitor *visitor = arg;
    struct world *world = visitor->world;
    uint64_t time_ns = now_ns() - visitor->began_ns;
    static const struct response nothing;
    size_t process = world_process(world, result == EXCHANGE_OK ? response : &nothing);
    visitor->busy = false;
    world_count(world, process, visitor->began_ns, time_ns, response->body_len);
    bool same = result == EXCHANGE_OK && judge(visitor, response, process);
    if (result != EXCHANGE_OK) {
        world_fail(world, process, visitor->number, visitor->act->name, why);
    }
    if (!same) {
        /* Nobody knows what the shop now remembers: go on as somebody else. */
        become_stranger(visitor);
    }
    if (!world->stopping) {
        think(visitor,
              visitor->plan_at < visitor->plan_len ? visitor->plan[visitor->plan_at] : NULL);
    }
}

struct visitor *visitor_new(struct world *world, unsigned number, uint64_t seed)
{
    struct visitor *visitor = calloc(1, sizeof *visitor);
    if (visitor == NULL) {
        return NULL;
    }
    visitor->world = world;
    visitor->number = number;
    visitor->random_state = (seed + number) * UINT64_C(0x9e3779b97f4a7c15) | 1;
    visitor->channel = channel_new(world->base, &world->target, on_answer, visitor);
    visitor->timer = evtimer_new(world->base, on_act, visitor);
    if (visitor->channel == NULL || visitor->timer == NULL) {
        visitor_free(&visitor);
        return NULL;
    }
    become_stranger(visitor);
    /* They do not all come through the door in the same moment. */
    struct timeval pause = {.tv_usec = (suseconds_t)visitor_random(visitor, 200) * 1000};
    evtimer_add(visitor->timer, &pause);
    return visitor;
}

void visitor_free(struct visitor **visitor)
{
    if (*visitor != NULL) {
        channel_free(&(*visitor)->channel);
        if ((*visitor)->timer != NULL) {
            event_free((*visitor)->timer);
        }
        free(*visitor);
        *visitor = NULL;
    }
}
