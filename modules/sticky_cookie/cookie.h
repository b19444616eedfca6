/* SPDX-License-Identifier: MIT */
/*
 * Cookie fields of requests, read pair by pair (RFC 6265 section 4.2).
 */
#ifndef STICKY_COOKIE_COOKIE_H
#define STICKY_COOKIE_COOKIE_H

#include <weir/http.h>

/* One pair: slices of the field. */
struct cookie {
    struct weir_str pair;  /* as it stands, without the blanks around it */
    struct weir_str name;  /* empty: there is no "=" */
    struct weir_str value; /* without quotes */
};

/* Takes the next pair off the front of `*rest`; empty ones are skipped. false: none is left. */
bool cookie_next(struct weir_str *rest, struct cookie *out);

/* Takes all cookies of that name out of the request, so that the server does not get them. */
void cookie_remove(struct weir_request *req, struct weir_str name);

#endif
