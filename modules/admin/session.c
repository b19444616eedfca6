/* SPDX-License-Identifier: MIT */
/*
 * Sessions. See session.h.
 */
#include "session.h"

#include "text.h"

static void digest_of(struct sessions *sessions, struct weir_context *ctx, struct weir_str token,
                      uint8_t out[32])
{
    if (!sessions->keyed) {
        weir_random(ctx, sessions->key, sizeof(sessions->key));
        sessions->keyed = true;
    }
    weir_hmac_sha256(ctx, sessions->key, sizeof(sessions->key), token.ptr, token.len, out);
}

static void copy_text(char *out, size_t size, struct weir_str text)
{
    size_t len = text.len < size - 1 ? text.len : size - 1;
    if (len > 0) {
        memcpy(out, text.ptr, len);
    }
    out[len] = '\0';
}

void known_set(struct known *known, const struct weir_caller *caller)
{
    copy_text(known->name, sizeof(known->name), caller->author);
    copy_text(known->token, sizeof(known->token), caller->token);
    known->since = caller->since;
}

static bool is_living(const struct session *session, const struct session_limits *limits,
                      uint64_t now_ns)
{
    return session->who.name[0] != '\0' && now_ns - session->seen_ns < limits->idle_ns &&
           now_ns - session->created_ns < limits->lifetime_ns;
}

static struct session *free_slot(struct sessions *sessions, const struct session_limits *limits,
                                 uint64_t now_ns)
{
    struct session *oldest = &sessions->items[0];
    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        struct session *session = &sessions->items[i];
        if (!is_living(session, limits, now_ns)) {
            return session;
        }
        if (session->seen_ns < oldest->seen_ns) {
            oldest = session;
        }
    }
    return oldest;
}

static void random_text(struct weir_context *ctx, char out[SESSION_TOKEN])
{
    uint8_t bytes[32];
    weir_random(ctx, bytes, sizeof(bytes));
    weir_base64_encode(bytes, sizeof(bytes), out);
}

struct session *session_new(struct sessions *sessions, struct weir_context *ctx,
                            const struct session_limits *limits, const struct weir_caller *who,
                            char token[SESSION_TOKEN])
{
    uint64_t now_ns = weir_now_ns(ctx);
    struct session *session = free_slot(sessions, limits, now_ns);

    memset(session, 0, sizeof(*session));
    random_text(ctx, token);
    random_text(ctx, session->csrf);
    digest_of(sessions, ctx, weir_str_of(token), session->digest);
    known_set(&session->who, who);
    session->created_ns = session->seen_ns = now_ns;
    return session;
}

struct session *session_by_digest(struct sessions *sessions, struct weir_context *ctx,
                                  const struct session_limits *limits, const uint8_t digest[32])
{
    uint64_t now_ns = weir_now_ns(ctx);

    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        struct session *session = &sessions->items[i];
        if (session->who.name[0] != '\0' && memcmp(session->digest, digest, 32) == 0) {
            if (!is_living(session, limits, now_ns)) {
                session_end(session);
                return NULL;
            }
            session->seen_ns = now_ns;
            return session;
        }
    }
    return NULL;
}

struct session *session_find(struct sessions *sessions, struct weir_context *ctx,
                             const struct session_limits *limits, struct weir_str token)
{
    uint8_t digest[32];

    if (token.len != SESSION_TOKEN - 1) {
        return NULL;
    }
    /* The digest's key is secret: how long a comparison takes tells nothing about tokens. */
    digest_of(sessions, ctx, token, digest);
    return session_by_digest(sessions, ctx, limits, digest);
}

void session_end(struct session *session)
{
    memset(session, 0, sizeof(*session));
}
