/* SPDX-License-Identifier: MIT */
/* What visitors do with a cart by the pages' forms. */
#include "visitors.h"

#include <stdlib.h>
#include <string.h>

static bool expect_page(const struct response *response, int status, char *problem)
{
    return expect(response, status, "text/html", problem) &&
           (strstr(response->body, "</html>") != NULL || wrong(problem, "a page without its end"));
}

/* A form is answered with a redirection, whose place is returned; NULL when it is none. */
static const char *redirected(const struct response *response, char *problem)
{
    if (!expect(response, 303, NULL, problem)) {
        return NULL;
    }
    const char *where = response_header(response, "Location");
    if (where == NULL) {
        wrong(problem, "a redirection to nowhere");
    }
    return where;
}

static bool redirected_to(const struct response *response, const char *where, char *problem)
{
    const char *is = redirected(response, problem);
    return is != NULL &&
           (strcmp(is, where) == 0 || wrong(problem, "sent to %.80s, wanted %s", is, where));
}

static void ask_form(struct asked *asked, const char *path)
{
    asked->method = "POST";
    asked->type = "application/x-www-form-urlencoded";
    snprintf(asked->path, PATH_LIMIT, "%s", path);
}

/* The rows of a cart on a page must be exactly the basket. */
static bool check_rows(const char *page, const struct basket *basket, char *problem)
{
    static const char row[] = "<tr data-product=\"";
    static const char pieces[] = "\" data-quantity=\"";
    size_t count = 0;
    for (page = strstr(page, row); page != NULL; page = strstr(page, row)) {
        char *end;
        unsigned long id = strtoul(page + sizeof row - 1, &end, 10);
        bool formed = strncmp(end, pieces, sizeof pieces - 1) == 0;
        unsigned long quantity = formed ? strtoul(end + sizeof pieces - 1, &end, 10) : 0;
        if (!basket_holds(basket, count++, (double)id, (double)quantity)) {
            return wrong(problem, "line %zu of the cart is not what was put in (%lu pieces of %lu)",
                         count, quantity, id);
        }
        page = end;
    }
    return count == basket->count ||
           wrong(problem, "a cart of %zu things, wanted %zu", count, basket->count);
}

static bool check_total(const char *page, uint64_t cents, char *problem)
{
    char part[64];
    snprintf(part, sizeof part, "data-cents=\"%llu\"", (unsigned long long)cents);
    return strstr(page, part) != NULL ||
           wrong(problem, "the total is not %llu cents", (unsigned long long)cents);
}

static bool check_cart(struct visitor *visitor, const struct response *response, char *problem)
{
    const struct basket *basket = &visitor->web;
    if (!expect_page(response, 200, problem)) {
        return false;
    }
    visitor->world->carts_checked++;
    if (!check_rows(response->body, basket, problem)) {
        return false;
    }
    if (basket->count == 0) {
        return strstr(response->body, "Your cart is empty.") != NULL ||
               wrong(problem, "an empty cart that does not say so");
    }
    return check_total(response->body, basket_cents(basket), problem);
}

static bool prepare_cart(struct visitor *visitor, struct asked *asked)
{
    (void)visitor;
    snprintf(asked->path, PATH_LIMIT, "/cart");
    return true;
}

static bool prepare_add(struct visitor *visitor, struct asked *asked)
{
    if (visitor->good == NULL || !basket_has_room(&visitor->web, visitor->good)) {
        return false;
    }
    visitor->quantity = 1 + visitor_random(visitor, 3);
    ask_form(asked, "/cart/add");
    snprintf(asked->body, REQUEST_BODY_LIMIT, "product=%u&quantity=%u", visitor->good->id,
             visitor->quantity);
    return true;
}

static bool check_add(struct visitor *visitor, const struct response *response, char *problem)
{
    if (!redirected_to(response, "/cart", problem)) {
        return false;
    }
    basket_add(&visitor->web, visitor->good, visitor->quantity);
    return true;
}

static bool ask_change(struct visitor *visitor, struct asked *asked, unsigned quantity)
{
    if (!pick_line(visitor, &visitor->web)) {
        return false;
    }
    visitor->quantity = quantity;
    ask_form(asked, "/cart/set");
    snprintf(asked->body, REQUEST_BODY_LIMIT, "product=%u&quantity=%u", visitor->good->id,
             quantity);
    return true;
}

static bool prepare_change(struct visitor *visitor, struct asked *asked)
{
    return ask_change(visitor, asked, 1 + visitor_random(visitor, 5));
}

static bool prepare_remove(struct visitor *visitor, struct asked *asked)
{
    return ask_change(visitor, asked, 0);
}

static bool check_change(struct visitor *visitor, const struct response *response, char *problem)
{
    if (!redirected_to(response, "/cart", problem)) {
        return false;
    }
    basket_set(&visitor->web, visitor->good, visitor->quantity);
    return true;
}

static bool prepare_checkout(struct visitor *visitor, struct asked *asked)
{
    snprintf(asked->path, PATH_LIMIT, "/checkout");
    return visitor->web.count > 0;
}

