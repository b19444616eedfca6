/* SPDX-License-Identifier: MIT */
/* One visitor's life: journeys through the shop, one after the other, each step of which is
 * checked. */
#define _GNU_SOURCE /* strcasestr */
#include "visitors.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_PAGE = 12 }; /* goods on one page of the shop's lists */

unsigned visitor_random(struct visitor *visitor, unsigned below)
{
    visitor->random_state ^= visitor->random_state >> 12;
    visitor->random_state ^= visitor->random_state << 25;
    visitor->random_state ^= visitor->random_state >> 27;
    return (unsigned)((visitor->random_state * UINT64_C(2685821657736338717) >> 33) % below);
}

static bool chance(struct visitor *visitor, unsigned percent)
{
    return visitor_random(visitor, 100) < percent;
}

/* Asks for a path that needs nothing of what the shop remembers. */
static bool get(struct visitor *visitor, const char *doing, bool hurried, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static bool get(struct visitor *visitor, const char *doing, bool hurried, const char *format, ...)
{
    char path[320];
    struct asked asked = {
        .doing = doing, .side = ANYWHERE, .hurried = hurried, .method = "GET", .path = path};
    va_list args;
    va_start(args, format);
    vsnprintf(path, sizeof path, format, args);
    va_end(args);
    return ask(visitor, &asked);
}

/* ---- the catalogue ---- */

/* A list of products by the API; `wanted` is how many there must be, 0: all. The first one that
 * comes says what there is, and from then on each product must be as it was. */
static bool is_list(struct visitor *visitor, int wanted)
{
    struct world *world = visitor->world;
    int count = 0;
    bool same = true;
    const cJSON *entry;
    if (!expect(visitor, 200, "application/json")) {
        return false;
    }
    cJSON *json = cJSON_ParseWithLength(visitor->body, visitor->body_len);
    cJSON *entries = cJSON_GetObjectItemCaseSensitive(json, "entries");
    double total = number_in(json, "total");
    pthread_mutex_lock(&world->lock);
    if (world->goods == NULL) {
        world->goods = cJSON_DetachItemViaPointer(json, entries);
    }
    pthread_mutex_unlock(&world->lock);
    cJSON_ArrayForEach(entry, entries)
    {
        int id = (int)number_in(entry, "id");
        same = same && cJSON_Compare(entry, cJSON_GetArrayItem(world->goods, id - 1), true);
        count++;
    }
    wanted = wanted > 0 ? wanted : cJSON_GetArraySize(world->goods);
    cJSON_Delete(json);
    return (same && count == wanted && total == wanted && count > 0) ||
           wrong(visitor, "%d products of %g, wanted %d%s", count, total, wanted,
                 same ? "" : ", and as they were");
}

static bool learn(struct visitor *visitor)
{
    return get(visitor, "read the catalogue", false, "/api/products?per_page=100") &&
           is_list(visitor, 0);
}

/* Goods that the shop should find for a category ("" for all) and a word ("" for any). */
static int count_goods(const struct world *world, const char *category, const char *word)
{
    int count = 0;
    const cJSON *good;
    cJSON_ArrayForEach(good, world->goods)
    {
        count += (*category == '\0' || strcmp(text_in(good, "category"), category) == 0) &&
                 (strcasestr(text_in(good, "name"), word) != NULL ||
                  strcasestr(text_in(good, "category"), word) != NULL ||
                  strcasestr(text_in(good, "about"), word) != NULL);
    }
    return count;
}

/* ---- browsing ---- */

static int count_links(const struct visitor *visitor)
{
    static const char part[] = "href=\"/product/";
    int count = 0;
    for (const char *at = strstr(visitor->body, part); at != NULL; at = strstr(at + 1, part)) {
        count++;
    }
    return count;
}

static bool enter(struct visitor *visitor)
{
    struct asked style = {.doing = "load the style",
                          .side = ANYWHERE,
                          .hurried = true,
                          .method = "GET",
                          .path = "/style.css"};
    char field[96];
    if (!get(visitor, "open the shop", false, "/") ||
        !expect_page(visitor, "<h1>Things that last</h1>") ||
        (count_links(visitor) != 8 && !wrong(visitor, "a home page without its eight products"))) {
        return false;
    }
    bool known = *visitor->style_tag != '\0';
    snprintf(field, sizeof field, "If-None-Match: %s", visitor->style_tag);
    style.field = known ? field : NULL;
    if (!ask(visitor, &style) || !expect(visitor, known ? 304 : 200, known ? NULL : "text/css")) {
        return false;
    }
    if (!known && strstr(visitor->body, "color-scheme") == NULL) {
        return wrong(visitor, "no style sheet");
    }
    snprintf(visitor->style_tag, sizeof visitor->style_tag, "%s", header(visitor, "ETag"));
    return *visitor->style_tag != '\0' || wrong(visitor, "a style sheet without a tag");
}

/* A page of a list, of which as many must be shown as fit. */
static bool is_goods_page(struct visitor *visitor, const char *title, int wanted)
{
    char part[160];
    int shown = wanted < LIST_PAGE ? wanted : LIST_PAGE;
    snprintf(part, sizeof part, "<h1>%s</h1><p class=\"count\">%d found</p>", title, wanted);
    return expect_page(visitor, part) &&
           (count_links(visitor) == shown ||
            wrong(visitor, "a list that shows not all of %d products", shown));
}

/* Finds something, on a shelf or by a word of its name. */
static bool find(struct visitor *visitor)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const struct world *world = visitor->world;
    char word[32], title[64];
    int size = cJSON_GetArraySize(world->goods);
    visitor->good = cJSON_GetArrayItem(world->goods, (int)visitor_random(visitor, (unsigned)size));
    const char *name = text_in(visitor->good, "name"), *shelf = text_in(visitor->good, "category");
    name += strcspn(name, letters);
    snprintf(word, sizeof word, "%.*s", (int)strspn(name, letters), name);
    snprintf(title, sizeof title, "Search: %s", word);
    switch (visitor_random(visitor, 4)) {
    case 0:
        return get(visitor, "search", false, "/search?q=%s", word) &&
               is_goods_page(visitor, title, count_goods(world, "", word));
    case 1:
        return get(visitor, "search by the API", false, "/api/search?q=%s&per_page=100", word) &&
               is_list(visitor, count_goods(world, "", word));
    default:
        return get(visitor, "look at a shelf", false, "/products?category=%s", shelf) &&
               is_goods_page(visitor, shelf, count_goods(world, shelf, ""));
    }
}

