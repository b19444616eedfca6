/* SPDX-License-Identifier: MIT */
/* Endpoints to servers. See expand.h. */
#include "proxy/plan/expand.h"

#include <stdlib.h>

/* The largest weight of a server (settings.c). */
#define WEIGHT_MAX 1000u

static int compare_numbers(uint32_t a, uint32_t b)
{
    return a < b ? -1 : a > b ? 1 : 0;
}

static int compare_addresses(const struct address *a, const struct address *b)
{
    int order = 0;

    if (a->u.any.sa_family != b->u.any.sa_family) {
        return a->u.any.sa_family == AF_INET ? -1 : 1;
    }
    if (a->u.any.sa_family == AF_INET) {
        order = compare_numbers(ntohl(a->u.in.sin_addr.s_addr), ntohl(b->u.in.sin_addr.s_addr));
    } else {
        order = memcmp(&a->u.in6.sin6_addr, &b->u.in6.sin6_addr, sizeof(a->u.in6.sin6_addr));
    }
    return order != 0 ? order : compare_numbers(address_port(a), address_port(b));
}

static int by_address(const void *a, const void *b)
{
    const struct endpoint *x = a, *y = b;
    int order = compare_addresses(&x->address, &y->address);
    return order != 0 ? order : compare_numbers(x->priority, y->priority);
}

static int by_priority(const void *a, const void *b)
{
    const struct endpoint *x = a, *y = b;
    int order = compare_numbers(x->priority, y->priority);
    return order != 0 ? order : compare_addresses(&x->address, &y->address);
}

/* If several SRV records lead to one address, the best priority counts, and the weights of that
 * priority add up, so it keeps its total share. */
size_t expand_order(struct endpoint *endpoints, size_t count)
{
    size_t kept = 0;

    qsort(endpoints, count, sizeof(*endpoints), by_address);
    for (size_t i = 0; i < count; i++) {
        struct endpoint *last = kept > 0 ? &endpoints[kept - 1] : NULL;
        if (address_port(&endpoints[i].address) == 0) {
            continue; /* an SRV record that names no port */
        }
        if (last == NULL || !address_equal(&last->address, &endpoints[i].address)) {
            endpoints[kept++] = endpoints[i];
        } else if (last->priority == endpoints[i].priority) {
            uint32_t weight = (uint32_t)last->weight + endpoints[i].weight;
            last->weight = (uint16_t)(weight < UINT16_MAX ? weight : UINT16_MAX);
        }
    }
    qsort(endpoints, kept, sizeof(*endpoints), by_priority);
    return kept;
}

/* The block's settings, at one address: SCHEME://ADDRESS:PORT, named ID-ADDRESS:PORT. Of SRV
 * records those with the lowest priority serve, the others are backups; weights are scaled when the
 * highest is out of range. */
static struct server_settings expand_one(struct arena *arena, const struct server_settings *block,
                                         const struct endpoint *found, uint16_t priority,
                                         uint16_t weight)
{
    struct server_settings one = *block;
    char host[ADDRESS_TEXT_SIZE];
    char text[ADDRESS_TEXT_SIZE + 8];
    struct weir_str *url = &one.url.text;

    address_text(&found->address, host, sizeof(host));
    address_text_port(&found->address, text, sizeof(text));
    one.id = arena_printf(arena, "%.*s-%s", STR_ARGS(block->id), text);
    *url = arena_printf(arena, "%.*s://%s", STR_ARGS(block->url.scheme), text);
    ASSERT(url->ptr != NULL && one.id.ptr != NULL);
    one.url.scheme = (struct weir_str){url->ptr, block->url.scheme.len};
    one.url.host = (struct weir_str){strstr(url->ptr, host), strlen(host)};
    one.url.path = (struct weir_str){NULL, 0};
    one.url.port = address_port(&found->address);
    one.dns_name = block->url.host;
    if (block->resolve == RESOLVE_SRV) {
        uint32_t share = found->weight;
        if (weight > WEIGHT_MAX) {
            share = share * WEIGHT_MAX / weight;
        }
        one.weight = one.file_weight = share > 0 ? share : 1;
        one.backup = block->backup || found->priority > priority;
    }
    one.resolve = RESOLVE_FIRST;
    return one;
}

void expand_blocks(struct arena *arena, struct pool_settings *settings, expand_fn fn, void *arg)
{
    /* Writable, in the arena: filled just before. */
    struct server_settings *blocks = (void *)(uintptr_t)settings->servers.items;
    size_t blocks_count = settings->servers.count;
    size_t most = 0, count = 0;
    bool any = false;

    for (size_t i = 0; i < blocks_count; i++) {
        bool expands = blocks[i].resolve != RESOLVE_FIRST;
        any = any || expands;
        most += expands ? fn(arg, &blocks[i]).count : 1;
    }
    if (!any) {
        return;
    }
    struct server_settings *all = arena_zalloc(arena, (most + 1) * sizeof(*all));
    ASSERT(all != NULL);
    for (size_t i = 0; i < blocks_count; i++) {
        if (blocks[i].resolve == RESOLVE_FIRST) {
            all[count++] = blocks[i];
            continue;
        }
        struct expansion found = fn(arg, &blocks[i]);
        uint16_t weight = 0;
        blocks[i].found_version = found.version;
        for (size_t k = 0; k < found.count; k++) {
            weight = found.endpoints[k].weight > weight ? found.endpoints[k].weight : weight;
        }
        for (size_t k = 0; k < found.count; k++) { /* the first has the lowest priority */
            all[count++] = expand_one(arena, &blocks[i], &found.endpoints[k],
                                      found.endpoints[0].priority, weight);
        }
    }
    settings->blocks = settings->servers;
    settings->servers.items = all;
    settings->servers.count = count;
}
