/* SPDX-License-Identifier: MIT */
/* Logging in and out. The accounts are the demo's own, and everybody may know them. */
#include "shop.h"

#include <stdio.h>
#include <string.h>

static const char *const users[] = {"ada", "grace", "edsger", "barbara"};
static const char password[] = "millrace";

/* Compares without telling by its time where the difference is. */
static bool same_secret(const char *given, const char *secret)
{
    size_t len = strlen(secret);
    size_t given_len = strlen(given);
    unsigned differs = given_len != len;
    for (size_t i = 0; i < len; i++) {
        differs |= (unsigned char)secret[i] ^ (unsigned char)(i < given_len ? given[i] : '\0');
    }
    return differs == 0;
}

bool shop_account_ok(const char *user, const char *given)
{
    bool known = false;
    for (size_t i = 0; i < sizeof users / sizeof *users; i++) {
        known |= strcmp(users[i], user) == 0;
    }
    return same_secret(given, password) && known;
}

bool shop_log_in(struct shop_request *rq, const char *user)
{
    if (shop_need_session(rq) == NULL) {
        return false;
    }
    if (!session_rename(rq->shop->sessions, rq->session)) {
        shop_error(rq, 500, "There is no randomness for a new session.");
        return false;
    }
    snprintf(rq->session->user, sizeof rq->session->user, "%s", user);
    shop_set_cookie(rq);
    return true;
}

void shop_log_out(struct shop_request *rq)
{
    if (rq->session != NULL) {
        session_drop(rq->shop->sessions, rq->session);
        rq->session = NULL;
    }
    shop_drop_cookie(rq);
}
