/* SPDX-License-Identifier: MIT */
/*
 * A dry run of a request: explain.c reads the request, explain_answer.c reports what would happen.
 * Control thread.
 */
#ifndef CONTROL_API_EXPLAIN_H
#define CONTROL_API_EXPLAIN_H

#include "control/api/plane.h"
#include "proxy/stream/stream.h"

struct explain {
    struct operation *operation;
    struct stream stream; /* of this request; its listener is set, and it has no connection */
    struct downstream client;
    struct weir_route_result route;
    cJSON *answer;
    cJSON *protocol; /* its member */
};

/* Asks routers, stickiness and balancer, and answers the operation. */
void explain_answer(struct explain *explain, const struct plan *current);

#endif
