/* SPDX-License-Identifier: MIT */
/* Visitors' sessions, in this process's memory alone: another server of the same pool knows nothing
 * of them, which is why a shop like this needs a balancer that keeps visitors on their server. */
#ifndef WEIR_DEMO_SHOP_SESSION_H
#define WEIR_DEMO_SHOP_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shop_catalogue.h"

enum {
    SESSION_ID_LEN = 32, /* hexadecimal digits */
    SESSION_USER_LEN = 32,
    CART_LINES = 32,
    CART_QUANTITY = 99,
    ORDERS_KEPT = 4,
    ORDER_NUMBER_LEN = 12,
    ORDER_NAME_LEN = 80,
};

struct cart_line {
    const struct product *product;
    unsigned quantity;
};

struct cart {
    size_t count;
    struct cart_line lines[CART_LINES];
};

struct order {
    char number[ORDER_NUMBER_LEN + 1];
    char name[ORDER_NAME_LEN + 1]; /* who gets it */
    struct cart goods;
};

/* A session; valid until the next call that makes, renews or drops one. */
struct session {
    char id[SESSION_ID_LEN + 1];
    char user[SESSION_USER_LEN + 1]; /* "" when not logged in */
    struct cart cart;
    struct order orders[ORDERS_KEPT]; /* a ring: the newest is at orders_made - 1 */
    unsigned orders_made;
    uint64_t used_ms;
    struct session *hash_next;
    struct session *older;
    struct session *newer;
};

enum cart_result { CART_OK, CART_TOO_MANY_LINES, CART_TOO_MANY_PIECES, CART_NOT_THERE };

struct session_table;

/* At most `limit` sessions; above that the one unused for longest goes. One that was not used for
 * `ttl_ms` is gone as well. NULL when there is no memory. */
struct session_table *session_table_new(size_t limit, uint64_t ttl_ms);
void session_table_free(struct session_table **table);
size_t session_count(const struct session_table *table);
/* NULL when unknown or expired; one that is found counts as used at `now_ms`. */
struct session *session_find(struct session_table *table, const char *id, uint64_t now_ms);
/* NULL when there is neither memory nor randomness. */
struct session *session_new(struct session_table *table, uint64_t now_ms);
/* Gives the session another id, so that one known before a login is worth nothing after it. */
bool session_rename(struct session_table *table, struct session *session);
void session_drop(struct session_table *table, struct session *session);
/* Frees what has expired. */
void session_expire(struct session_table *table, uint64_t now_ms);

enum cart_result cart_add(struct cart *cart, const struct product *product, unsigned quantity);
/* Quantity 0 removes the line. */
enum cart_result cart_set(struct cart *cart, const struct product *product, unsigned quantity);
uint64_t cart_total(const struct cart *cart);
unsigned cart_pieces(const struct cart *cart);
/* Makes the cart an order and empties it; the order is kept until ORDERS_KEPT later ones. NULL
 * when there is no randomness for its number. */
const struct order *session_order(struct session *session, const char *name);
const struct order *session_find_order(const struct session *session, const char *number);
/* Fills `out` with `digits` random hexadecimal digits (an even number) and a NUL. */
bool session_random_hex(char *out, size_t digits);

#endif
