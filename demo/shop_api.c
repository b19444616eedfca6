/* SPDX-License-Identifier: MIT */
/* The shop's JSON side, under /api. Errors are RFC 9457 problem documents.
 *
 * What cJSON could not allocate shows as a missing member while the object is built, and as a NULL
 * text at the end, which answers 500. */
#include "shop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <cjson/cJSON.h>

enum { PER_PAGE_MAX = 100 };

static void free_text(const void *data, size_t len, void *arg)
{
    (void)len;
    (void)arg;
    cJSON_free((void *)(uintptr_t)data);
}

/* Takes `json`. */
static void answer_json(struct shop_request *rq, int status, const char *type, cJSON *json)
{
    char *text = cJSON_PrintUnformatted(json);
    struct evbuffer *body = shop_buffer();
    cJSON_Delete(json);
    if (text == NULL) {
        status = 500;
    } else if (evbuffer_add_reference(body, text, strlen(text), free_text, NULL) != 0) {
        cJSON_free(text);
        status = 500;
    }
    evbuffer_add(body, "\n", 1);
    shop_add_header(rq, "Cache-Control", "no-store");
    shop_answer(rq, status, type, body);
}

static void answer(struct shop_request *rq, int status, cJSON *json)
{
    answer_json(rq, status, "application/json", json);
}

static const char *title_of(int status)
{
    switch (status) {
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 409: return "Conflict";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 422: return "Unprocessable Content";
    default: return "Internal Server Error";
    }
}

void shop_api_error(struct shop_request *rq, int status, const char *detail)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "type", "about:blank");
    cJSON_AddStringToObject(json, "title", title_of(status));
    cJSON_AddNumberToObject(json, "status", status);
    cJSON_AddStringToObject(json, "detail", detail);
    answer_json(rq, status, "application/problem+json", json);
}

static cJSON *product_json(const struct product *product)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "id", product->id);
    cJSON_AddStringToObject(json, "slug", product->slug);
    cJSON_AddStringToObject(json, "name", product->name);
    cJSON_AddStringToObject(json, "category", product->category);
    cJSON_AddNumberToObject(json, "price_cents", product->price_cents);
    cJSON_AddStringToObject(json, "currency", "EUR");
    cJSON_AddStringToObject(json, "about", product->about);
    return json;
}

static void add_lines(cJSON *json, const struct cart *cart)
{
    cJSON *lines = cJSON_AddArrayToObject(json, "lines");
    for (size_t i = 0; i < cart->count; i++) {
        const struct cart_line *line = &cart->lines[i];
        cJSON *item = cJSON_CreateObject();
        cJSON_AddNumberToObject(item, "product", line->product->id);
        cJSON_AddStringToObject(item, "name", line->product->name);
        cJSON_AddNumberToObject(item, "quantity", line->quantity);
        cJSON_AddNumberToObject(item, "price_cents", line->product->price_cents);
        if (!cJSON_AddItemToArray(lines, item)) {
            cJSON_Delete(item);
        }
    }
    cJSON_AddNumberToObject(json, "pieces", cart_pieces(cart));
    cJSON_AddNumberToObject(json, "total_cents", (double)cart_total(cart));
    cJSON_AddStringToObject(json, "currency", "EUR");
}

static void answer_cart(struct shop_request *rq)
{
    static const struct cart empty;
    cJSON *json = cJSON_CreateObject();
    add_lines(json, rq->session != NULL ? &rq->session->cart : &empty);
    answer(rq, 200, json);
}

static void answer_order(struct shop_request *rq, int status, const struct order *order)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "number", order->number);
    cJSON_AddStringToObject(json, "name", order->name);
    add_lines(json, &order->goods);
    answer(rq, status, json);
}

/* A page number or page size from the query; false after an error answer. */
static bool read_query_number(struct shop_request *rq, const char *name, unsigned max,
                              unsigned *out)
{
    const char *text = shop_value(&rq->query, name);
    if (*text == '\0') {
        return true;
    }
    if (!shop_number(text, max, out) || *out == 0) {
        char detail[80];
        snprintf(detail, sizeof detail, "%s must be a number from 1 to %u.", name, max);
        shop_error(rq, 422, detail);
        return false;
    }
    return true;
}

static void answer_list(struct shop_request *rq, const char *category, const char *words)
{
    const struct product *found[CATALOGUE_MAX];
    unsigned page = 1;
    unsigned per_page = CATALOGUE_PAGE;
    if (!read_query_number(rq, "page", 1000, &page) ||
        !read_query_number(rq, "per_page", PER_PAGE_MAX, &per_page)) {
        return;
    }
    size_t count = catalogue_find(category, words, found);
    cJSON *json = cJSON_CreateObject();
    cJSON *entries = cJSON_AddArrayToObject(json, "entries");
    for (size_t i = (size_t)(page - 1) * per_page; i < count && i < (size_t)page * per_page; i++) {
        cJSON *product = product_json(found[i]);
        if (!cJSON_AddItemToArray(entries, product)) {
            cJSON_Delete(product);
        }
    }
    cJSON_AddNumberToObject(json, "total", (double)count);
    cJSON_AddNumberToObject(json, "page", page);
    cJSON_AddNumberToObject(json, "per_page", per_page);
    answer(rq, 200, json);
}

