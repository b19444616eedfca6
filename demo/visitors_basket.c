/* SPDX-License-Identifier: MIT */
/* What a visitor expects to be in the cart. */
#include "visitors.h"

#include <string.h>

const char *user_of(const struct visitor *visitor)
{
    static const char *const users[] = {"ada", "grace", "edsger", "barbara"};
    return users[visitor->number % (sizeof users / sizeof *users)];
}

static size_t line_of(const struct basket *basket, const struct good *good)
{
    size_t i = 0;
    while (i < basket->count && basket->lines[i].good != good) {
        i++;
    }
    return i;
}

bool basket_has_room(const struct basket *basket, const struct good *good)
{
    size_t i = line_of(basket, good);
    return i < basket->count ? basket->lines[i].quantity < BASKET_QUANTITY / 2 : i < BASKET_LIMIT;
}

void basket_add(struct basket *basket, const struct good *good, unsigned quantity)
{
    size_t i = line_of(basket, good);
    if (i == basket->count) {
        basket->count++;
        basket->lines[i].good = good;
        basket->lines[i].quantity = 0;
    }
    basket->lines[i].quantity += quantity;
}

void basket_set(struct basket *basket, const struct good *good, unsigned quantity)
{
    size_t i = line_of(basket, good);
    if (i == basket->count) {
        return;
    }
    basket->lines[i].quantity = quantity;
    if (quantity == 0) {
        memmove(&basket->lines[i], &basket->lines[i + 1],
                (basket->count - i - 1) * sizeof basket->lines[i]);
        basket->count--;
    }
}

uint64_t basket_cents(const struct basket *basket)
{
    uint64_t cents = 0;
    for (size_t i = 0; i < basket->count; i++) {
        cents += basket->lines[i].good->price_cents * basket->lines[i].quantity;
    }
    return cents;
}

bool basket_holds(const struct basket *basket, size_t position, double id, double quantity)
{
    return position < basket->count && id == basket->lines[position].good->id &&
           quantity == basket->lines[position].quantity;
}

bool pick_line(struct visitor *visitor, const struct basket *basket)
{
    if (basket->count == 0) {
        return false;
    }
    visitor->good = basket->lines[visitor_random(visitor, (unsigned)basket->count)].good;
    return true;
}
