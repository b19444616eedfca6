/* SPDX-License-Identifier: MIT */
/* What visitors do with a cart, by the JSON API or by the pages' forms, and what must come of
 * it. */
#include "visitors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LOOK, ADD, CHANGE, REMOVE, CHECKOUT, ORDER, RECEIPT, LOGIN, ME, LOGOUT };

/* By the API and by the pages: method, path and body, about %1$s, and as %2$s says. A form that
 * was taken sends the browser to `next`. */
static const struct act {
    const char *doing, *request[2], *next;
} acts[] = {
    [LOOK] = {"look into the cart", {"GET /api/cart", "GET /cart"}, NULL},
    [ADD] = {"put into the cart",
             {"POST /api/cart {\"product\":%1$s,\"quantity\":%2$s}",
              "POST /cart/add product=%1$s&quantity=%2$s"},
             "/cart"},
    [CHANGE] = {"change the cart",
                {"PATCH /api/cart/%1$s {\"quantity\":%2$s}",
                 "POST /cart/set product=%1$s&quantity=%2$s"},
                "/cart"},
    [REMOVE] = {"take out of the cart",
                {"DELETE /api/cart/%1$s", "POST /cart/set product=%1$s&quantity=0"},
                "/cart"},
    [CHECKOUT] = {"go to the checkout", {"GET /api/cart", "GET /checkout"}, NULL},
    [ORDER] = {"order",
               {"POST /api/checkout {\"name\":\"Visitor <%1$s>\"}",
                "POST /checkout name=Visitor+%%3C%1$s%%3E"},
               NULL},
    [RECEIPT] = {"read the receipt", {"GET /api/orders/%1$s", "GET /order/%1$s"}, NULL},
    [LOGIN] = {"log in",
               {"POST /api/login {\"user\":\"%1$s\",\"password\":\"millrace\"}",
                "POST /login user=%1$s&password=millrace"},
               "/"},
    [ME] = {"be known", {"GET /api/me", "GET /"}, NULL},
    [LOGOUT] = {"log out", {"POST /api/logout {}", "POST /logout x=1"}, "/"},
};

bool expect(struct visitor *visitor, long status, const char *type)
{
    const char *is = header(visitor, "Content-Type");
    if (visitor->status != status) {
        return wrong(visitor, "status %ld, wanted %ld", visitor->status, status);
    }
    return type == NULL || strncasecmp(is, type, strlen(type)) == 0 ||
           wrong(visitor, "type \"%.60s\", wanted %s", is, type);
}

bool expect_page(struct visitor *visitor, const char *part)
{
    static const char end[] = "</html>\n";
    size_t len = sizeof end - 1;
    if (!expect(visitor, 200, "text/html")) {
        return false;
    }
    if (visitor->body_len < len || strcmp(visitor->body + visitor->body_len - len, end) != 0) {
        return wrong(visitor, "a page without its end");
    }
    return strstr(visitor->body, part) != NULL || wrong(visitor, "a page without %s", part);
}

/* ---- what should be in a cart ---- */

static size_t line_of(const struct basket *basket, const cJSON *good)
{
    size_t i = 0;
    while (i < basket->count && basket->lines[i].good != good) {
        i++;
    }
    return i;
}

static void basket_set(struct basket *basket, size_t line, const cJSON *good, unsigned quantity)
{
    basket->count += line == basket->count;
    basket->lines[line].good = good;
    basket->lines[line].quantity = quantity;
    if (quantity == 0) {
        basket->count--;
        memmove(&basket->lines[line], &basket->lines[line + 1],
                (basket->count - line) * sizeof *basket->lines);
    }
}

static double basket_cents(const struct basket *basket)
{
    double cents = 0;
    for (size_t i = 0; i < basket->count; i++) {
        cents += number_in(basket->lines[i].good, "price_cents") * basket->lines[i].quantity;
    }
    return cents;
}

/* ---- what is in a cart, an order or a receipt that came ---- */

struct seen {
    size_t count;
    double id[BASKET_LIMIT + 1], quantity[BASKET_LIMIT + 1];
    double cents;
    char number[32], name[48], user[32];
};

