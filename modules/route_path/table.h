/* SPDX-License-Identifier: MIT */
/*
 * The rules' lookup table: hosts, and under each a tree of path segments. Built once, then only
 * read, by any number of threads.
 */
#ifndef ROUTE_PATH_TABLE_H
#define ROUTE_PATH_TABLE_H

#include <weir/module.h>

#define TABLE_NONE UINT32_MAX

struct table;

/* Which requests a rule is for. Both strings must live as long as the table. */
struct table_key {
    struct weir_str host; /* from table_host; empty: any */
    bool wildcard;        /* host stands for all names that end in `.host` */
    bool exact;           /* the path itself, and nothing below it */
    struct weir_str path; /* from table_path */
};

/* An empty table for at most `hosts` hosts and `segments` path segments over all rules. NULL: no
 * memory. */
struct table *table_new(size_t hosts, size_t segments);
void table_free(struct table *table);

/* Adds rule `rule`. Says TABLE_NONE, or, where a rule has this very key, which; that one stays. */
uint32_t table_add(struct table *table, const struct table_key *key, uint32_t rule);

/*
 * The rule for a request, or TABLE_NONE. An exact host goes before the longest wildcard, and that
 * before the rules for any host; within a host the exact path goes before the longest prefix.
 * O(length of host and path), no allocation.
 */
uint32_t table_find(const struct table *table, struct weir_str host, struct weir_str path);

/* A request's host as keys have it: without the brackets of an IPv6 address and the last dot of
 * a full name. */
struct weir_str table_request_host(struct weir_str host);

/* Takes the next segment off the front of `*path`; runs of slashes count as one. false: none is
 * left. */
bool table_next_segment(struct weir_str *path, struct weir_str *segment);

/*
 * The forms in which requests' paths and hosts come, for what a user wrote. NULL: done, `*out` is
 * the result, in `buffer`; else what is wrong, in words. The buffer holds three times the input's
 * length.
 */
const char *table_path(struct weir_str text, char *buffer, struct weir_str *out);
const char *table_host(struct weir_str text, char *buffer, struct weir_str *out, bool *wildcard);

#endif
