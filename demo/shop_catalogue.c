/* SPDX-License-Identifier: MIT */
/* The goods of the demo shop, and finding them. */
#include "shop_catalogue.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

static const char *const categories[] = {"Kitchen", "Desk", "Outdoors", "Home", "Books", NULL};

/* Some names hold what HTML and JSON must escape: a shop meets such names on its first day. */
static const struct product products[] = {
    {1, "pour-over-kettle", "Pour-over kettle", "Kitchen", 6490,
     "Gooseneck spout and a lid that stays on. Holds nine decilitres and pours one drop."},
    {2, "salt-and-pepper", "Salt & pepper mill \"Duo\"", "Kitchen", 3950,
     "Two ceramic grinders in one beech body; turn it over for the other."},
    {3, "bread-knife", "Bread knife, 26 cm", "Kitchen", 4800,
     "Forged, with a wave instead of teeth: it cuts crusts and leaves the crumb alone."},
    {4, "cast-iron-pan", "Cast-iron pan", "Kitchen", 5590,
     "Comes seasoned. Heavy, slow to warm, and it outlives its owner."},
    {5, "linen-towels", "Linen towels, set of 3", "Kitchen", 2790,
     "Washed linen that dries glasses without a trace."},
    {6, "mixing-bowls", "Nesting bowls", "Kitchen", 3490,
     "Five bowls that take the room of one, with spouts and rubber feet."},
    {7, "moka-pot", "Moka pot for 3 < 4 cups", "Kitchen", 2990,
     "Aluminium, with a spare seal. Fills three cups, or four small ones."},
    {8, "kitchen-scale", "Kitchen scale", "Kitchen", 3290,
     "Tenths of a gram up to two kilograms, and a timer for coffee."},
    {9, "desk-lamp", "Desk lamp", "Desk", 8900,
     "A long arm and warm light, dimmed with one finger."},
    {10, "fountain-pen", "Fountain pen", "Desk", 4200,
     "A steel nib that forgives a heavy hand. Converter and two cartridges included."},
    {11, "dot-notebook", "Dotted notebook", "Desk", 1450,
     "192 numbered pages of 100 g paper that lie flat."},
    {12, "cable-tray", "Cable tray", "Desk", 2390,
     "Bends out of a single sheet of steel and hides a whole power strip."},
    {13, "monitor-stand", "Oak monitor stand", "Desk", 7400,
     "Lifts a screen by eleven centimetres; a keyboard fits beneath."},
    {14, "felt-mat", "Felt desk mat", "Desk", 3600,
     "Wool felt, 80 by 30 cm, that takes the cold from the table."},
    {15, "letter-tray", "Letter tray", "Desk", 1990, "Stackable wire tray for paper, in graphite."},
    {16, "day-pack", "Day pack, 22 l", "Outdoors", 9800,
     "Roll top, one big pocket, straps that stay where they were set."},
    {17, "enamel-mug", "Enamel mug", "Outdoors", 1290,
     "Chips, and looks better for it. Fit for the open fire."},
    {18, "head-torch", "Head torch", "Outdoors", 3990,
     "350 lumen, a red light for tents, charged by USB-C."},
    {19, "wool-blanket", "Wool blanket", "Outdoors", 8450,
     "Woven from new wool, 140 by 200 cm, with leather straps to carry it."},
    {20, "camping-stove", "Camping stove", "Outdoors", 5290,
     "Folds to the size of a fist, boils a litre in four minutes."},
    {21, "water-bottle", "Steel water bottle", "Outdoors", 2690,
     "Single wall, so it can go into the fire; one litre."},
    {22, "hammock", "Hammock", "Outdoors", 6900,
     "Parachute silk with two straps that are kind to trees."},
    {23, "table-vase", "Table vase", "Home", 2890, "Hand-thrown stoneware for one or two stems."},
    {24, "wall-clock", "Wall clock", "Home", 5900,
     "A sweeping hand that does not tick. Twelve marks, no numerals."},
    {25, "candle-holder", "Candle holder", "Home", 1890, "Turned brass, which darkens with use."},
    {26, "door-mat", "Coir door mat", "Home", 2490, "Coconut fibre, two centimetres of it."},
    {27, "laundry-basket", "Laundry basket", "Home", 4390,
     "Willow, woven by hand, with a cotton lining that can be washed."},
    {28, "picture-frame", "Picture frame, A4", "Home", 2190,
     "Ash with real glass, hung upright or across."},
    {29, "plant-pot", "Plant pot with saucer", "Home", 1790,
     "Unglazed terracotta that lets the roots breathe."},
    {30, "c-by-hand", "C by Hand", "Books", 3400,
     "What the compiler makes of it, on 312 pages; exercises with answers."},
    {31, "queues-and-waiting", "Queues & Waiting", "Books", 2900,
     "Why the other line is faster, and how long you would have waited in it."},
    {32, "rivers-and-weirs", "Rivers and Weirs", "Books", 3800,
     "A thousand years of keeping water at one level, with maps."},
    {33, "bread-year", "A Year of Bread", "Books", 2600, "Fifty-two loaves, one a week."},
    {34, "field-birds", "Birds of the Field", "Books", 2200,
     "A pocket guide to 140 birds, drawn by \xc3\x89lise Morn\xc3\xa9."},
    {35, "knots", "Forty Knots", "Books", 1600, "And when not to use each of them."},
    {36, "night-trains", "Night Trains", "Books", 1950,
     "Short stories between Lisbon and Lviv, told in couchettes."},
};

enum { PRODUCT_COUNT = sizeof products / sizeof *products };
static_assert(sizeof products / sizeof *products <= CATALOGUE_MAX,
              "catalogue_find() has no room for all");

size_t catalogue_size(void)
{
    return PRODUCT_COUNT;
}

const char *const *catalogue_categories(void)
{
    return categories;
}

const struct product *catalogue_by_id(unsigned id)
{
    if (id == 0 || id > PRODUCT_COUNT) {
        return NULL;
    }
    assert(products[id - 1].id == id);
    return &products[id - 1];
}

const struct product *catalogue_by_slug(const char *slug)
{
    for (size_t i = 0; i < PRODUCT_COUNT; i++) {
        if (strcmp(products[i].slug, slug) == 0) {
            return &products[i];
        }
    }
    return NULL;
}

static bool holds(const char *text, const char *word, size_t len)
{
    for (; *text != '\0'; text++) {
        if (strncasecmp(text, word, len) == 0) {
            return true;
        }
    }
    return false;
}

static bool matches(const struct product *product, const char *words)
{
    for (;;) {
        words += strspn(words, " \t\r\n");
        size_t len = strcspn(words, " \t\r\n");
        if (len == 0) {
            return true;
        }
        if (!holds(product->name, words, len) && !holds(product->category, words, len) &&
            !holds(product->about, words, len)) {
            return false;
        }
        words += len;
    }
}

size_t catalogue_find(const char *category, const char *words,
                      const struct product *found[CATALOGUE_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < PRODUCT_COUNT; i++) {
        if ((*category == '\0' || strcasecmp(products[i].category, category) == 0) &&
            matches(&products[i], words)) {
            found[count++] = &products[i];
        }
    }
    return count;
}
