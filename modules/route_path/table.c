/* SPDX-License-Identifier: MIT */
/*
 * The rules' lookup table.
 *
 * Every set of rules with one host is a tree of path segments. The edges of all trees are in one
 * hash table, keyed by parent node and segment, so that a path is walked at the cost of a probe a
 * segment however many rules there are, and a walk ends where no rule goes deeper.
 */
#include "table.h"

#include <stdlib.h>
#include <string.h>

#include <weir/text.h>

#define HASH_START UINT64_C(0xcbf29ce484222325) /* FNV-1a */
#define HASH_PRIME UINT64_C(0x100000001b3)

struct node {
    uint32_t prefix; /* rule for the path to here and all below, or TABLE_NONE */
    uint32_t exact;  /* rule for the path to here alone, or TABLE_NONE */
};

struct edge {
    uint64_t hash;
    struct weir_str segment;
    uint32_t parent;
    uint32_t child; /* 0: the slot is free; node 0 is the root for any host, and nobody's child */
};

struct host {
    uint64_t hash;
    struct weir_str name;
    uint32_t root; /* 0: the slot is free */
    bool wildcard;
};

/* edge_mask + 1 and host_mask + 1 slots, at most half of them in use: a probe ends soon. */
struct table {
    struct node *nodes;
    struct edge *edges;
    struct host *hosts;
    uint32_t node_count;
    uint32_t host_count;
    uint32_t edge_mask;
    uint32_t host_mask;
};

static uint32_t slots_for(size_t entries)
{
    uint32_t slots = 8;
    while (slots < 2 * entries) {
        slots *= 2;
    }
    return slots;
}

static uint32_t node_new(struct table *table)
{
    table->nodes[table->node_count] = (struct node){TABLE_NONE, TABLE_NONE};
    return table->node_count++;
}

struct table *table_new(size_t hosts, size_t segments)
{
    struct table *table = calloc(1, sizeof(*table));
    if (table == NULL) {
        return NULL;
    }
    uint32_t edge_slots = slots_for(segments);
    uint32_t host_slots = slots_for(hosts);
    table->nodes = calloc(1 + hosts + segments, sizeof(*table->nodes));
    table->edges = calloc(edge_slots, sizeof(*table->edges));
    table->hosts = calloc(host_slots, sizeof(*table->hosts));
    if (table->nodes == NULL || table->edges == NULL || table->hosts == NULL) {
        table_free(table);
        return NULL;
    }
    table->edge_mask = edge_slots - 1;
    table->host_mask = host_slots - 1;
    node_new(table);
    return table;
}

void table_free(struct table *table)
{
    if (table != NULL) {
        free(table->nodes);
        free(table->edges);
        free(table->hosts);
        free(table);
    }
}

bool table_next_segment(struct weir_str *path, struct weir_str *segment)
{
    const char *at = path->ptr;
    const char *end = at + path->len;
    while (at < end && *at == '/') {
        at++;
    }
    segment->ptr = at;
    while (at < end && *at != '/') {
        at++;
    }
    segment->len = (size_t)(at - segment->ptr);
    path->ptr = at;
    path->len = (size_t)(end - at);
    return segment->len > 0;
}

static uint64_t edge_hash(uint32_t parent, struct weir_str segment)
{
    uint64_t hash = (HASH_START ^ parent) * HASH_PRIME;
    for (size_t i = 0; i < segment.len; i++) {
        hash = (hash ^ (unsigned char)segment.ptr[i]) * HASH_PRIME;
    }
    return hash ^ hash >> 32; /* a product's low bits know nothing of its high ones */
}

/* The slot of the edge, or the free one where it would be. Workers look at the same time: no
 * writing. */
static struct edge *edge_slot(const struct table *table, uint32_t parent, struct weir_str segment)
{
    uint64_t hash = edge_hash(parent, segment);
    for (uint32_t at = (uint32_t)hash & table->edge_mask;; at = (at + 1) & table->edge_mask) {
        struct edge *edge = &table->edges[at];
        if (edge->child == 0) {
            return edge;
        }
        if (edge->hash == hash && edge->parent == parent &&
            weir_str_equal(edge->segment, segment)) {
            return edge;
        }
    }
}

