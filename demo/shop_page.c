/* SPDX-License-Identifier: MIT */
/* The web side's pages: files of demo/shop with places in braces, which are filled from an
 * answer's JSON.
 *
 *   {{name}}  text, escaped        {{&name}} as it is
 *   {{%name}} as a query's value   {{$name}} a price         {{! a comment }}
 *   {{#name}} ... {{/name}}        once for each of an array; once where it is not empty; else not
 *   {{^name}} ... {{/name}}        where it is empty      {{>file}} another file
 *
 * A name that the inner object lacks is looked for in the outer ones. */
#define _GNU_SOURCE /* memmem, strcasestr */
#include "shop.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct scope {
    const cJSON *object;
    const struct scope *outer;
};

struct evbuffer *page_read(const struct shop *shop, const char *name)
{
    char path[4096];
    struct evbuffer *text = shop_buffer();
    snprintf(path, sizeof path, "%s/%s", shop->files, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd != -1 && evbuffer_read(text, fd, -1) > 0) {}
    if (fd != -1) {
        close(fd);
    }
    if (evbuffer_get_length(text) == 0) {
        evbuffer_free(text);
        return NULL;
    }
    return text;
}

static void put_text(struct evbuffer *out, const char *text)
{
    static const char special[] = "&<>\"'";
    static const char *const as[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};
    while (*text != '\0') {
        size_t plain = strcspn(text, special);
        evbuffer_add(out, text, plain);
        text += plain;
        if (*text != '\0') {
            evbuffer_add_printf(out, "%s", as[strchr(special, *text++) - special]);
        }
    }
}

static void put_value(struct evbuffer *out, char kind, const cJSON *value)
{
    char number[32];
    const char *text = cJSON_GetStringValue(value);
    uint64_t cents = cJSON_IsNumber(value) ? (uint64_t)value->valuedouble : 0;
    snprintf(number, sizeof number, "%llu", (unsigned long long)cents);
    text = text != NULL ? text : cJSON_IsNumber(value) ? number : "";
    switch (kind) {
    case '$':
        evbuffer_add_printf(out, "\xe2\x82\xac\xc2\xa0%llu.%02llu", (unsigned long long)cents / 100,
                            (unsigned long long)cents % 100);
        break;
    case '&': evbuffer_add(out, text, strlen(text)); break;
    case '%':
        for (; *text != '\0'; text++) {
            bool plain = isalnum((unsigned char)*text) || strchr("-._~", *text) != NULL;
            evbuffer_add_printf(out, plain ? "%c" : "%%%02X", (unsigned char)*text);
        }
        break;
    default: put_text(out, text);
    }
}

static const cJSON *find(const struct scope *scope, const char *name)
{
    const cJSON *found = NULL;
    for (; scope != NULL && found == NULL; scope = scope->outer) {
        found = cJSON_GetObjectItemCaseSensitive(scope->object, name);
    }
    return found;
}

static bool is_empty(const cJSON *value)
{
    const char *text = cJSON_GetStringValue(value);
    return value == NULL || cJSON_IsNull(value) || cJSON_IsFalse(value) ||
           (text != NULL && *text == '\0') || (cJSON_IsNumber(value) && value->valuedouble == 0) ||
           (cJSON_IsArray(value) && cJSON_GetArraySize(value) == 0);
}

static void render_file(const struct shop *shop, struct evbuffer *out, const char *name,
                        const struct scope *scope);

static void render(const struct shop *shop, struct evbuffer *out, const char *text, size_t len,
                   const struct scope *scope)
{
    const char *end = text + len, *open;
    while ((open = memmem(text, (size_t)(end - text), "{{", 2)) != NULL) {
        char name[40], closing[48];
        size_t tag = strcspn(open + 2, "}");
        char kind = open[2];
        bool plain = isalpha((unsigned char)kind);
        evbuffer_add(out, text, (size_t)(open - text));
        snprintf(name, sizeof name, "%.*s", (int)(tag - !plain), open + 2 + !plain);
        text = open + tag + 4;
        if (kind == '>') {
            render_file(shop, out, name, scope);
        } else if (kind == '#' || kind == '^') {
            const cJSON *value = find(scope, name), *each = value;
            snprintf(closing, sizeof closing, "{{/%s}}", name);
            const char *inner = text;
            const char *close = memmem(text, (size_t)(end - text), closing, strlen(closing));
            close = close != NULL ? close : end;
            text = close < end ? close + strlen(closing) : end;
            if (is_empty(value) != (kind == '^')) {
                continue;
            }
            if (!cJSON_IsArray(value)) {
                render(shop, out, inner, (size_t)(close - inner), scope);
                continue;
            }
            cJSON_ArrayForEach(each, value)
            {
                struct scope item = {each, scope};
                render(shop, out, inner, (size_t)(close - inner), &item);
            }
        } else {
            put_value(out, plain ? ' ' : kind, find(scope, name));
        }
    }
    evbuffer_add(out, text, (size_t)(end - text));
}

