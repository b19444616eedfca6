/* SPDX-License-Identifier: MIT */
/* Visitors' sessions, carts and orders, in this process's memory and within fixed bounds. */
#include "shop.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include <weir/text.h>

bool session_random_hex(char *out, size_t digits)
{
    unsigned char bytes[32];
    if (getrandom(bytes, digits / 2, 0) != (ssize_t)(digits / 2)) {
        return false;
    }
    for (size_t i = 0; i < digits / 2; i++) {
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    }
    return true;
}

/* ---- the table ---- */

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct session *)a)->id, ((const struct session *)b)->id);
}

static void drop(struct shop *shop, struct session *session)
{
    tdelete(session, &shop->sessions, compare);
    TAILQ_REMOVE(&shop->ages, session, age);
    shop->session_count--;
    free(session);
}

void session_expire(struct shop *shop)
{
    struct session *oldest;
    while ((oldest = TAILQ_FIRST(&shop->ages)) != NULL &&
           (now_ns() / 1000000 - oldest->used_ms >= shop->session_ttl_ms ||
            shop->session_count > shop->session_limit)) {
        drop(shop, oldest);
    }
}

void session_drop_all(struct shop *shop)
{
    while (!TAILQ_EMPTY(&shop->ages)) {
        drop(shop, TAILQ_FIRST(&shop->ages));
    }
}

/* ---- the cookie ---- */

/* `id` "": the visitor's client is to forget it. */
static void set_cookie(struct shop_request *rq, const char *id)
{
    char cookie[160];
    bool tls = strcasecmp(shop_header(rq, "X-Forwarded-Proto"), "https") == 0;
    snprintf(cookie, sizeof cookie, "%s=%s; Path=/; HttpOnly; SameSite=Lax%s%s",
             rq->shop->web ? "shop_web" : "shop_api", id, tls ? "; Secure" : "",
             *id == '\0' ? "; Max-Age=0" : "");
    shop_add_header(rq, "Set-Cookie", cookie);
}

struct session *session_known(struct shop_request *rq)
{
    struct weir_str rest = weir_str_of(shop_header(rq, "Cookie"));
    struct session wanted = {.id = ""};
    session_expire(rq->shop);
    while (rest.len > 0) {
        struct weir_str value = weir_str_cut(&rest, ';');
        struct weir_str name = weir_str_cut(&value, '=');
        if (weir_str_is(name, rq->shop->web ? "shop_web" : "shop_api") &&
            value.len == SESSION_ID_LEN) {
            memcpy(wanted.id, value.ptr, value.len);
        }
    }
    struct session **found = tfind(&wanted, &rq->shop->sessions, compare);
    if (found == NULL) {
        return NULL;
    }
    struct session *session = *found;
    session->used_ms = now_ns() / 1000000;
    TAILQ_REMOVE(&rq->shop->ages, session, age);
    TAILQ_INSERT_TAIL(&rq->shop->ages, session, age);
    return session;
}

struct session *session_need(struct shop_request *rq)
{
    struct shop *shop = rq->shop;
    struct session *session = rq->session != NULL ? rq->session : calloc(1, sizeof *session);
    if (rq->session != NULL) {
        return session;
    }
    if (session == NULL || !session_random_hex(session->id, SESSION_ID_LEN) ||
        tsearch(session, &shop->sessions, compare) == NULL) {
        free(session);
        shop_error(rq, 500, "There is no memory, or no randomness, for a new session.");
        return NULL;
    }
    session->used_ms = now_ns() / 1000000;
    TAILQ_INSERT_TAIL(&shop->ages, session, age);
    shop->session_count++;
    session_expire(shop);
    set_cookie(rq, session->id);
    rq->session = session;
    return session;
}

bool session_rename(struct shop_request *rq)
{
    struct session *session = rq->session;
    char id[sizeof session->id];
    if (!session_random_hex(id, SESSION_ID_LEN)) {
        shop_error(rq, 500, "There is no randomness for a new session.");
        return false;
    }
    tdelete(session, &rq->shop->sessions, compare);
    memcpy(session->id, id, sizeof id);
    if (tsearch(session, &rq->shop->sessions, compare) == NULL) {
        fputs("weir-shop: no memory for a session\n", stderr);
        exit(1);
    }
    set_cookie(rq, id);
    return true;
}

void session_end(struct shop_request *rq)
{
    if (rq->session != NULL) {
        drop(rq->shop, rq->session);
        rq->session = NULL;
    }
    set_cookie(rq, "");
}

/* ---- carts and orders ---- */

const char cart_not_there[] = "This is not in the cart.";

const char *cart_change(struct cart *cart, unsigned product, unsigned quantity, bool add)
{
    size_t at = 0;
    while (at < cart->count && cart->lines[at].product != product) {
        at++;
    }
    if (at == cart->count && !add) {
        return cart_not_there;
    }
    if (at == CART_LINES) {
        return "At most 32 different things.";
    }
    unsigned pieces = quantity + (add && at < cart->count ? cart->lines[at].quantity : 0);
    if (pieces > CART_QUANTITY) {
        return "At most 99 pieces of each thing.";
    }
    cart->count += at == cart->count;
    cart->lines[at].product = product;
    cart->lines[at].quantity = pieces;
    if (pieces == 0) {
        cart->count--;
        memmove(&cart->lines[at], &cart->lines[at + 1], (cart->count - at) * sizeof *cart->lines);
    }
    return NULL;
}

unsigned cart_pieces(const struct cart *cart)
{
    unsigned pieces = 0;
    for (size_t i = 0; i < cart->count; i++) {
        pieces += cart->lines[i].quantity;
    }
    return pieces;
}

bool session_order(struct session *session, const char *name)
{
    struct order *order = &session->order;
    if (!session_random_hex(order->number, ORDER_NUMBER_LEN)) {
        return false;
    }
    snprintf(order->name, sizeof order->name, "%s", name);
    order->goods = session->cart;
    session->cart.count = 0;
    return true;
}
