/* SPDX-License-Identifier: MIT */
/*
 * Places of fields (a hash table by address) and of blocks (ranges of addresses).
 */
#include "conf/conf_places.h"

struct field_entry {
    const void *field; /* NULL: free */
    struct place place;
    const struct conf_node *block; /* whose title it is; NULL: it is none */
};

struct block_entry {
    const char *start;
    size_t size;
    struct place place;
};

/* Tables double in the arena; what they leave behind is at most their own size. */
struct conf_places {
    struct arena *arena;
    struct field_entry *fields; /* field_capacity of them, a power of 2, at most half used */
    size_t field_count, field_capacity;
    struct block_entry *blocks;
    size_t block_count, block_capacity;
};

struct conf_places *conf_places_new(struct arena *arena)
{
    struct conf_places *places = arena_zalloc(arena, sizeof(*places));
    if (places != NULL) {
        places->arena = arena;
    }
    return places;
}

/* The field's entry, or the free one where it belongs. */
static struct field_entry *find_field(struct field_entry *fields, size_t capacity,
                                      const void *field)
{
    uint64_t hash = (uint64_t)(uintptr_t)field * UINT64_C(0x9e3779b97f4a7c15);
    size_t index = (size_t)(hash >> 32) & (capacity - 1);

    while (fields[index].field != NULL && fields[index].field != field) {
        index = (index + 1) & (capacity - 1);
    }
    return &fields[index];
}

static bool grow_fields(struct conf_places *places)
{
    size_t capacity = places->field_capacity > 0 ? 2 * places->field_capacity : 256;
    struct field_entry *grown = arena_zalloc(places->arena, capacity * sizeof(*grown));

    if (grown == NULL) {
        return false;
    }
    for (size_t i = 0; i < places->field_capacity; i++) {
        const struct field_entry *old = &places->fields[i];
        if (old->field != NULL) {
            *find_field(grown, capacity, old->field) = *old;
        }
    }
    places->fields = grown;
    places->field_capacity = capacity;
    return true;
}

void conf_places_add_field(struct conf_places *places, const void *field, struct place place)
{
    if (places == NULL ||
        (2 * (places->field_count + 1) > places->field_capacity && !grow_fields(places))) {
        return;
    }
    struct field_entry *entry = find_field(places->fields, places->field_capacity, field);
    places->field_count += entry->field == NULL;
    *entry = (struct field_entry){field, place, NULL};
}

void conf_places_add_title(struct conf_places *places, const void *field,
                           const struct conf_node *block)
{
    conf_places_add_field(places, field, block->place);
    if (places != NULL && places->field_capacity > 0) {
        struct field_entry *entry = find_field(places->fields, places->field_capacity, field);
        entry->block = entry->field != NULL ? block : NULL;
    }
}

const struct conf_node *conf_block_of(const struct conf_places *places, const void *field)
{
    if (places == NULL || places->field_capacity == 0 || field == NULL) {
        return NULL;
    }
    const struct field_entry *entry = find_field(places->fields, places->field_capacity, field);
    return entry->field != NULL ? entry->block : NULL;
}

void conf_places_add_block(struct conf_places *places, const void *conf, size_t size,
                           struct place place)
{
    if (places == NULL) {
        return;
    }
    if (places->block_count == places->block_capacity) {
        size_t capacity = places->block_capacity > 0 ? 2 * places->block_capacity : 32;
        struct block_entry *grown = arena_alloc(places->arena, capacity * sizeof(*grown));
        if (grown == NULL) {
            return;
        }
        if (places->block_count > 0) {
            memcpy(grown, places->blocks, places->block_count * sizeof(*grown));
        }
        places->blocks = grown;
        places->block_capacity = capacity;
    }
    places->blocks[places->block_count++] = (struct block_entry){conf, size, place};
}

struct place conf_place_of(const struct conf_places *places, const void *field)
{
    const struct block_entry *nearest = NULL;

    if (places == NULL || field == NULL) {
        return (struct place){NULL, 0};
    }
    if (places->field_capacity > 0) {
        const struct field_entry *entry = find_field(places->fields, places->field_capacity, field);
        if (entry->field != NULL) {
            return entry->place;
        }
    }
    /* Only mistakes look here: a search tree is not needed. */
    for (size_t i = 0; i < places->block_count; i++) {
        const struct block_entry *block = &places->blocks[i];
        uintptr_t distance = (uintptr_t)field - (uintptr_t)block->start;
        if (distance < block->size && (nearest == NULL || block->size < nearest->size)) {
            nearest = block;
        }
    }
    return nearest != NULL ? nearest->place : (struct place){NULL, 0};
}
