/* SPDX-License-Identifier: MIT */
/* The goods of the demo shop, and finding them. All is constant and lives as long as the process. */
#ifndef WEIR_DEMO_SHOP_CATALOGUE_H
#define WEIR_DEMO_SHOP_CATALOGUE_H

#include <stddef.h>

enum { CATALOGUE_PAGE = 12, CATALOGUE_MAX = 64 };

struct product {
    unsigned id; /* from 1, without holes */
    const char *slug;
    const char *name;
    const char *category;
    unsigned price_cents;
    const char *about;
};

size_t catalogue_size(void);
/* The list of categories, ended by NULL, in the order of the shop's shelves. */
const char *const *catalogue_categories(void);
/* NULL when there is none. */
const struct product *catalogue_by_id(unsigned id);
const struct product *catalogue_by_slug(const char *slug);
/* Products of a category ("" for all) whose name, category or text hold every word of `words`;
 * `found` has room for CATALOGUE_MAX. Returns how many. */
size_t catalogue_find(const char *category, const char *words,
                      const struct product *found[CATALOGUE_MAX]);

#endif
