/* SPDX-License-Identifier: MIT */
/*
 * Properties of Forwarded and the addresses in it: reading ends, in slices of the field; elements
 * read alike in fields of their own; an address is written and read alike; whatever host a client
 * names, what is written of it is one element.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz/property.h"
#include "http/forwarded.h"
#include "http/syntax.h"

static void inside(struct weir_str slice, const char *text, size_t len)
{
    HOLDS(slice.len == 0 || (slice.ptr >= text && slice.ptr + slice.len <= text + len));
}

/* Written for the address, and read again: one element with the same address. */
static void writes_alike(const struct address *client, struct weir_str host)
{
    struct arena arena;
    struct address again;
    struct forwarded_element element;
    char texts[2][ADDRESS_TEXT_SIZE];

    arena_init(&arena, NULL, 0);
    struct weir_str text = forwarded_make(&arena, client, STR("https"), host);
    HOLDS(text.ptr != NULL);
    HOLDS(forwarded_next(&text, &element) == FORWARDED_ELEMENT);
    HOLDS(str_equal(element.proto, STR("https")));
    HOLDS(forwarded_node_address(element.node, &again));
    address_text(client, texts[0], sizeof(texts[0]));
    address_text(&again, texts[1], sizeof(texts[1]));
    HOLDS(strcmp(texts[0], texts[1]) == 0);
    HOLDS(forwarded_next(&text, &element) == FORWARDED_END);
    arena_reset(&arena);
}

static void element_alone(struct weir_str part, const struct forwarded_element *element)
{
    struct forwarded_element alone;

    HOLDS(forwarded_next(&part, &alone) == FORWARDED_ELEMENT);
    HOLDS(str_equal(alone.node, element->node) && str_equal(alone.proto, element->proto));
    HOLDS(forwarded_next(&part, &alone) == FORWARDED_END);
}

void property_forwarded(const uint8_t *data, size_t len)
{
    char *text = property_copy(data, len);
    struct weir_str rest = {text, len}, before = rest;
    struct forwarded_element element;
    struct address address;
    enum forwarded_result result;

    while ((result = forwarded_next(&rest, &element)) == FORWARDED_ELEMENT) {
        HOLDS(rest.len < before.len && rest.ptr + rest.len == text + len);
        inside(element.node, text, len);
        inside(element.proto, text, len);
        element_alone((struct weir_str){before.ptr, before.len - rest.len}, &element);
        /* As `host` only what a field's value can be. */
        if (syntax_all(element.proto, SYNTAX_VALUE) &&
            forwarded_node_address(element.node, &address)) {
            writes_alike(&address, element.proto);
        }
        before = rest;
    }
    struct weir_str all = {text, len};
    bool visible = syntax_all(all, SYNTAX_VALUE);
    if (visible && forwarded_node_address(STR("[2001:db8::1]:80"), &address)) {
        writes_alike(&address, all);
    }
    free(text);
}
