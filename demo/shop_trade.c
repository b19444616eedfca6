/* SPDX-License-Identifier: MIT */
/* Trade: the catalogue, carts, orders and accounts. Each handler makes one answer in JSON, which
 * the API sends as it is and the web side puts into a page. */
#define _GNU_SOURCE /* memmem, strcasestr */
#include "shop.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <weir/text.h>

enum { HOME_PAGE = 8, PER_PAGE_MAX = 100, LIST_PAGES_MAX = 1000 };

/* ---- the catalogue ---- */

const cJSON *catalogue_find(const struct shop *shop, const char *id_or_slug)
{
    unsigned id;
    const cJSON *product;
    if (option_number(id_or_slug, 0, CATALOGUE_MAX, &id)) {
        return id > 0 ? cJSON_GetArrayItem(shop->catalogue, (int)id - 1) : NULL;
    }
    cJSON_ArrayForEach(product, shop->catalogue)
    {
        if (strcmp(text_in(product, "slug"), id_or_slug) == 0) {
            return product;
        }
    }
    return NULL;
}

/* Whether each of the words stands in the product's name, shelf or description. */
static bool matches(const cJSON *product, const char *words)
{
    char text[640], word[112];
    snprintf(text, sizeof text, "%s\n%s\n%s", text_in(product, "name"),
             text_in(product, "category"), text_in(product, "about"));
    for (words += strspn(words, " \t\r\n"); *words != '\0'; words += strspn(words, " \t\r\n")) {
        size_t len = strcspn(words, " \t\r\n");
        snprintf(word, sizeof word, "%.*s", (int)len, words);
        if (strcasestr(text, word) == NULL) {
            return false;
        }
        words += len;
    }
    return true;
}

/* A number of the query that may be left out; false after an error answer. */
static bool read_number(struct shop_request *rq, const char *name, unsigned max, unsigned *out)
{
    char detail[80];
    const char *text = shop_value(rq, name);
    if (*text == '\0' || (option_number(text, 0, max, out) && *out > 0)) {
        return true;
    }
    snprintf(detail, sizeof detail, "%s must be a number from 1 to %u.", name, max);
    shop_error(rq, 422, detail);
    return false;
}

static void handle_list(struct shop_request *rq)
{
    const char *category = shop_value(rq, "category"), *words = shop_value(rq, "q");
    unsigned page = 1, count = 0;
    unsigned per_page = rq->path[1] == '\0' ? HOME_PAGE : CATALOGUE_PAGE;
    if (!read_number(rq, "page", LIST_PAGES_MAX, &page) ||
        !read_number(rq, "per_page", PER_PAGE_MAX, &per_page)) {
        return;
    }
    cJSON *json = cJSON_CreateObject(), *entries = cJSON_AddArrayToObject(json, "entries");
    const cJSON *product;
    cJSON_ArrayForEach(product, rq->shop->catalogue)
    {
        if ((*category == '\0' || strcasecmp(text_in(product, "category"), category) == 0) &&
            matches(product, words)) {
            if (count / per_page == page - 1) {
                cJSON_AddItemToArray(entries, cJSON_Duplicate(product, true));
            }
            count++;
        }
    }
    unsigned pages = (count + per_page - 1) / per_page;
    cJSON_AddNumberToObject(json, "total", count);
    cJSON_AddNumberToObject(json, "page", page);
    cJSON_AddNumberToObject(json, "per_page", per_page);
    if (rq->shop->web && pages > 1) {
        cJSON_AddNumberToObject(json, "pages", pages);
        cJSON_AddNumberToObject(json, "previous", page - 1);
        cJSON_AddNumberToObject(json, "next", page < pages ? page + 1 : 0);
    }
    shop_answer(rq, 200, json);
}

static void handle_product(struct shop_request *rq)
{
    const cJSON *product = catalogue_find(rq->shop, rq->tail);
    if (product == NULL) {
        shop_error(rq, 404, "The shop does not have this.");
    } else {
        shop_answer(rq, 200, cJSON_Duplicate(product, true));
    }
}

/* ---- carts ---- */

