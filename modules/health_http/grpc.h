/* SPDX-License-Identifier: MIT */
/*
 * gRPC's health check (grpc.health.v1.Health/Check): the request's message, and what the answer
 * says.
 */
#ifndef HEALTH_HTTP_GRPC_H
#define HEALTH_HTTP_GRPC_H

#include <weir/health.h>

#include "response.h"

#define GRPC_SERVICE_MAX 255
/* The prefix of a message, a field's tag and length, the service. */
#define GRPC_REQUEST_MAX (5 + 3 + GRPC_SERVICE_MAX)

extern const struct weir_str grpc_method, grpc_path;

/* The request's content; returns its length. */
size_t grpc_request(struct weir_str service, char out[GRPC_REQUEST_MAX]);

/* The head is complete. */
enum weir_verdict grpc_judge(const struct response *response, bool eof, char *reason,
                             size_t reason_size);

#endif
