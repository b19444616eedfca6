/* SPDX-License-Identifier: MIT */
/* Visitors' sessions, carts and orders, in this process's memory and within fixed bounds. */
#include "shop_session.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct session_table {
    size_t limit;
    size_t count;
    uint64_t ttl_ms;
    size_t bucket_mask;
    struct session *oldest; /* by last use; `newer` leads to `newest` */
    struct session *newest;
    struct session *buckets[];
};

struct session_table *session_table_new(size_t limit, uint64_t ttl_ms)
{
    size_t buckets = 64;
    while (buckets < limit && buckets < ((size_t)1 << 20)) {
        buckets *= 2;
    }
    struct session_table *table = calloc(1, sizeof *table + buckets * sizeof(struct session *));
    if (table != NULL) {
        table->limit = limit;
        table->ttl_ms = ttl_ms;
        table->bucket_mask = buckets - 1;
    }
    return table;
}

void session_table_free(struct session_table **table)
{
    if (*table == NULL) {
        return;
    }
    while ((*table)->oldest != NULL) {
        session_drop(*table, (*table)->oldest);
    }
    free(*table);
    *table = NULL;
}

size_t session_count(const struct session_table *table)
{
    return table->count;
}

/* FNV-1a. Ids are ours and random, and a foreign id is only looked up: nobody can fill a bucket. */
static struct session **bucket_of(struct session_table *table, const char *id)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (; *id != '\0'; id++) {
        hash = (hash ^ (unsigned char)*id) * UINT64_C(1099511628211);
    }
    return &table->buckets[hash & table->bucket_mask];
}

static void hash_insert(struct session_table *table, struct session *session)
{
    struct session **bucket = bucket_of(table, session->id);
    session->hash_next = *bucket;
    *bucket = session;
}

static void hash_remove(struct session_table *table, struct session *session)
{
    struct session **at = bucket_of(table, session->id);
    while (*at != session) {
        assert(*at != NULL);
        at = &(*at)->hash_next;
    }
    *at = session->hash_next;
}

static void age_remove(struct session_table *table, struct session *session)
{
    *(session->older != NULL ? &session->older->newer : &table->oldest) = session->newer;
    *(session->newer != NULL ? &session->newer->older : &table->newest) = session->older;
}

static void age_append(struct session_table *table, struct session *session)
{
    session->newer = NULL;
    session->older = table->newest;
    *(table->newest != NULL ? &table->newest->newer : &table->oldest) = session;
    table->newest = session;
}

void session_drop(struct session_table *table, struct session *session)
{
    hash_remove(table, session);
    age_remove(table, session);
    table->count--;
    free(session);
}

void session_expire(struct session_table *table, uint64_t now_ms)
{
    while (table->oldest != NULL && now_ms - table->oldest->used_ms >= table->ttl_ms) {
        session_drop(table, table->oldest);
    }
}

struct session *session_find(struct session_table *table, const char *id, uint64_t now_ms)
{
    session_expire(table, now_ms);
    struct session *session = *bucket_of(table, id);
    while (session != NULL && strcmp(session->id, id) != 0) {
        session = session->hash_next;
    }
    if (session != NULL) {
        session->used_ms = now_ms;
        age_remove(table, session);
        age_append(table, session);
    }
    return session;
}

bool session_random_hex(char *out, size_t digits)
{
    unsigned char bytes[32];
    assert(digits % 2 == 0 && digits / 2 <= sizeof bytes);
    if (getrandom(bytes, digits / 2, 0) != (ssize_t)(digits / 2)) {
        return false;
    }
    for (size_t i = 0; i < digits / 2; i++) {
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    }
    return true;
}

struct session *session_new(struct session_table *table, uint64_t now_ms)
{
    session_expire(table, now_ms);
    while (table->oldest != NULL && table->count >= table->limit) {
        session_drop(table, table->oldest);
    }
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL || !session_random_hex(session->id, SESSION_ID_LEN)) {
        free(session);
        return NULL;
    }
    session->used_ms = now_ms;
    hash_insert(table, session);
    age_append(table, session);
    table->count++;
    return session;
}

bool session_rename(struct session_table *table, struct session *session)
{
    char id[SESSION_ID_LEN + 1];
    if (!session_random_hex(id, SESSION_ID_LEN)) {
        return false;
    }
    hash_remove(table, session);
    memcpy(session->id, id, sizeof id);
    hash_insert(table, session);
    return true;
}

static struct cart_line *line_of(struct cart *cart, const struct product *product)
{
    for (size_t i = 0; i < cart->count; i++) {
        if (cart->lines[i].product == product) {
            return &cart->lines[i];
        }
    }
    return NULL;
}

enum cart_result cart_add(struct cart *cart, const struct product *product, unsigned quantity)
{
    struct cart_line *line = line_of(cart, product);
    unsigned had = line != NULL ? line->quantity : 0;
    if (quantity > CART_QUANTITY - had) {
        return CART_TOO_MANY_PIECES;
    }
    if (line == NULL) {
        if (cart->count == CART_LINES) {
            return CART_TOO_MANY_LINES;
        }
        line = &cart->lines[cart->count++];
        line->product = product;
    }
    line->quantity = had + quantity;
    return CART_OK;
}

enum cart_result cart_set(struct cart *cart, const struct product *product, unsigned quantity)
{
    struct cart_line *line = line_of(cart, product);
    if (line == NULL) {
        return CART_NOT_THERE;
    }
    if (quantity > CART_QUANTITY) {
        return CART_TOO_MANY_PIECES;
    }
    line->quantity = quantity;
    if (quantity == 0) {
        size_t after = (size_t)(&cart->lines[cart->count] - (line + 1));
        memmove(line, line + 1, after * sizeof *line);
        cart->count--;
    }
    return CART_OK;
}

uint64_t cart_total(const struct cart *cart)
{
    uint64_t total = 0;
    for (size_t i = 0; i < cart->count; i++) {
        total += (uint64_t)cart->lines[i].product->price_cents * cart->lines[i].quantity;
    }
    return total;
}

unsigned cart_pieces(const struct cart *cart)
{
    unsigned pieces = 0;
    for (size_t i = 0; i < cart->count; i++) {
        pieces += cart->lines[i].quantity;
    }
    return pieces;
}

const struct order *session_order(struct session *session, const char *name)
{
    char number[ORDER_NUMBER_LEN + 1];
    if (!session_random_hex(number, ORDER_NUMBER_LEN)) {
        return NULL;
    }
    struct order *order = &session->orders[session->orders_made++ % ORDERS_KEPT];
    memcpy(order->number, number, sizeof number);
    snprintf(order->name, sizeof order->name, "%s", name);
    order->goods = session->cart;
    session->cart.count = 0;
    return order;
}

const struct order *session_find_order(const struct session *session, const char *number)
{
    unsigned kept = session->orders_made < ORDERS_KEPT ? session->orders_made : ORDERS_KEPT;
    for (unsigned i = 0; i < kept; i++) {
        if (strcmp(session->orders[i].number, number) == 0) {
            return &session->orders[i];
        }
    }
    return NULL;
}