static bool check_checkout(struct visitor *visitor, const struct response *response, char *problem)
{
    return expect_page(response, 200, problem) &&
           check_rows(response->body, &visitor->web, problem) &&
           check_total(response->body, basket_cents(&visitor->web), problem);
}

static bool prepare_order(struct visitor *visitor, struct asked *asked)
{
    ask_form(asked, "/checkout");
    snprintf(asked->body, REQUEST_BODY_LIMIT, "name=Visitor+%%3C%u%%3E", visitor->number);
    return visitor->web.count > 0;
}

static bool check_order(struct visitor *visitor, const struct response *response, char *problem)
{
    struct basket *basket = &visitor->web;
    const char *where = redirected(response, problem);
    if (where == NULL) {
        return false;
    }
    if (strncmp(where, "/order/", 7) != 0 || where[7] == '\0' ||
        strlen(where + 7) >= sizeof basket->order) {
        return wrong(problem, "sent to %.80s, wanted an order", where);
    }
    memcpy(basket->order, where + 7, strlen(where + 7) + 1);
    basket->order_cents = basket_cents(basket);
    basket->count = 0;
    visitor->world->orders++;
    return true;
}

static bool prepare_receipt(struct visitor *visitor, struct asked *asked)
{
    snprintf(asked->path, PATH_LIMIT, "/order/%s", visitor->web.order);
    return *visitor->web.order != '\0';
}

static bool check_receipt(struct visitor *visitor, const struct response *response, char *problem)
{
    char part[80];
    snprintf(part, sizeof part, "Thank you, Visitor &lt;%u&gt;</h1>", visitor->number);
    return expect_page(response, 200, problem) &&
           (strstr(response->body, part) != NULL || wrong(problem, "thanks to somebody else")) &&
           (strstr(response->body, visitor->web.order) != NULL ||
            wrong(problem, "another order's receipt")) &&
           check_total(response->body, visitor->web.order_cents, problem);
}

static bool prepare_login(struct visitor *visitor, struct asked *asked)
{
    ask_form(asked, "/login");
    snprintf(asked->body, REQUEST_BODY_LIMIT, "user=%s&password=millrace", user_of(visitor));
    return true;
}

static bool check_login(struct visitor *visitor, const struct response *response, char *problem)
{
    if (!redirected_to(response, "/", problem)) {
        return false;
    }
    snprintf(visitor->web.user, sizeof visitor->web.user, "%s", user_of(visitor));
    return true;
}

static bool prepare_me(struct visitor *visitor, struct asked *asked)
{
    (void)visitor;
    snprintf(asked->path, PATH_LIMIT, "/");
    return true;
}

static bool check_me(struct visitor *visitor, const struct response *response, char *problem)
{
    char part[64];
    snprintf(part, sizeof part, "<b id=\"user\">%s</b>", visitor->web.user);
    return expect_page(response, 200, problem) &&
           (strstr(response->body, part) != NULL || wrong(problem, "not known after logging in"));
}

static bool prepare_logout(struct visitor *visitor, struct asked *asked)
{
    ask_form(asked, "/logout");
    return *visitor->web.user != '\0';
}

static bool check_logout(struct visitor *visitor, const struct response *response, char *problem)
{
    if (!redirected_to(response, "/", problem)) {
        return false;
    }
    memset(&visitor->web, 0, sizeof visitor->web);
    return true;
}

const struct act act_web_add = {
    .name = "POST /cart/add", .side = ON_WEB, .prepare = prepare_add, .check = check_add};
const struct act act_web_cart = {.name = "GET /cart",
                                 .side = ON_WEB,
                                 .hurried = true,
                                 .prepare = prepare_cart,
                                 .check = check_cart};
const struct act act_web_change = {
    .name = "POST /cart/set", .side = ON_WEB, .prepare = prepare_change, .check = check_change};
const struct act act_web_remove = {
    .name = "POST /cart/set", .side = ON_WEB, .prepare = prepare_remove, .check = check_change};
const struct act act_web_checkout = {
    .name = "GET /checkout", .side = ON_WEB, .prepare = prepare_checkout, .check = check_checkout};
const struct act act_web_order = {
    .name = "POST /checkout", .side = ON_WEB, .prepare = prepare_order, .check = check_order};
const struct act act_web_receipt = {.name = "GET /order/N",
                                    .side = ON_WEB,
                                    .hurried = true,
                                    .prepare = prepare_receipt,
                                    .check = check_receipt};
const struct act act_web_login = {
    .name = "POST /login", .side = ON_WEB, .prepare = prepare_login, .check = check_login};
const struct act act_web_me = {.name = "GET / after login",
                               .side = ON_WEB,
                               .hurried = true,
                               .prepare = prepare_me,
                               .check = check_me};
const struct act act_web_logout = {
    .name = "POST /logout", .side = ON_WEB, .prepare = prepare_logout, .check = check_logout};