static void add_lines(const struct shop *shop, cJSON *json, const struct cart *cart)
{
    double total = 0;
    cJSON *lines = cJSON_AddArrayToObject(json, "lines");
    for (size_t i = 0; i < cart->count; i++) {
        const cJSON *product = cJSON_GetArrayItem(shop->catalogue, (int)cart->lines[i].product - 1);
        double price = number_in(product, "price_cents");
        cJSON *line = cJSON_CreateObject();
        cJSON_AddNumberToObject(line, "product", cart->lines[i].product);
        cJSON_AddStringToObject(line, "slug", text_in(product, "slug"));
        cJSON_AddStringToObject(line, "name", text_in(product, "name"));
        cJSON_AddNumberToObject(line, "quantity", cart->lines[i].quantity);
        cJSON_AddNumberToObject(line, "price_cents", price);
        cJSON_AddNumberToObject(line, "cents", price * cart->lines[i].quantity);
        cJSON_AddItemToArray(lines, line);
        total += price * cart->lines[i].quantity;
    }
    cJSON_AddNumberToObject(json, "pieces", cart_pieces(cart));
    cJSON_AddNumberToObject(json, "total_cents", total);
    cJSON_AddStringToObject(json, "currency", "EUR");
}

static void handle_cart(struct shop_request *rq)
{
    static const struct cart empty;
    cJSON *json = cJSON_CreateObject();
    add_lines(rq->shop, json, rq->session != NULL ? &rq->session->cart : &empty);
    shop_answer(rq, 200, json);
}

/* Adds or sets pieces of a product that the shop has. */
static void change_cart(struct shop_request *rq, const char *product, const char *pieces, bool add)
{
    unsigned id = 0, quantity = 0;
    if (!option_number(product, 0, CATALOGUE_MAX, &id) ||
        catalogue_find(rq->shop, product) == NULL ||
        !option_number(pieces, 0, CART_QUANTITY, &quantity) || (add && quantity == 0)) {
        shop_error(rq, 422,
                   "Wanted: a product of the shop, and 1 to 99 pieces of it (0 removes it).");
        return;
    }
    if (!add && rq->session == NULL) {
        shop_error(rq, 404, cart_not_there);
        return;
    }
    if (session_need(rq) == NULL) {
        return;
    }
    const char *wrong = cart_change(&rq->session->cart, id, quantity, add);
    if (wrong != NULL) {
        shop_error(rq, wrong == cart_not_there ? 404 : 422, wrong);
    } else {
        handle_cart(rq);
    }
}

static void handle_cart_add(struct shop_request *rq)
{
    const char *quantity = shop_value(rq, "quantity");
    change_cart(rq, shop_value(rq, "product"), *quantity != '\0' ? quantity : "1", true);
}

static void handle_cart_set(struct shop_request *rq)
{
    const char *product = *rq->tail != '\0' ? rq->tail : shop_value(rq, "product");
    change_cart(rq, product, shop_value(rq, "quantity"), false);
}

static void handle_line_delete(struct shop_request *rq)
{
    change_cart(rq, rq->tail, "0", false);
}

static void handle_cart_delete(struct shop_request *rq)
{
    if (rq->session != NULL) {
        rq->session->cart.count = 0;
    }
    handle_cart(rq);
}

/* ---- orders ---- */

static void handle_checkout(struct shop_request *rq)
{
    if (rq->session == NULL || rq->session->cart.count == 0) {
        snprintf(rq->next, sizeof rq->next, "/cart");
    }
    handle_cart(rq);
}

static void answer_order(struct shop_request *rq, int status, const struct order *order)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "number", order->number);
    cJSON_AddStringToObject(json, "name", order->name);
    add_lines(rq->shop, json, &order->goods);
    shop_answer(rq, status, json);
}

static void handle_order_now(struct shop_request *rq)
{
    const char *name = shop_value(rq, "name");
    if (*name == '\0' || strlen(name) > ORDER_NAME_LEN) {
        shop_error(rq, 422, "Wanted: the name of who gets it, 1 to 80 bytes.");
    } else if (rq->session == NULL || rq->session->cart.count == 0) {
        shop_error(rq, 409, "There is nothing in the cart to be ordered.");
    } else if (!session_order(rq->session, name)) {
        shop_error(rq, 500, "The order got no number; nothing was ordered.");
    } else {
        snprintf(rq->next, sizeof rq->next, "%s/%s", rq->shop->web ? "/order" : "/api/orders",
                 rq->session->order.number);
        answer_order(rq, 201, &rq->session->order);
    }
}

static void handle_order(struct shop_request *rq)
{
    if (rq->session == NULL || strcmp(rq->session->order.number, rq->tail) != 0) {
        shop_error(rq, 404, "This visitor has no such order.");
    } else {
        answer_order(rq, 200, &rq->session->order);
    }
}

/* ---- accounts: the demo's own, and everybody may know them ---- */