static void render_file(const struct shop *shop, struct evbuffer *out, const char *name,
                        const struct scope *scope)
{
    struct evbuffer *text = page_read(shop, name);
    if (text == NULL) {
        fprintf(stderr, "weir-shop: %s/%s cannot be read\n", shop->files, name);
        return;
    }
    size_t len = evbuffer_get_length(text);
    render(shop, out, (const char *)evbuffer_pullup(text, -1), len, scope);
    evbuffer_free(text);
}

/* What the frame around each page needs, and what is the same for all of them. */
static cJSON *frame_of(struct shop_request *rq)
{
    cJSON *frame = cJSON_CreateObject();
    char here[48];
    cJSON_AddStringToObject(frame, "server", rq->shop->name);
    cJSON_AddStringToObject(frame, "q", shop_value(rq, "q"));
    cJSON_AddStringToObject(frame, "category", shop_value(rq, "category"));
    cJSON_AddStringToObject(frame, "user", rq->session != NULL ? rq->session->user : "");
    snprintf(here, sizeof here, "at_%.40s", shop_value(rq, "category"));
    cJSON_AddTrueToObject(frame, here);
    cJSON_AddNumberToObject(frame, "cart_pieces",
                            rq->session != NULL ? cart_pieces(&rq->session->cart) : 0);
    return frame;
}

struct evbuffer *page_make(struct shop_request *rq, const char *name, const cJSON *content)
{
    struct evbuffer *page = shop_buffer(), *part = shop_buffer();
    cJSON *frame = frame_of(rq);
    struct scope outer = {frame, NULL}, inner = {content, &outer};
    render_file(rq->shop, part, name, &inner);
    evbuffer_add(part, "", 1);
    char *text = (char *)evbuffer_pullup(part, -1);
    cJSON_AddStringToObject(frame, "main", text);
    /* The page's heading is its title too. */
    const char *title = strstr(text, "<h1>");
    const char *end = title != NULL ? strstr(title, "</h1>") : NULL;
    text[end != NULL ? end - text : 0] = '\0';
    cJSON_AddStringToObject(frame, "title", end != NULL ? title + 4 : "");
    render_file(rq->shop, page, "frame.html", &outer);
    cJSON_Delete(frame);
    evbuffer_free(part);
    return page;
}

/* ---- what seldom changes ---- */

/* Browsers keep it for a minute and then ask whether it is still the same. */
static void answer_kept(struct shop_request *rq, const char *type, struct evbuffer *body)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    size_t len = evbuffer_get_length(body);
    const unsigned char *bytes = evbuffer_pullup(body, -1);
    char tag[24];
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    }
    snprintf(tag, sizeof tag, "\"%016llx\"", (unsigned long long)hash);
    shop_add_header(rq, "ETag", tag);
    shop_add_header(rq, "Cache-Control", "public, max-age=60");
    if (strstr(shop_header(rq, "If-None-Match"), tag) != NULL) {
        evbuffer_free(body);
        shop_send(rq, 304, NULL, NULL);
    } else {
        shop_send(rq, 200, type, body);
    }
}

/* The style sheet or the icon, as the path says. */
void page_file(struct shop_request *rq)
{
    struct evbuffer *body = page_read(rq->shop, rq->path + 1);
    if (body == NULL) {
        shop_error(rq, 500, "The file cannot be read.");
    } else {
        answer_kept(rq,
                    strstr(rq->path, ".css") != NULL ? "text/css; charset=utf-8" : "image/svg+xml",
                    body);
    }
}

/* A picture for each product: rings and waves in the colours of its shelf, laid out by its id. */
void page_picture(struct shop_request *rq)
{
    char slug[64] = "";
    size_t len = strlen(rq->tail);
    if (len > 4 && len < sizeof slug && strcmp(rq->tail + len - 4, ".svg") == 0) {
        snprintf(slug, sizeof slug, "%.*s", (int)len - 4, rq->tail);
    }
    const cJSON *product = catalogue_find(rq->shop, slug);
    if (product == NULL) {
        shop_error(rq, 404, "There is no such picture.");
        return;
    }
    cJSON *numbers = cJSON_CreateObject();
    struct scope scope = {numbers, NULL};
    struct evbuffer *body = shop_buffer();
    unsigned id = (unsigned)number_in(product, "id"), hue = id * 5 % 30;
    for (const char *c = text_in(product, "category"); *c != '\0'; c++) {
        hue = (hue + (unsigned char)*c * 7U) % 360;
    }
    cJSON_AddNumberToObject(numbers, "hue", hue);
    cJSON_AddNumberToObject(numbers, "turn", id * 47 % 360);
    cJSON_AddNumberToObject(numbers, "level", 150 + id * 7 % 45);
    render_file(rq->shop, body, "picture.svg", &scope);
    cJSON_Delete(numbers);
    answer_kept(rq, "image/svg+xml", body);
}
