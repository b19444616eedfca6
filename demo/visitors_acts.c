/* SPDX-License-Identifier: MIT */
/* What visitors do before there is a cart: learn, browse, search, look. Also what all acts use. */
#include "visitors.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cjson/cJSON.h>

enum { LIST_PAGE = 12 }; /* goods on one page of the shop's lists */

bool wrong(char *problem, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(problem, PROBLEM_LIMIT, format, args);
    va_end(args);
    return false;
}

bool expect(const struct response *response, int status, const char *type, char *problem)
{
    const char *is = response_header(response, "Content-Type");
    if (response->status != status) {
        return wrong(problem, "status %d, wanted %d", response->status, status);
    }
    if (type != NULL && (is == NULL || strncasecmp(is, type, strlen(type)) != 0)) {
        return wrong(problem, "type %.60s, wanted %s", is != NULL ? is : "(none)", type);
    }
    return true;
}

static bool ends_with(const struct response *response, const char *end)
{
    size_t len = strlen(end);
    return response->body_len >= len &&
           memcmp(response->body + response->body_len - len, end, len) == 0;
}

/* A whole page of the shop, which holds `part`. */
static bool expect_page(const struct response *response, const char *part, char *problem)
{
    if (!expect(response, 200, "text/html", problem)) {
        return false;
    }
    if (!ends_with(response, "</html>\n")) {
        return wrong(problem, "a page without its end");
    }
    return strstr(response->body, part) != NULL || wrong(problem, "a page without %s", part);
}

static void put_html(char *out, size_t room, const char *text)
{
    static const char *const entities[][2] = {
        {"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}, {"'", "&#39;"}};
    size_t len = 0;
    for (; *text != '\0' && len + 8 < room; text++) {
        size_t i = 0;
        while (i < 5 && entities[i][0][0] != *text) {
            i++;
        }
        len += (size_t)(i < 5 ? snprintf(out + len, room - len, "%s", entities[i][1])
                              : snprintf(out + len, room - len, "%c", *text));
    }
}

static size_t count_in(const char *text, const char *part)
{
    size_t count = 0;
    for (text = strstr(text, part); text != NULL; text = strstr(text + 1, part)) {
        count++;
    }
    return count;
}

/* --- The catalogue --------------------------------------------------------------------------- */

static bool prepare_learn(struct visitor *visitor, struct asked *asked)
{
    (void)visitor;
    snprintf(asked->path, PATH_LIMIT, "/api/products?per_page=100");
    return true;
}

/* One string member, copied whole. */
static bool take_text(const cJSON *json, const char *name, char *out, size_t room)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, name));
    if (text == NULL || *text == '\0' || strlen(text) >= room) {
        return false;
    }
    memcpy(out, text, strlen(text) + 1);
    return true;
}

static bool take_good(const cJSON *json, struct good *good)
{
    double id = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(json, "id"));
    double price = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(json, "price_cents"));
    memset(good, 0, sizeof *good);
    if (!(id >= 1 && id <= 1e6 && price >= 0 && price <= 1e9)) {
        return false;
    }
    good->id = (unsigned)id;
    good->price_cents = (uint64_t)price;
    return take_text(json, "slug", good->slug, sizeof good->slug) &&
           take_text(json, "name", good->name, sizeof good->name) &&
           take_text(json, "category", good->category, sizeof good->category) &&
           take_text(json, "about", good->about, sizeof good->about);
}

/* Each entry must be a good; known ones must be as they were. Returns how many, -1 when wrong. */
static int check_entries(struct world *world, const cJSON *json, bool learn, char *problem)
{
    const cJSON *entries = cJSON_GetObjectItemCaseSensitive(json, "entries");
    const cJSON *entry;
    int count = 0;
    if (!cJSON_IsArray(entries)) {
        wrong(problem, "a list without entries");
        return -1;
    }
    cJSON_ArrayForEach(entry, entries)
    {
        struct good good;
        if (!take_good(entry, &good) || (learn && world->good_count == GOODS_LIMIT)) {
            wrong(problem, "entry %d of a list is no product", count);
            return -1;
        }
        const struct good *known = world_good(world, good.id);
        if (learn && known == NULL) {
            world->goods[world->good_count++] = good;
        } else if (known == NULL || memcmp(known, &good, sizeof good) != 0) {
            wrong(problem, "product %u is not as it was", good.id);
            return -1;
        }
        count++;
    }
    return count;
}