static void handle_products(struct shop_request *rq)
{
    answer_list(rq, shop_value(&rq->query, "category"), shop_value(&rq->query, "q"));
}

static void handle_search(struct shop_request *rq)
{
    const char *words = shop_value(&rq->query, "q");
    if (*words == '\0' || strlen(words) > 100) {
        shop_error(rq, 422, "q must hold what to search for, 1 to 100 bytes.");
    } else {
        answer_list(rq, "", words);
    }
}

static void handle_product(struct shop_request *rq)
{
    unsigned id;
    const struct product *product = shop_number(rq->tail, CATALOGUE_MAX, &id)
                                        ? catalogue_by_id(id)
                                        : catalogue_by_slug(rq->tail);
    if (product == NULL) {
        shop_error(rq, 404, "The shop does not have this.");
    } else {
        answer(rq, 200, product_json(product));
    }
}

/* The body as an object with members from `names` alone (ended by NULL), each at most once; NULL
 * after an error answer. A body of JSON cannot be sent by a stranger's form, yet both are checked. */
static cJSON *read_object(struct shop_request *rq, const char *const *names)
{
    if (!shop_same_site(rq)) {
        shop_error(rq, 403, "This was sent from another site.");
        return NULL;
    }
    char *body = shop_body(rq, "application/json");
    if (body == NULL) {
        return NULL;
    }
    cJSON *json = cJSON_ParseWithOpts(body, NULL, true);
    free(body);
    if (!cJSON_IsObject(json)) {
        cJSON_Delete(json);
        shop_error(rq, 400, "The body is not a JSON object.");
        return NULL;
    }
    unsigned seen = 0;
    const cJSON *member;
    cJSON_ArrayForEach(member, json)
    {
        unsigned i = 0;
        while (names[i] != NULL && strcmp(names[i], member->string) != 0) {
            i++;
        }
        if (names[i] == NULL || (seen & (1U << i)) != 0) {
            cJSON_Delete(json);
            shop_error(rq, 422, "A member of the body is unknown or there twice.");
            return NULL;
        }
        seen |= 1U << i;
    }
    return json;
}

/* A whole number from 0 to `max`. */
static bool read_count(const cJSON *json, const char *name, unsigned max, unsigned *out)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) || item->valuedouble > max ||
        item->valuedouble != (unsigned)item->valuedouble) {
        return false;
    }
    *out = (unsigned)item->valuedouble;
    return true;
}

/* The text of a member, NULL when it is none or has not 1 to `max` bytes. */
static const char *read_text(const cJSON *json, const char *name, size_t max)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, name));
    return text != NULL && *text != '\0' && strlen(text) <= max ? text : NULL;
}

static void answer_changed(struct shop_request *rq, enum cart_result result)
{
    switch (result) {
    case CART_OK: answer_cart(rq); break;
    case CART_NOT_THERE: shop_error(rq, 404, "This is not in the cart."); break;
    case CART_TOO_MANY_PIECES: shop_error(rq, 422, "At most 99 pieces of each thing."); break;
    case CART_TOO_MANY_LINES: shop_error(rq, 422, "At most 32 different things."); break;
    }
}

static void handle_cart_add(struct shop_request *rq)
{
    static const char *const names[] = {"product", "quantity", NULL};
    unsigned id = 0;
    unsigned quantity = 1;
    cJSON *json = read_object(rq, names);
    if (json == NULL) {
        return;
    }
    bool well = read_count(json, "product", CATALOGUE_MAX, &id) &&
                (!cJSON_HasObjectItem(json, "quantity") ||
                 read_count(json, "quantity", CART_QUANTITY, &quantity)) &&
                quantity > 0;
    cJSON_Delete(json);
    const struct product *product = catalogue_by_id(id);
    if (!well || product == NULL) {
        shop_error(rq, 422, "Wanted: {\"product\": ID, \"quantity\": 1 to 99}.");
    } else if (shop_need_session(rq) != NULL) {
        answer_changed(rq, cart_add(&rq->session->cart, product, quantity));
    }
}

/* Changes one line of the cart; 0 pieces remove it. */
static void set_line(struct shop_request *rq, unsigned quantity)
{
    unsigned id;
    const struct product *product =
        shop_number(rq->tail, CATALOGUE_MAX, &id) ? catalogue_by_id(id) : NULL;
    answer_changed(rq, product == NULL || rq->session == NULL
                           ? CART_NOT_THERE
                           : cart_set(&rq->session->cart, product, quantity));
}

