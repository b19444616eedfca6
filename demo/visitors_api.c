/* SPDX-License-Identifier: MIT */
/* What visitors do with a cart by the JSON API, where two servers each keep carts of their own. */
#include "visitors.h"

#include <string.h>

#include <cjson/cJSON.h>

static double number_in(const cJSON *json, const char *name)
{
    return cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(json, name));
}

/* Lines and total of a cart or an order must be exactly the basket. */
static bool check_lines(const cJSON *json, const struct basket *basket, char *problem)
{
    const cJSON *lines = cJSON_GetObjectItemCaseSensitive(json, "lines");
    const cJSON *line;
    size_t count = 0;
    if (!cJSON_IsArray(lines)) {
        return wrong(problem, "no cart in the answer");
    }
    cJSON_ArrayForEach(line, lines)
    {
        if (!basket_holds(basket, count++, number_in(line, "product"),
                          number_in(line, "quantity"))) {
            return wrong(problem, "line %zu of the cart is not what was put in (%g pieces of %g)",
                         count, number_in(line, "quantity"), number_in(line, "product"));
        }
    }
    if (count != basket->count || number_in(json, "total_cents") != (double)basket_cents(basket)) {
        return wrong(problem, "a cart of %zu things for %g cents, wanted %zu for %llu", count,
                     number_in(json, "total_cents"), basket->count,
                     (unsigned long long)basket_cents(basket));
    }
    return true;
}

static bool check_cart(struct visitor *visitor, const struct response *response, char *problem)
{
    if (!expect(response, 200, "application/json", problem)) {
        return false;
    }
    visitor->world->carts_checked++;
    cJSON *json = cJSON_ParseWithLength(response->body, response->body_len);
    bool well = check_lines(json, &visitor->api, problem);
    cJSON_Delete(json);
    return well;
}

static void ask_json(struct asked *asked, const char *method, const char *path)
{
    asked->method = method;
    asked->type = "application/json";
    snprintf(asked->path, PATH_LIMIT, "%s", path);
}

static bool prepare_cart(struct visitor *visitor, struct asked *asked)
{
    (void)visitor;
    snprintf(asked->path, PATH_LIMIT, "/api/cart");
    return true;
}

static bool prepare_add(struct visitor *visitor, struct asked *asked)
{
    if (visitor->good == NULL || !basket_has_room(&visitor->api, visitor->good)) {
        return false;
    }
    visitor->quantity = 1 + visitor_random(visitor, 3);
    ask_json(asked, "POST", "/api/cart");
    snprintf(asked->body, REQUEST_BODY_LIMIT, "{\"product\":%u,\"quantity\":%u}", visitor->good->id,
             visitor->quantity);
    return true;
}

static bool check_add(struct visitor *visitor, const struct response *response, char *problem)
{
    if (!expect(response, 200, "application/json", problem)) {
        return false;
    }
    basket_add(&visitor->api, visitor->good, visitor->quantity);
    return check_cart(visitor, response, problem);
}

static bool prepare_change(struct visitor *visitor, struct asked *asked)
{
    if (!pick_line(visitor, &visitor->api)) {
        return false;
    }
    char path[40];
    visitor->quantity = 1 + visitor_random(visitor, 5);
    snprintf(path, sizeof path, "/api/cart/%u", visitor->good->id);
    ask_json(asked, "PATCH", path);
    snprintf(asked->body, REQUEST_BODY_LIMIT, "{\"quantity\":%u}", visitor->quantity);
    return true;
}

static bool prepare_remove(struct visitor *visitor, struct asked *asked)
{
    if (!pick_line(visitor, &visitor->api)) {
        return false;
    }
    visitor->quantity = 0;
    asked->method = "DELETE";
    snprintf(asked->path, PATH_LIMIT, "/api/cart/%u", visitor->good->id);
    return true;
}

static bool check_change(struct visitor *visitor, const struct response *response, char *problem)
{
    if (!expect(response, 200, "application/json", problem)) {
        return false;
    }
    basket_set(&visitor->api, visitor->good, visitor->quantity);
    return check_cart(visitor, response, problem);
}

static bool prepare_order(struct visitor *visitor, struct asked *asked)
{
    if (visitor->api.count == 0) {
        return false;
    }
    ask_json(asked, "POST", "/api/checkout");
    snprintf(asked->body, REQUEST_BODY_LIMIT, "{\"name\":\"Visitor <%u>\"}", visitor->number);
    return true;
}