static void see_json(struct visitor *visitor, struct seen *seen)
{
    cJSON *json = cJSON_ParseWithLength(visitor->body, visitor->body_len);
    const cJSON *line;
    cJSON_ArrayForEach(line, cJSON_GetObjectItemCaseSensitive(json, "lines"))
    {
        size_t i = seen->count < BASKET_LIMIT ? seen->count++ : BASKET_LIMIT;
        seen->id[i] = number_in(line, "product");
        seen->quantity[i] = number_in(line, "quantity");
    }
    seen->cents = number_in(json, "total_cents");
    snprintf(seen->number, sizeof seen->number, "%s", text_in(json, "number"));
    snprintf(seen->name, sizeof seen->name, "%s", text_in(json, "name"));
    snprintf(seen->user, sizeof seen->user, "%s", text_in(json, "user"));
    cJSON_Delete(json);
}

/* What stands between `before` and the next tag. */
static void take_between(const char *page, const char *before, char *out, size_t room)
{
    const char *at = strstr(page, before);
    at = at != NULL ? at + strlen(before) : "";
    snprintf(out, room, "%.*s", (int)strcspn(at, "<\""), at);
}

static void see_page(struct visitor *visitor, struct seen *seen)
{
    char cents[24];
    for (const char *at = visitor->body; (at = strstr(at, "<tr data-product=")) != NULL; at++) {
        size_t i = seen->count < BASKET_LIMIT ? seen->count++ : BASKET_LIMIT;
        sscanf(at, "<tr data-product=\"%lf\" data-quantity=\"%lf\"", &seen->id[i],
               &seen->quantity[i]);
    }
    take_between(visitor->body, "data-cents=\"", cents, sizeof cents);
    seen->cents = strtod(cents, NULL);
    take_between(visitor->body, "<b id=\"order\">", seen->number, sizeof seen->number);
    take_between(visitor->body, "<h1>Thank you, ", seen->name, sizeof seen->name);
    take_between(visitor->body, "<b id=\"user\">", seen->user, sizeof seen->user);
}

/* Does it, and sees what the answer shows. */
static bool act(struct visitor *visitor, enum side side, int which, const char *what,
                const char *how, struct seen *seen)
{
    char line[400];
    const struct act *row = &acts[which];
    snprintf(line, sizeof line, row->request[side], what, how);
    struct asked asked = {
        .doing = row->doing, .side = side, .method = strtok_r(line, " ", &asked.body)};
    asked.path = strtok_r(NULL, " ", &asked.body);
    bool form = side == WEB && *asked.body != '\0';
    asked.hurried = side == WEB && !form; /* a form's answer sends a browser there */
    memset(seen, 0, sizeof *seen);
    if (!ask(visitor, &asked)) {
        return false;
    }
    if (form) {
        const char *where = header(visitor, "Location");
        return expect(visitor, 303, NULL) &&
               (row->next == NULL || strcmp(where, row->next) == 0 ||
                wrong(visitor, "sent to \"%.80s\", wanted %s", where, row->next));
    }
    if (side == WEB) {
        see_page(visitor, seen);
        return expect_page(visitor, "<h1>");
    }
    see_json(visitor, seen);
    return expect(visitor,
                  which == ORDER    ? 201
                  : which == LOGOUT ? 204
                                    : 200,
                  which == LOGOUT ? NULL : "application/json");
}

/* Lines and total must be exactly the basket; the shop lists things in the order they were put
 * in. */
static bool is_basket(struct visitor *visitor, enum side side, const struct seen *seen)
{
    const struct basket *basket = &visitor->baskets[side];
    for (size_t i = 0; i < seen->count && i < basket->count; i++) {
        if (seen->id[i] != number_in(basket->lines[i].good, "id") ||
            seen->quantity[i] != basket->lines[i].quantity) {
            return wrong(visitor, "line %zu of the cart is not what was put in (%g pieces of %g)",
                         i, seen->quantity[i], seen->id[i]);
        }
    }
    double cents = basket_cents(basket);
    return (seen->count == basket->count && seen->cents == cents) ||
           wrong(visitor, "a cart of %zu things for %g cents, wanted %zu for %g", seen->count,
                 seen->cents, basket->count, cents);
}

/* ---- what visitors do ---- */

bool cart_look(struct visitor *visitor, enum side side)
{
    struct seen seen;
    if (!act(visitor, side, LOOK, "", "", &seen)) {
        return false;
    }
    visitor->world->carts_checked++;
    return is_basket(visitor, side, &seen);
}

