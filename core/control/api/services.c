/* SPDX-License-Identifier: MIT */
/*
 * The services of control.h, for handler modules.
 */
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "control/change/changes.h"
#include "control/api/services.h"
#include "control/users.h"
#include "module/context.h"
#include "proxy/worker.h"
#include <weir/http.h>

/* The program has one; services of instances are called on its thread, from plane_new to plane_free. */
static struct plane *the_plane;

void control_services_set_plane(struct plane *plane)
{
    the_plane = plane;
}

/* weir_control_operation is struct operation. */
static struct weir_control_operation *control_call(struct weir_context *ctx,
                                                   const struct weir_control_request *call,
                                                   weir_control_fn fn, void *arg)
{
    (void)ctx;
    return (struct weir_control_operation *)(void *)plane_call(the_plane, call, fn, arg);
}

static void control_cancel(struct weir_control_operation *operation)
{
    ((struct operation *)(void *)operation)->fn = NULL;
}

static struct weir_subscription *control_subscribe(struct weir_context *ctx, uint64_t last_id,
                                                   weir_event_fn fn, void *arg)
{
    (void)ctx;
    return events_subscribe(&the_plane->events, last_id, fn, arg);
}

static void control_unsubscribe(struct weir_subscription *subscription)
{
    events_unsubscribe(subscription);
}

/* ---- who ---- */

static bool control_auth_token(struct weir_context *ctx, struct weir_str token,
                               struct weir_caller *out)
{
    (void)ctx;
    return users_by_token(the_plane->users, token, out);
}

static bool control_auth_link(struct weir_context *ctx, struct weir_str link,
                              struct weir_caller *out)
{
    (void)ctx;
    return users_by_link(the_plane->users, link, out);
}

static bool control_auth_user(struct weir_context *ctx, struct weir_str author,
                              struct weir_caller *out)
{
    (void)ctx;
    return users_by_author(the_plane->users, author, out);
}

static bool control_auth_again(struct weir_context *ctx, const struct weir_caller *before,
                               struct weir_caller *out)
{
    (void)ctx;
    return users_again(the_plane->users, before, out);
}

static bool control_auth_peer(struct weir_context *ctx, const struct weir_request *req,
                              struct weir_caller *out)
{
    static char author[48]; /* until the callback returns */
    struct weir_credentials credentials;
    (void)ctx;

    if (!weir_request_credentials(req, &credentials) ||
        (credentials.uid != 0 && credentials.uid != getuid())) {
        return false;
    }
    snprintf(author, sizeof(author), "uid:%u%s", credentials.uid,
             credentials.uid == 0 ? " (root)" : "");
    return caller_set(out, WEIR_ROLE_ADMIN, str_from(author), 0, STR(""));
}

struct weir_auth {
    char *name, *password;
    char *hash; /* NULL: nobody has that name, or a password */
    bool good;
    weir_auth_fn fn; /* NULL: nobody waits any more */
    void *arg;
};

static void verify(void *arg)
{
    struct weir_auth *auth = arg;
    auth->good = password_verify(auth->password, auth->hash);
}

/* Whether the password that was good is his still. */
static bool is_password_of(const struct weir_auth *auth)
{
    const char *hash = operation_text(users_find(the_plane->users, auth->name), "password");
    return auth->good && hash != NULL && strcmp(hash, auth->hash) == 0;
}

static void verified(void *arg)
{
    struct weir_auth *auth = arg;
    struct weir_caller caller = {.size = sizeof(caller)};

    if (auth->fn != NULL) {
        bool good = is_password_of(auth) &&
                    users_by_author(the_plane->users, str_from(auth->name), &caller);
        auth->fn(auth->arg, good ? &caller : NULL);
    }
    OPENSSL_cleanse(auth->password, strlen(auth->password));
    free(auth->password);
    free(auth->name);
    free(auth->hash);
    free(auth);
}

static struct weir_auth *control_auth_password(struct weir_context *ctx, struct weir_str name,
                                               struct weir_str password, weir_auth_fn fn, void *arg)
{
    struct weir_auth *auth = base_zalloc(sizeof(*auth));
    (void)ctx;

    auth->name = base_strndup(name.len > 0 ? name.ptr : "", name.len);
    auth->password = base_strndup(password.len > 0 ? password.ptr : "", password.len);
    const char *hash = operation_text(users_find(the_plane->users, auth->name), "password");
    auth->hash = hash != NULL ? base_strdup(hash) : NULL;
    auth->fn = fn;
    auth->arg = arg;
    if (!store_work(container_of(the_plane, struct changes, plane)->store, verify, verified,
                    auth)) {
        auth->fn = NULL;
        verified(auth);
        return NULL;
    }
    return auth;
}

static void control_auth_cancel(struct weir_auth *auth)
{
    auth->fn = NULL;
}

static struct weir_str control_openapi(struct weir_context *ctx)
{
    (void)ctx;
    return str_from(the_plane->openapi);
}

void control_services_fill(struct weir_host *host)
{
    host->control_call = control_call;
    host->control_cancel = control_cancel;
    host->control_subscribe = control_subscribe;
    host->control_unsubscribe = control_unsubscribe;
    host->control_auth_token = control_auth_token;
    host->control_auth_password = control_auth_password;
    host->control_auth_cancel = control_auth_cancel;
    host->control_auth_link = control_auth_link;
    host->control_auth_user = control_auth_user;
    host->control_auth_peer = control_auth_peer;
    host->control_openapi = control_openapi;
    host->control_auth_again = control_auth_again;
}