/* Hashes of names are built from their end, so that one walk meets all their suffixes. */
static uint64_t host_hash_step(uint64_t hash, char byte)
{
    return (hash ^ (unsigned char)byte) * HASH_PRIME;
}

static struct host *host_slot(const struct table *table, uint64_t hash, struct weir_str name,
                              bool wildcard)
{
    hash ^= hash >> 32;
    for (uint32_t at = (uint32_t)hash & table->host_mask;; at = (at + 1) & table->host_mask) {
        struct host *host = &table->hosts[at];
        if (host->root == 0 || (host->hash == hash && host->wildcard == wildcard &&
                                weir_str_equal(host->name, name))) {
            return host;
        }
    }
}

/* The root of the host's tree, made where there is none. */
static uint32_t host_root(struct table *table, struct weir_str name, bool wildcard)
{
    uint64_t hash = HASH_START;
    if (name.len == 0) {
        return 0;
    }
    for (size_t i = name.len; i-- > 0;) {
        hash = host_hash_step(hash, name.ptr[i]);
    }
    struct host *host = host_slot(table, hash, name, wildcard);
    if (host->root == 0) {
        *host = (struct host){hash ^ (hash >> 32), name, node_new(table), wildcard};
        table->host_count++;
    }
    return host->root;
}

uint32_t table_add(struct table *table, const struct table_key *key, uint32_t rule)
{
    uint32_t at = host_root(table, key->host, key->wildcard);
    struct weir_str path = key->path;
    struct weir_str segment;

    while (table_next_segment(&path, &segment)) {
        struct edge *edge = edge_slot(table, at, segment);
        if (edge->child == 0) {
            edge->hash = edge_hash(at, segment);
            edge->segment = segment;
            edge->parent = at;
            edge->child = node_new(table);
        }
        at = edge->child;
    }
    uint32_t *place = key->exact ? &table->nodes[at].exact : &table->nodes[at].prefix;
    uint32_t there = *place;
    if (there == TABLE_NONE) {
        *place = rule;
    }
    return there;
}

/* The best rule of one tree. */
static uint32_t find_path(const struct table *table, uint32_t root, struct weir_str path)
{
    const struct node *node = &table->nodes[root];
    uint32_t at = root;
    uint32_t best = node->prefix;
    struct weir_str segment;

    while (table_next_segment(&path, &segment)) {
        at = edge_slot(table, at, segment)->child;
        if (at == 0) {
            return best;
        }
        node = &table->nodes[at];
        best = node->prefix != TABLE_NONE ? node->prefix : best;
    }
    return node->exact != TABLE_NONE ? node->exact : best;
}

/* The best rule of all trees whose host covers this one. */
static uint32_t find_host(const struct table *table, struct weir_str host, struct weir_str path)
{
    uint32_t best = TABLE_NONE;
    uint64_t hash = HASH_START;

    /* From the shortest suffix to the longest, which has the last word. */
    for (size_t i = host.len; i-- > 0;) {
        if (host.ptr[i] == '.') {
            struct weir_str suffix = {host.ptr + i + 1, host.len - i - 1};
            uint32_t root = host_slot(table, hash, suffix, true)->root;
            uint32_t rule = root != 0 ? find_path(table, root, path) : TABLE_NONE;
            best = rule != TABLE_NONE ? rule : best;
        }
        hash = host_hash_step(hash, host.ptr[i]);
    }
    uint32_t root = host_slot(table, hash, host, false)->root;
    uint32_t rule = root != 0 ? find_path(table, root, path) : TABLE_NONE;
    return rule != TABLE_NONE ? rule : best;
}

struct weir_str table_request_host(struct weir_str host)
{
    if (host.len > 0 && host.ptr[host.len - 1] == '.') {
        host.len--;
    }
    if (host.len > 1 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']') {
        host.ptr++;
        host.len -= 2;
    }
    return host;
}

uint32_t table_find(const struct table *table, struct weir_str host, struct weir_str path)
{
    if (table->host_count > 0) {
        host = table_request_host(host);
        uint32_t rule = host.len > 0 ? find_host(table, host, path) : TABLE_NONE;
        if (rule != TABLE_NONE) {
            return rule;
        }
    }
    return find_path(table, 0, path);
}