/* A list of products by the API; `wanted` is how many there must be. */
static bool check_list(struct visitor *visitor, const struct response *response, bool learn,
                       size_t wanted, char *problem)
{
    if (!expect(response, 200, "application/json", problem)) {
        return false;
    }
    cJSON *json = cJSON_ParseWithLength(response->body, response->body_len);
    double total = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(json, "total"));
    int count = check_entries(visitor->world, json, learn, problem);
    cJSON_Delete(json);
    if (count < 0) {
        return false;
    }
    wanted = learn ? visitor->world->good_count : wanted;
    if ((size_t)count != wanted || total != (double)wanted || (learn && count == 0)) {
        return wrong(problem, "%d products of %g, wanted %zu", count, total, wanted);
    }
    return true;
}

static bool check_learn(struct visitor *visitor, const struct response *response, char *problem)
{
    return check_list(visitor, response, visitor->world->good_count == 0,
                      visitor->world->good_count, problem);
}

/* --- Pages ----------------------------------------------------------------------------------- */

static bool prepare_home(struct visitor *visitor, struct asked *asked)
{
    (void)visitor;
    snprintf(asked->path, PATH_LIMIT, "/");
    return true;
}

static bool check_home(struct visitor *visitor, const struct response *response, char *problem)
{
    (void)visitor;
    return expect_page(response, "<h1>Things that last</h1>", problem) &&
           (count_in(response->body, "href=\"/product/") == 8 ||
            wrong(problem, "a home page without its eight products"));
}

static bool prepare_style(struct visitor *visitor, struct asked *asked)
{
    snprintf(asked->path, PATH_LIMIT, "/style.css");
    asked->etag = *visitor->style_tag != '\0' ? visitor->style_tag : NULL;
    return true;
}

static bool check_style(struct visitor *visitor, const struct response *response, char *problem)
{
    const char *tag = response_header(response, "ETag");
    if (*visitor->style_tag != '\0') {
        return expect(response, 304, NULL, problem);
    }
    if (!expect(response, 200, "text/css", problem) || tag == NULL ||
        strlen(tag) >= sizeof visitor->style_tag ||
        strstr(response->body, "color-scheme") == NULL) {
        return *problem != '\0' ? false : wrong(problem, "no style sheet, or one without a tag");
    }
    memcpy(visitor->style_tag, tag, strlen(tag) + 1);
    return true;
}

/* Chooses any good, and a word of its name that can be searched for. */
static bool pick_good(struct visitor *visitor)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const struct world *world = visitor->world;
    if (world->good_count == 0) {
        return false;
    }
    visitor->good = &world->goods[visitor_random(visitor, (unsigned)world->good_count)];
    const char *word = visitor->good->name + strcspn(visitor->good->name, letters);
    snprintf(visitor->word, sizeof visitor->word, "%.*s", (int)strspn(word, letters), word);
    return *visitor->word != '\0';
}

static bool check_goods_page(struct visitor *visitor, const struct response *response,
                             const char *title, size_t wanted, char *problem)
{
    char part[160];
    snprintf(part, sizeof part, "<h1>%s</h1><p class=\"count\">%zu found</p>", title, wanted);
    size_t shown = wanted < LIST_PAGE ? wanted : LIST_PAGE;
    (void)visitor;
    return expect_page(response, part, problem) &&
           (count_in(response->body, "href=\"/product/") == shown ||
            wrong(problem, "a list that shows not all of %zu products", shown));
}

static bool prepare_shelf(struct visitor *visitor, struct asked *asked)
{
    if (!pick_good(visitor)) {
        return false;
    }
    snprintf(asked->path, PATH_LIMIT, "/products?category=%s", visitor->good->category);
    return true;
}

static bool check_shelf(struct visitor *visitor, const struct response *response, char *problem)
{
    const char *category = visitor->good->category;
    return check_goods_page(visitor, response, category,
                            world_count_goods(visitor->world, category, ""), problem);
}

static bool prepare_find(struct visitor *visitor, struct asked *asked)
{
    if (!pick_good(visitor)) {
        return false;
    }
    snprintf(asked->path, PATH_LIMIT, "/search?q=%s", visitor->word);
    return true;
}

static bool check_find(struct visitor *visitor, const struct response *response, char *problem)
{
    char title[64];
    snprintf(title, sizeof title, "Search: %s", visitor->word);
    return check_goods_page(visitor, response, title,
                            world_count_goods(visitor->world, "", visitor->word), problem);
}

