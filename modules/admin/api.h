/* SPDX-License-Identifier: MIT */
/*
 * REST: requests are handed to the control plane whole, and its answers go out as they are. What an
 * operation is, wants and may is written in the core's command table, and not here.
 */
#ifndef ADMIN_API_H
#define ADMIN_API_H

#include "admin.h"

/* The head has arrived: authenticates, and checks that the body can be accepted; else answers. */
void api_begin(struct exchange *exchange);
/* The body has arrived. */
void api_run(struct exchange *exchange);

/* Whether the coming body is JSON and small enough. false: it was answered (413, 415). */
bool api_check_body(struct exchange *exchange);

#endif
