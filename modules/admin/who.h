/* SPDX-License-Identifier: MIT */
/*
 * Who a request is from: a token, a session's cookie, or the other end of a Unix socket.
 */
#ifndef ADMIN_WHO_H
#define ADMIN_WHO_H

#include "admin.h"

/* Finds out; proof PROOF_NONE: nobody that is known. What the request shows first counts: a
 * wrong token is not made good by a cookie. */
void who_identify(struct admin *admin, const struct weir_request *req, struct caller *caller);

/* Identifies for the API, and asks of a browser that the request is one of our own page's.
 * false: it was answered (401, 403, 429). */
bool who_enter(struct exchange *exchange);

/* Whether somebody who came in may stay, and as what: sessions end, users and tokens go. The one
 * place that says so, for whatever outlasts the turn in which he came. */
bool who_stays(struct admin *admin, struct caller *caller);

/* 401 */
void who_unknown(struct weir_request *req);

const char *who_role_word(enum weir_role role);

#endif
