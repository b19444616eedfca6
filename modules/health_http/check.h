/* SPDX-License-Identifier: MIT */
/*
 * The options of a probe, and what the option table cannot check of them.
 */
#ifndef HEALTH_HTTP_CHECK_H
#define HEALTH_HTTP_CHECK_H

#include <weir/option.h>

#define STATUS_MIN 100
#define STATUS_MAX 599

struct conf {
    struct weir_str path;
    struct weir_str method;
    struct weir_str host;
    struct weir_str user_agent;
    struct weir_str body;
    bool grpc;
    struct weir_str grpc_service;
    struct weir_list headers; /* of struct weir_str */
    struct weir_list expect;  /* of struct weir_str */
};

/* Whether the probe is a HEAD request. */
bool conf_is_head(const struct conf *conf);
/* Whether content has a meaning in the method: that there is none is said then (RFC 9110 section
 * 8.6), or some servers answer 411. */
bool conf_wants_length(const struct conf *conf);

/* Tells all mistakes, and marks in `expect` the statuses that say that a server is well. */
void check_conf(struct weir_context *ctx, struct weir_check *check, const struct conf *conf,
                bool expect[STATUS_MAX + 1]);

#endif
