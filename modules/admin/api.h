/* SPDX-License-Identifier: MIT */
/*
 * REST: requests are handed to the control plane whole, and its answers go out as they are. What an
 * operation is, wants and may is written in the core's command table, and not here.
 */
#ifndef ADMIN_API_H
#define ADMIN_API_H

#include "admin.h"

/* The head is here: who is it, and is the body one that can be taken? Else it is answered. */
void api_begin(struct exchange *exchange);
/* The body is here. */
void api_run(struct exchange *exchange);

/* Whether the body that is to come is JSON and small enough. false: it was answered (413, 415). */
bool api_check_body(struct exchange *exchange);

#endif
