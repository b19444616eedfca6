/* SPDX-License-Identifier: MIT */
/* One request by libcurl, and whether its answer is an answer to it. */
#include "visitors.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/ssl.h>

bool wrong(struct visitor *visitor, const char *format, ...)
{
    char why[240];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    world_fail(visitor->world, visitor->process, visitor->number, visitor->doing, why);
    return false;
}

const char *header(struct visitor *visitor, const char *name)
{
    struct curl_header *found;
    return curl_easy_header(visitor->curl, name, 0, CURLH_HEADER, -1, &found) == CURLHE_OK
               ? found->value
               : "";
}

static size_t on_body(char *bytes, size_t unit, size_t len, void *arg)
{
    struct visitor *visitor = arg;
    const struct curl_tlssessioninfo *tls = NULL;
    len *= unit;
    curl_easy_getinfo(visitor->curl, CURLINFO_TLS_SSL_PTR, &tls);
    visitor->resumed =
        tls != NULL && tls->internals != NULL && SSL_session_reused((SSL *)tls->internals) != 0;
    if (visitor->body_len + len >= visitor->body_room) {
        size_t room = (visitor->body_len + len) * 2 + 4096;
        char *grown = realloc(visitor->body, room);
        if (grown == NULL) {
            return 0;
        }
        visitor->body = grown;
        visitor->body_room = room;
    }
    memcpy(visitor->body + visitor->body_len, bytes, len);
    visitor->body_len += len;
    visitor->body[visitor->body_len] = '\0';
    return len;
}

bool become_stranger(struct visitor *visitor)
{
    const struct world *world = visitor->world;
    curl_easy_cleanup(visitor->curl);
    memset(visitor->baskets, 0, sizeof visitor->baskets);
    visitor->baskets[API].keeper = visitor->baskets[WEB].keeper = -1;
    *visitor->style_tag = '\0';
    visitor->good = NULL;
    visitor->curl = curl_easy_init();
    if (visitor->curl == NULL) {
        return false;
    }
    curl_easy_setopt(visitor->curl, CURLOPT_COOKIEFILE, ""); /* cookies are kept, in memory */
    curl_easy_setopt(visitor->curl, CURLOPT_MAXCONNECTS, 1L);
    curl_easy_setopt(visitor->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(visitor->curl, CURLOPT_PROXY, "");
    curl_easy_setopt(visitor->curl, CURLOPT_USERAGENT, "weir-visitors/1.0");
    curl_easy_setopt(visitor->curl, CURLOPT_TIMEOUT_MS, (long)world->timeout_ms);
    if (world->ca_file != NULL) {
        curl_easy_setopt(visitor->curl, CURLOPT_CAINFO, world->ca_file);
    }
    curl_easy_setopt(visitor->curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(visitor->curl, CURLOPT_WRITEDATA, visitor);
    return true;
}

/* Waits as people do; false: the visitors are to end. */
static bool think(struct visitor *visitor, bool hurried)
{
    struct world *world = visitor->world;
    unsigned ms = world->think_min_ms +
                  visitor_random(visitor, world->think_max_ms - world->think_min_ms + 1);
    uint64_t until = now_ns() + (uint64_t)ms * 1000000 / (hurried ? 20 : 1);
    struct timespec at = {(time_t)(until / 1000000000), (long)(until % 1000000000)};
    pthread_mutex_lock(&world->lock);
    while (!world->stopping && now_ns() < until) {
        pthread_cond_timedwait(&world->stop, &world->lock, &at);
    }
    pthread_mutex_unlock(&world->lock);
    return !world->stopping;
}

/* Sends the request with that id, and has the answer in the visitor. */
static CURLcode perform(struct visitor *visitor, const struct asked *asked, const char *id)
{
    char url[600], field[80];
    struct curl_slist *fields = NULL;
    CURL *curl = visitor->curl;
    snprintf(url, sizeof url, "%s%s", visitor->world->url, asked->path);
    snprintf(field, sizeof field, "X-Visit-Id: %s", id);
    fields = curl_slist_append(fields, field);
    if (asked->field != NULL) {
        fields = curl_slist_append(fields, asked->field);
    }
    curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
    if (asked->body != NULL && *asked->body != '\0') {
        fields = curl_slist_append(fields, asked->side == API
                                               ? "Content-Type: application/json"
                                               : "Content-Type: application/x-www-form-urlencoded");
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, asked->body);
    }
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, asked->method);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, fields);
    visitor->body_len = 0;
    CURLcode code = curl_easy_perform(curl);
    if (visitor->body_len == 0) {
        on_body("", 1, 0, visitor);
    }
    curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 0L);
    curl_slist_free_all(fields);
    return code;
}

static bool keeps_something(const struct basket *basket)
{
    return basket->count > 0 || *basket->user != '\0' || *basket->order != '\0';
}

/* Whether the answer is by the process that keeps the visitor's basket, if it names itself. */
static bool is_keeper(struct visitor *visitor, enum side side)
{
    struct basket *basket = side != ANYWHERE ? &visitor->baskets[side] : NULL;
    if (basket == NULL || visitor->status >= 500 || *header(visitor, "X-Shop-Instance") == '\0') {
        return true;
    }
    if (keeps_something(basket) && basket->keeper >= 0 &&
        (size_t)basket->keeper != visitor->process) {
        world_lose_cart(visitor->world, (size_t)basket->keeper);
        return false;
    }
    basket->keeper = (int)visitor->process;
    return true;
}

bool ask(struct visitor *visitor, const struct asked *asked)
{
    char id[40];
    long connections = 0;
    if (!think(visitor, asked->hurried)) {
        return false;
    }
    snprintf(id, sizeof id, "v%u-%llu", visitor->number, (unsigned long long)++visitor->sent_count);
    uint64_t began_ns = now_ns();
    visitor->doing = asked->doing;
    visitor->status = 0;
    CURLcode code = perform(visitor, asked, id);
    curl_easy_getinfo(visitor->curl, CURLINFO_RESPONSE_CODE, &visitor->status);
    visitor->process = world_count(
        visitor->world, code == CURLE_OK ? header(visitor, "X-Served-By") : "",
        code == CURLE_OK ? header(visitor, "X-Shop-Instance") : "", began_ns, visitor->body_len);
    curl_easy_getinfo(visitor->curl, CURLINFO_NUM_CONNECTS, &connections);
    visitor->world->connections += (unsigned long long)connections;
    visitor->world->resumed += connections > 0 && visitor->resumed;
    if (code != CURLE_OK) {
        return wrong(visitor, "%s", curl_easy_strerror(code));
    }
    /* The shop repeats each request's id: an answer that belongs to another request is found
     * out. */
    const char *answered = header(visitor, "X-Visit-Id");
    if (*answered != '\0' ? strcmp(answered, id) != 0 : visitor->status < 400) {
        return wrong(visitor, "status %ld to request %.40s instead of %s", visitor->status,
                     answered, id);
    }
    return is_keeper(visitor, asked->side);
}
