/* SPDX-License-Identifier: MIT */
/*
 * What a proxy has to know of gRPC (github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md): which
 * requests are calls, and how an error is told to their clients.
 */
#ifndef HTTP_GRPC_H
#define HTTP_GRPC_H

#include "http/message.h"

/* Whether the request is a call: its content is application/grpc or one of its kin. */
bool grpc_asked(const struct http_request_head *head);

/* The Content-Type of an answer without messages to such a request. */
struct weir_str grpc_answer_type(const struct http_request_head *head);

/* The gRPC status that says the same as a status of HTTP (doc/http-grpc-status-mapping.md, and
 * RESOURCE_EXHAUSTED for what is too large). `overdue`: the call's own deadline has passed, and a
 * timeout (504) means that. As text, for the field. */
struct weir_str grpc_status_for(unsigned status, bool overdue);

/* Whether the call's grpc-timeout is there and has passed after so long. */
bool grpc_overdue(const struct http_request_head *head, uint64_t elapsed_ns);

/* The number in a grpc-status field; -1: it is none. */
int8_t grpc_read_status(struct weir_str value);

#endif
