/* SPDX-License-Identifier: MIT */
/*
 * /api/v1/session: logging in, asking who one is, logging out.
 */
#ifndef ADMIN_LOGIN_H
#define ADMIN_LOGIN_H

#include "admin.h"

void login_begin(struct exchange *exchange);
/* The body of a POST has arrived. */
void login_run(struct exchange *exchange);

#endif