static void handle_me(struct shop_request *rq)
{
    cJSON *json = cJSON_CreateObject();
    bool known = rq->session != NULL && *rq->session->user != '\0';
    cJSON_AddItemToObject(json, "user",
                          known ? cJSON_CreateString(rq->session->user) : cJSON_CreateNull());
    cJSON_AddStringToObject(json, "server", rq->shop->name);
    shop_answer(rq, 200, json);
}

static void handle_login(struct shop_request *rq)
{
    static const char *const users[] = {"ada", "grace", "edsger", "barbara"};
    const char *user = shop_value(rq, "user"), *password = shop_value(rq, "password");
    bool known = false;
    for (size_t i = 0; i < sizeof users / sizeof *users; i++) {
        known |= strcmp(users[i], user) == 0;
    }
    known &= strlen(password) == 8 && weir_bytes_equal_secret(password, "millrace", 8);
    if (*user == '\0' || *password == '\0') {
        shop_error(rq, 422, "Wanted: user and password.");
    } else if (!known) {
        shop_error(rq, 401, "Name and password do not belong together.");
    } else if (session_need(rq) != NULL && session_rename(rq)) {
        snprintf(rq->session->user, sizeof rq->session->user, "%s", user);
        handle_me(rq);
    }
}

/* The session ends, cart and orders included. */
static void handle_logout(struct shop_request *rq)
{
    session_end(rq);
    shop_answer(rq, 204, NULL);
}

const struct shop_route shop_routes[] = {
    {"/health", EVHTTP_REQ_GET, shop_handle_health, false, NULL, NULL},
    {"/api/products", EVHTTP_REQ_GET, handle_list, false, NULL, NULL},
    {"/api/products/*", EVHTTP_REQ_GET, handle_product, false, NULL, NULL},
    {"/api/search", EVHTTP_REQ_GET, handle_list, false, NULL, NULL},
    {"/api/cart", EVHTTP_REQ_GET, handle_cart, false, NULL, NULL},
    {"/api/cart", EVHTTP_REQ_POST, handle_cart_add, true, NULL, NULL},
    {"/api/cart", EVHTTP_REQ_DELETE, handle_cart_delete, false, NULL, NULL},
    {"/api/cart/*", EVHTTP_REQ_PATCH, handle_cart_set, true, NULL, NULL},
    {"/api/cart/*", EVHTTP_REQ_DELETE, handle_line_delete, false, NULL, NULL},
    {"/api/checkout", EVHTTP_REQ_POST, handle_order_now, true, NULL, NULL},
    {"/api/orders/*", EVHTTP_REQ_GET, handle_order, false, NULL, NULL},
    {"/api/me", EVHTTP_REQ_GET, handle_me, false, NULL, NULL},
    {"/api/login", EVHTTP_REQ_POST, handle_login, true, NULL, NULL},
    {"/api/logout", EVHTTP_REQ_POST, handle_logout, false, NULL, NULL},
    {"/", EVHTTP_REQ_GET, handle_list, false, "home.html", NULL},
    {"/products", EVHTTP_REQ_GET, handle_list, false, "list.html", NULL},
    {"/search", EVHTTP_REQ_GET, handle_list, false, "list.html", NULL},
    {"/product/*", EVHTTP_REQ_GET, handle_product, false, "product.html", NULL},
    {"/img/*", EVHTTP_REQ_GET, page_picture, false, NULL, NULL},
    {"/style.css", EVHTTP_REQ_GET, page_file, false, NULL, NULL},
    {"/favicon.svg", EVHTTP_REQ_GET, page_file, false, NULL, NULL},
    {"/cart", EVHTTP_REQ_GET, handle_cart, false, "cart.html", NULL},
    {"/cart/add", EVHTTP_REQ_POST, handle_cart_add, true, NULL, "/cart"},
    {"/cart/set", EVHTTP_REQ_POST, handle_cart_set, true, NULL, "/cart"},
    {"/checkout", EVHTTP_REQ_GET, handle_checkout, false, "checkout.html", NULL},
    {"/checkout", EVHTTP_REQ_POST, handle_order_now, true, NULL, NULL},
    {"/order/*", EVHTTP_REQ_GET, handle_order, false, "order.html", NULL},
    {"/login", EVHTTP_REQ_GET, handle_me, false, "login.html", NULL},
    {"/login", EVHTTP_REQ_POST, handle_login, true, NULL, "/"},
    {"/logout", EVHTTP_REQ_POST, handle_logout, false, NULL, "/"},
    {NULL, EVHTTP_REQ_GET, NULL, false, NULL, NULL},
};
