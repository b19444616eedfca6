/* SPDX-License-Identifier: MIT */
/*
 * The services of control.h, for handler modules.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "control/api/plane.h"
#include "control/api/services.h"
#include "module/context.h"
#include "proxy/worker.h"
#include <weir/http.h>

/* The program has one; services of instances are called on its thread until its
 * end. */
static struct plane *the_plane;

void control_services_set_plane(struct plane *plane)
{
    the_plane = plane;
}

struct plane *control_services_plane(void)
{
    return the_plane;
}

static struct weir_control_operation *control_call(struct weir_context *ctx,
                                                   const struct weir_control_request *call,
                                                   weir_control_fn fn, void *arg)
{
    (void)ctx;
    return operation_handle(plane_call(the_plane, call, fn, arg));
}

static void control_cancel(struct weir_control_operation *operation)
{
    operation_of(operation)->fn = NULL;
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

/* ---- who: a module knows ---- */

/* An older module's struct ends before `since`, or before `token`. */
static bool give_caller(const struct weir_caller *known, struct weir_caller *out)
{
    size_t size = out->size < sizeof(*out) ? out->size : sizeof(*out);
    memcpy((char *)out + sizeof(out->size), (const char *)known + sizeof(out->size),
           size - sizeof(out->size));
    return true;
}

/* Asks the first module that has the hook. */
#define ASK(hook, what, out)                                                                \
    do {                                                                                    \
        struct provider *provider_ = provider_with(&the_plane->providers, hook);            \
        struct weir_caller known_ = {.size = sizeof(known_)};                               \
        return provider_ != NULL &&                                                         \
               provider_->ops->hook(provider_context(provider_), provider_->instance, what, \
                                    &known_) &&                                             \
               give_caller(&known_, out);                                                   \
    } while (0)

static bool control_auth_token(struct weir_context *ctx, struct weir_str token,
                               struct weir_caller *out)
{
    (void)ctx;
    ASK(auth_token, token, out);
}

static bool control_auth_link(struct weir_context *ctx, struct weir_str link,
                              struct weir_caller *out)
{
    (void)ctx;
    ASK(auth_link, link, out);
}

static bool control_auth_user(struct weir_context *ctx, struct weir_str author,
                              struct weir_caller *out)
{
    (void)ctx;
    ASK(auth_user, author, out);
}

static bool control_auth_again(struct weir_context *ctx, const struct weir_caller *before,
                               struct weir_caller *out)
{
    (void)ctx;
    ASK(auth_again, before, out);
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
    const struct weir_caller peer = {
        .size = sizeof(peer), .role = WEIR_ROLE_ADMIN, .author = str_from(author)};
    return give_caller(&peer, out);
}

/* Between who asks, who may forget it, and the module, which answers in any case. */
struct weir_auth {
    weir_auth_fn fn; /* NULL: nobody waits any more */
    void *arg;
};

static void answered(void *arg, const struct weir_caller *caller)
{
    struct weir_auth *auth = arg;
    if (auth->fn != NULL) {
        auth->fn(auth->arg, caller);
    }
    free(auth);
}

static struct weir_auth *control_auth_password(struct weir_context *ctx, struct weir_str name,
                                               struct weir_str password, weir_auth_fn fn, void *arg)
{
    struct provider *provider = provider_with(&the_plane->providers, auth_password);
    struct weir_auth *auth = base_alloc(sizeof(*auth));
    (void)ctx;

    *auth = (struct weir_auth){fn, arg};
    if (provider == NULL ||
        !provider->ops->auth_password(provider_context(provider), provider->instance, name,
                                      password, answered, auth)) {
        free(auth);
        return NULL;
    }
    return auth;
}

static void control_auth_cancel(struct weir_auth *auth)
{
    auth->fn = NULL;
}

/* Each that was given is kept: it is valid as long as the program runs. */
static struct weir_str control_openapi(struct weir_context *ctx)
{
    struct provider *provider = provider_with(&the_plane->providers, openapi);
    cJSON *all = the_plane->providers.documents;
    const char *last = cJSON_GetStringValue(cJSON_GetArrayItem(all, cJSON_GetArraySize(all) - 1));
    (void)ctx;

    if (provider == NULL) {
        return STR("");
    }
    struct weir_str text = provider->ops->openapi(provider_context(provider), provider->instance);
    if (last == NULL || !str_equal(text, str_from(last))) {
        char *copy = base_strndup(text.ptr, text.len);
        cJSON *item = cJSON_CreateString(copy);
        free(copy);
        last = item->valuestring;
        cJSON_AddItemToArray(all, item);
    }
    return str_from(last);
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