static bool prepare_look(struct visitor *visitor, struct asked *asked)
{
    if (visitor->good == NULL) {
        return false;
    }
    snprintf(asked->path, PATH_LIMIT, "/product/%s", visitor->good->slug);
    return true;
}

static bool check_look(struct visitor *visitor, const struct response *response, char *problem)
{
    char name[600];
    char part[640];
    put_html(name, sizeof name, visitor->good->name);
    snprintf(part, sizeof part, "<h1>%s</h1>", name);
    if (!expect_page(response, part, problem)) {
        return false;
    }
    snprintf(part, sizeof part, "<p class=\"price\">\xe2\x82\xac\xc2\xa0%llu.%02llu</p>",
             (unsigned long long)visitor->good->price_cents / 100,
             (unsigned long long)visitor->good->price_cents % 100);
    return expect_page(response, part, problem);
}

static bool prepare_picture(struct visitor *visitor, struct asked *asked)
{
    if (visitor->good == NULL) {
        return false;
    }
    snprintf(asked->path, PATH_LIMIT, "/img/%s.svg", visitor->good->slug);
    return true;
}

static bool check_picture(struct visitor *visitor, const struct response *response, char *problem)
{
    (void)visitor;
    return expect(response, 200, "image/svg+xml", problem) &&
           ((strncmp(response->body, "<svg ", 5) == 0 && ends_with(response, "</svg>\n")) ||
            wrong(problem, "a picture without beginning or end"));
}

/* --- The same by the API --------------------------------------------------------------------- */

static bool prepare_api_find(struct visitor *visitor, struct asked *asked)
{
    if (!pick_good(visitor)) {
        return false;
    }
    snprintf(asked->path, PATH_LIMIT, "/api/search?q=%s&per_page=100", visitor->word);
    return true;
}

static bool check_api_find(struct visitor *visitor, const struct response *response, char *problem)
{
    return check_list(visitor, response, false,
                      world_count_goods(visitor->world, "", visitor->word), problem);
}

static bool prepare_api_look(struct visitor *visitor, struct asked *asked)
{
    if (visitor->good == NULL) {
        return false;
    }
    snprintf(asked->path, PATH_LIMIT, "/api/products/%u", visitor->good->id);
    return true;
}

static bool check_api_look(struct visitor *visitor, const struct response *response, char *problem)
{
    struct good good;
    if (!expect(response, 200, "application/json", problem)) {
        return false;
    }
    cJSON *json = cJSON_ParseWithLength(response->body, response->body_len);
    bool same = take_good(json, &good) && memcmp(&good, visitor->good, sizeof good) == 0;
    cJSON_Delete(json);
    return same || wrong(problem, "product %u is not as it was", visitor->good->id);
}

/* A mistyped address: the shop's own 404 must come through as it is. */
static bool prepare_stray(struct visitor *visitor, struct asked *asked)
{
    snprintf(asked->path, PATH_LIMIT, "%s/product/no-such-thing-%u",
             visitor_random(visitor, 2) == 0 ? "/api" : "", visitor_random(visitor, 1000));
    return true;
}

static bool check_stray(struct visitor *visitor, const struct response *response, char *problem)
{
    const char *id = response_header(response, "X-Visit-Id");
    (void)visitor;
    return expect(response, 404, NULL, problem) &&
           (id != NULL || wrong(problem, "a 404 that is not the shop's own"));
}

const struct act act_learn = {
    .name = "read the catalogue", .prepare = prepare_learn, .check = check_learn};
const struct act act_home = {.name = "open the shop", .prepare = prepare_home, .check = check_home};
const struct act act_style = {
    .name = "load the style", .hurried = true, .prepare = prepare_style, .check = check_style};
const struct act act_shelf = {
    .name = "look at a shelf", .prepare = prepare_shelf, .check = check_shelf};
const struct act act_find = {.name = "search", .prepare = prepare_find, .check = check_find};
const struct act act_look = {
    .name = "look at a product", .prepare = prepare_look, .check = check_look};
const struct act act_picture = {
    .name = "load a picture", .hurried = true, .prepare = prepare_picture, .check = check_picture};
const struct act act_api_find = {
    .name = "search by the API", .prepare = prepare_api_find, .check = check_api_find};
const struct act act_api_look = {.name = "look by the API",
                                 .hurried = true,
                                 .prepare = prepare_api_look,
                                 .check = check_api_look};
const struct act act_stray = {
    .name = "mistype an address", .prepare = prepare_stray, .check = check_stray};
