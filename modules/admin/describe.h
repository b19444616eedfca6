/* SPDX-License-Identifier: MIT */
/*
 * The OpenAPI document: the control plane's, and what this module itself serves beside it.
 */
#ifndef ADMIN_DESCRIBE_H
#define ADMIN_DESCRIBE_H

#include "admin.h"

/* GET /openapi.json */
void describe_serve(struct exchange *exchange);

#endif
