/* SPDX-License-Identifier: MIT */
/*
 * admin's handler with a folder of pages, and requests to it: what its tests share. ann is an
 * operator with the token weir_ann, the password secret and the link once.
 */
#ifndef ADMIN_TEST_SITE_H
#define ADMIN_TEST_SITE_H

#include "../test_main.h"

#include "text.h"

#define SECOND UINT64_C(1000000000)

/* Of the test that runs. */
extern struct weir_test *host;
extern struct weir_test_instance *admin;
extern char site_csrf[64]; /* of the last login */

void site_set_up(void);
void site_tear_down(void);

/* Makes the handler, with these options and the folder. */
void site_begin(const char *options);

struct weir_request *site_request(const char *method, const char *target);
struct weir_request *site_with_token(const char *method, const char *target);
/* With the session of the last login. */
struct weir_request *site_with_cookie(const char *method, const char *target);

/* Sends a request, with a body (NULL: none); the answer's status. */
uint32_t site_send(struct weir_request *req, const char *body);
uint32_t site_get(const char *target);
/* Logs in with a body; keeps what a good login gives. */
uint32_t site_log_in(const char *body);
/* Whether the answer has the text in it. */
bool site_says(struct weir_request *req, const char *text);

#endif