static void handle_line_patch(struct shop_request *rq)
{
    static const char *const names[] = {"quantity", NULL};
    unsigned quantity = 0;
    cJSON *json = read_object(rq, names);
    if (json == NULL) {
        return;
    }
    bool well = read_count(json, "quantity", CART_QUANTITY, &quantity);
    cJSON_Delete(json);
    if (well) {
        set_line(rq, quantity);
    } else {
        shop_error(rq, 422, "Wanted: {\"quantity\": 0 to 99}.");
    }
}

static void handle_line_delete(struct shop_request *rq)
{
    if (shop_same_site(rq)) {
        set_line(rq, 0);
    } else {
        shop_error(rq, 403, "This was sent from another site.");
    }
}

static void handle_cart_delete(struct shop_request *rq)
{
    if (!shop_same_site(rq)) {
        shop_error(rq, 403, "This was sent from another site.");
        return;
    }
    if (rq->session != NULL) {
        rq->session->cart.count = 0;
    }
    answer_cart(rq);
}

static void handle_checkout(struct shop_request *rq)
{
    static const char *const names[] = {"name", NULL};
    cJSON *json = read_object(rq, names);
    if (json == NULL) {
        return;
    }
    const char *name = read_text(json, "name", ORDER_NAME_LEN);
    if (name == NULL) {
        shop_error(rq, 422, "Wanted: {\"name\": who gets it, 1 to 80 bytes}.");
    } else if (rq->session == NULL || rq->session->cart.count == 0) {
        shop_error(rq, 409, "There is nothing in the cart to be ordered.");
    } else {
        const struct order *order = session_order(rq->session, name);
        if (order == NULL) {
            shop_error(rq, 500, "The order got no number; nothing was ordered.");
        } else {
            char where[sizeof "/api/orders/" + ORDER_NUMBER_LEN];
            snprintf(where, sizeof where, "/api/orders/%s", order->number);
            shop_add_header(rq, "Location", where);
            answer_order(rq, 201, order);
        }
    }
    cJSON_Delete(json);
}

static void handle_order(struct shop_request *rq)
{
    const struct order *order =
        rq->session != NULL ? session_find_order(rq->session, rq->tail) : NULL;
    if (order == NULL) {
        shop_error(rq, 404, "This visitor has no such order.");
    } else {
        answer_order(rq, 200, order);
    }
}

static void handle_me(struct shop_request *rq)
{
    cJSON *json = cJSON_CreateObject();
    if (rq->session != NULL && *rq->session->user != '\0') {
        cJSON_AddStringToObject(json, "user", rq->session->user);
    } else {
        cJSON_AddNullToObject(json, "user");
    }
    cJSON_AddStringToObject(json, "server", rq->shop->name);
    answer(rq, 200, json);
}

static void handle_login(struct shop_request *rq)
{
    static const char *const names[] = {"user", "password", NULL};
    cJSON *json = read_object(rq, names);
    if (json == NULL) {
        return;
    }
    const char *user = read_text(json, "user", SESSION_USER_LEN);
    const char *password = read_text(json, "password", 200);
    if (user == NULL || password == NULL) {
        shop_error(rq, 422, "Wanted: {\"user\": NAME, \"password\": PASSWORD}.");
    } else if (!shop_account_ok(user, password)) {
        shop_error(rq, 401, "Name and password do not belong together.");
    } else if (shop_log_in(rq, user)) {
        handle_me(rq);
    }
    cJSON_Delete(json);
}

static void handle_logout(struct shop_request *rq)
{
    if (!shop_same_site(rq)) {
        shop_error(rq, 403, "This was sent from another site.");
        return;
    }
    shop_log_out(rq);
    shop_answer(rq, 204, NULL, NULL);
}

const struct shop_route shop_api_routes[] = {
    {"/api/products", EVHTTP_REQ_GET, handle_products},
    {"/api/products/*", EVHTTP_REQ_GET, handle_product},
    {"/api/search", EVHTTP_REQ_GET, handle_search},
    {"/api/cart", EVHTTP_REQ_GET, answer_cart},
    {"/api/cart", EVHTTP_REQ_POST, handle_cart_add},
    {"/api/cart", EVHTTP_REQ_DELETE, handle_cart_delete},
    {"/api/cart/*", EVHTTP_REQ_PATCH, handle_line_patch},
    {"/api/cart/*", EVHTTP_REQ_DELETE, handle_line_delete},
    {"/api/checkout", EVHTTP_REQ_POST, handle_checkout},
    {"/api/orders/*", EVHTTP_REQ_GET, handle_order},
    {"/api/me", EVHTTP_REQ_GET, handle_me},
    {"/api/login", EVHTTP_REQ_POST, handle_login},
    {"/api/logout", EVHTTP_REQ_POST, handle_logout},
    {"/health", EVHTTP_REQ_GET, shop_handle_health},
    {NULL, EVHTTP_REQ_GET, NULL},
};