static bool look(struct visitor *visitor)
{
    char price[96];
    const char *slug = text_in(visitor->good, "slug");
    int cents = (int)number_in(visitor->good, "price_cents");
    snprintf(price, sizeof price, "<p class=\"price\">\xe2\x82\xac\xc2\xa0%d.%02d</p>", cents / 100,
             cents % 100);
    if (!get(visitor, "look at a product", false, "/product/%s", slug) ||
        !expect_page(visitor, price)) {
        return false;
    }
    if (chance(visitor, 60) && (!get(visitor, "load a picture", true, "/img/%s.svg", slug) ||
                                !expect(visitor, 200, "image/svg+xml") ||
                                (strstr(visitor->body, "</svg>\n") == NULL &&
                                 !wrong(visitor, "a picture without its end")))) {
        return false;
    }
    if (!chance(visitor, 40)) {
        return true;
    }
    if (!get(visitor, "look by the API", true, "/api/products/%s", slug) ||
        !expect(visitor, 200, "application/json")) {
        return false;
    }
    cJSON *json = cJSON_ParseWithLength(visitor->body, visitor->body_len);
    bool same = cJSON_Compare(json, visitor->good, true);
    cJSON_Delete(json);
    return same || wrong(visitor, "%s is not as it was", slug);
}

/* A mistyped address: the shop's own 404 must come through as it is. */
static bool stray(struct visitor *visitor)
{
    return get(visitor, "mistype an address", false, "%s/product/no-such-thing-%u",
               chance(visitor, 50) ? "/api" : "", visitor_random(visitor, 1000)) &&
           expect(visitor, 404, NULL) &&
           (*header(visitor, "X-Visit-Id") != '\0' ||
            wrong(visitor, "a 404 that is not the shop's own"));
}

/* ---- journeys ---- */

static bool fill_cart(struct visitor *visitor, enum side side)
{
    for (unsigned looks = 1 + visitor_random(visitor, 3); looks > 0; looks--) {
        if (!find(visitor) || !look(visitor)) {
            return false;
        }
    }
    return cart_add(visitor, side) && cart_look(visitor, side) &&
           (!chance(visitor, 30) || (cart_change(visitor, side, 1 + visitor_random(visitor, 5)) &&
                                     cart_look(visitor, side))) &&
           (!chance(visitor, 15) || (cart_change(visitor, side, 0) && cart_look(visitor, side)));
}

/* false: something was wrong, and nobody knows what the shop now remembers. */
static bool journey(struct visitor *visitor)
{
    enum side side = chance(visitor, 30) ? WEB : API;
    bool first = visitor->sent_count == 0; /* somebody must read the catalogue first */
    if (!enter(visitor) || (chance(visitor, 10) && !stray(visitor)) ||
        ((first || chance(visitor, 20)) && !learn(visitor))) {
        return false;
    }
    for (unsigned rounds = 1 + visitor_random(visitor, 3); rounds > 0; rounds--) {
        if (!fill_cart(visitor, side)) {
            return false;
        }
    }
    if (!chance(visitor, 65)) {
        return true; /* the cart is left behind, and looked for again by a later journey */
    }
    return (!chance(visitor, 50) || log_in(visitor, side)) && cart_order(visitor, side) &&
           (!chance(visitor, 50) || log_out(visitor, side));
}

void *visitor_live(void *arg)
{
    struct visitor *visitor = arg;
    bool well = true;
    while (!visitor->world->stopping && visitor->curl != NULL) {
        bool same = well && visitor->baskets[API].count <= BASKET_LIMIT / 2 &&
                    visitor->baskets[WEB].count <= BASKET_LIMIT / 2 && !chance(visitor, 35);
        if (!same) {
            become_stranger(visitor);
        } else if (chance(visitor, 35)) { /* hangs up: another connection, the same TLS session */
            curl_easy_setopt(visitor->curl, CURLOPT_FRESH_CONNECT, 1L);
        }
        well = journey(visitor);
    }
    return NULL;
}