static bool check_order(struct visitor *visitor, const struct response *response, char *problem)
{
    struct basket *basket = &visitor->api;
    if (!expect(response, 201, "application/json", problem)) {
        return false;
    }
    cJSON *json = cJSON_ParseWithLength(response->body, response->body_len);
    const char *number = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "number"));
    bool well = check_lines(json, basket, problem) &&
                ((number != NULL && *number != '\0' && strlen(number) < sizeof basket->order) ||
                 wrong(problem, "an order without a number"));
    if (well) {
        memcpy(basket->order, number, strlen(number) + 1);
        basket->order_cents = basket_cents(basket);
        basket->count = 0;
        visitor->world->orders++;
    }
    cJSON_Delete(json);
    return well;
}

static bool prepare_receipt(struct visitor *visitor, struct asked *asked)
{
    if (*visitor->api.order == '\0') {
        return false;
    }
    snprintf(asked->path, PATH_LIMIT, "/api/orders/%s", visitor->api.order);
    return true;
}

static bool check_receipt(struct visitor *visitor, const struct response *response, char *problem)
{
    char name[40];
    if (!expect(response, 200, "application/json", problem)) {
        return false;
    }
    snprintf(name, sizeof name, "Visitor <%u>", visitor->number);
    cJSON *json = cJSON_ParseWithLength(response->body, response->body_len);
    const char *number = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "number"));
    const char *to = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "name"));
    bool well = number != NULL && strcmp(number, visitor->api.order) == 0 && to != NULL &&
                strcmp(to, name) == 0 &&
                number_in(json, "total_cents") == (double)visitor->api.order_cents;
    cJSON_Delete(json);
    return well || wrong(problem, "the order is not what was ordered");
}

static bool prepare_login(struct visitor *visitor, struct asked *asked)
{
    ask_json(asked, "POST", "/api/login");
    snprintf(asked->body, REQUEST_BODY_LIMIT, "{\"user\":\"%s\",\"password\":\"millrace\"}",
             user_of(visitor));
    return true;
}

/* Who the shop takes the visitor for. */
static bool check_user(const struct response *response, const char *user, char *problem)
{
    if (!expect(response, 200, "application/json", problem)) {
        return false;
    }
    cJSON *json = cJSON_ParseWithLength(response->body, response->body_len);
    const char *is = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "user"));
    bool well = strcmp(is != NULL ? is : "", user) == 0;
    if (!well) {
        wrong(problem, "taken for \"%.30s\", wanted \"%s\"", is != NULL ? is : "", user);
    }
    cJSON_Delete(json);
    return well;
}

static bool check_login(struct visitor *visitor, const struct response *response, char *problem)
{
    if (!check_user(response, user_of(visitor), problem)) {
        return false;
    }
    snprintf(visitor->api.user, sizeof visitor->api.user, "%s", user_of(visitor));
    return true;
}

static bool prepare_me(struct visitor *visitor, struct asked *asked)
{
    (void)visitor;
    snprintf(asked->path, PATH_LIMIT, "/api/me");
    return true;
}

static bool check_me(struct visitor *visitor, const struct response *response, char *problem)
{
    return check_user(response, visitor->api.user, problem);
}

static bool prepare_logout(struct visitor *visitor, struct asked *asked)
{
    if (*visitor->api.user == '\0') {
        return false;
    }
    asked->method = "POST";
    asked->type = "application/json";
    snprintf(asked->path, PATH_LIMIT, "/api/logout");
    return true;
}

static bool check_logout(struct visitor *visitor, const struct response *response, char *problem)
{
    if (!expect(response, 204, NULL, problem)) {
        return false;
    }
    memset(&visitor->api, 0, sizeof visitor->api);
    return true;
}

const struct act act_api_add = {
    .name = "POST /api/cart", .side = ON_API, .prepare = prepare_add, .check = check_add};
const struct act act_api_cart = {
    .name = "GET /api/cart", .side = ON_API, .prepare = prepare_cart, .check = check_cart};
const struct act act_api_change = {
    .name = "PATCH /api/cart/ID", .side = ON_API, .prepare = prepare_change, .check = check_change};
const struct act act_api_remove = {.name = "DELETE /api/cart/ID",
                                   .side = ON_API,
                                   .prepare = prepare_remove,
                                   .check = check_change};
const struct act act_api_order = {
    .name = "POST /api/checkout", .side = ON_API, .prepare = prepare_order, .check = check_order};
const struct act act_api_receipt = {.name = "GET /api/orders/N",
                                    .side = ON_API,
                                    .prepare = prepare_receipt,
                                    .check = check_receipt};
const struct act act_api_login = {
    .name = "POST /api/login", .side = ON_API, .prepare = prepare_login, .check = check_login};
const struct act act_api_me = {
    .name = "GET /api/me", .side = ON_API, .prepare = prepare_me, .check = check_me};
const struct act act_api_logout = {
    .name = "POST /api/logout", .side = ON_API, .prepare = prepare_logout, .check = check_logout};