/* Makes it so many pieces of a line, by an act that says `how` many. */
static bool change(struct visitor *visitor, enum side side, int which, size_t line,
                   const cJSON *good, unsigned how, unsigned pieces)
{
    char what[16], number[16];
    struct seen seen;
    snprintf(what, sizeof what, "%.0f", number_in(good, "id"));
    snprintf(number, sizeof number, "%u", how);
    if (!act(visitor, side, which, what, number, &seen)) {
        return false;
    }
    basket_set(&visitor->baskets[side], line, good, pieces);
    return side == WEB || is_basket(visitor, side, &seen);
}

bool cart_add(struct visitor *visitor, enum side side)
{
    const struct basket *basket = &visitor->baskets[side];
    size_t line = line_of(basket, visitor->good);
    unsigned more = 1 + visitor_random(visitor, 3);
    unsigned had = line < basket->count ? basket->lines[line].quantity : 0;
    return line == BASKET_LIMIT || had > BASKET_QUANTITY / 2 ||
           change(visitor, side, ADD, line, visitor->good, more, had + more);
}

bool cart_change(struct visitor *visitor, enum side side, unsigned quantity)
{
    const struct basket *basket = &visitor->baskets[side];
    size_t line = basket->count > 0 ? visitor_random(visitor, (unsigned)basket->count) : 0;
    return basket->count == 0 || change(visitor, side, quantity > 0 ? CHANGE : REMOVE, line,
                                        basket->lines[line].good, quantity, quantity);
}

bool cart_order(struct visitor *visitor, enum side side)
{
    struct basket *basket = &visitor->baskets[side];
    struct seen seen;
    char number[16], name[48];
    if (basket->count == 0) {
        return true;
    }
    snprintf(number, sizeof number, "%u", visitor->number);
    snprintf(name, sizeof name, side == API ? "Visitor <%u>" : "Visitor &lt;%u&gt;",
             visitor->number);
    if (!act(visitor, side, CHECKOUT, "", "", &seen) || !is_basket(visitor, side, &seen) ||
        !act(visitor, side, ORDER, number, "", &seen) ||
        (side == API && !is_basket(visitor, side, &seen))) {
        return false;
    }
    const char *where = header(visitor, "Location"), *order = strrchr(where, '/');
    if (order == NULL || strlen(order) < 2 || strlen(order + 1) >= sizeof basket->order) {
        return wrong(visitor, "sent to \"%.80s\", wanted an order", where);
    }
    snprintf(basket->order, sizeof basket->order, "%s", order + 1);
    basket->order_cents = basket_cents(basket);
    basket->count = 0;
    visitor->world->orders++;
    if (!act(visitor, side, RECEIPT, basket->order, "", &seen)) {
        return false;
    }
    if (strcmp(seen.number, basket->order) != 0 || strcmp(seen.name, name) != 0 ||
        seen.cents != basket->order_cents) {
        return wrong(visitor, "the order is not what was ordered");
    }
    return cart_look(visitor, side); /* which must be empty now */
}

bool log_in(struct visitor *visitor, enum side side)
{
    static const char *const users[] = {"ada", "grace", "edsger",
                                        "barbara"}; /* that the shop knows */
    const char *user = users[visitor->number % (sizeof users / sizeof *users)];
    struct basket *basket = &visitor->baskets[side];
    struct seen seen;
    if (!act(visitor, side, LOGIN, user, "", &seen)) {
        return false;
    }
    snprintf(basket->user, sizeof basket->user, "%s", user);
    return act(visitor, side, ME, "", "", &seen) &&
           (strcmp(seen.user, user) == 0 ||
            wrong(visitor, "taken for \"%.30s\", wanted \"%s\"", seen.user, user)) &&
           cart_look(visitor, side); /* logging in must not lose it */
}

bool log_out(struct visitor *visitor, enum side side)
{
    struct basket *basket = &visitor->baskets[side];
    struct seen seen;
    if (*basket->user == '\0') {
        return true;
    }
    if (!act(visitor, side, LOGOUT, "", "", &seen)) {
        return false;
    }
    memset(basket, 0, sizeof *basket);
    basket->keeper = -1;
    return true;
}
