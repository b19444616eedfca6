/* SPDX-License-Identifier: MIT */
/*
 * One run of a command: its arguments and its answer. Owner: the plane, until the answer. Control
 * thread.
 */
#ifndef CONTROL_API_OPERATION_H
#define CONTROL_API_OPERATION_H

#include <cjson/cJSON.h>

#include "base/list.h"
#include "control/api/json.h"
#include "control/api/command.h"
#include "net/loop.h"

struct plane;

struct operation {
    struct list link; /* in the queue of writes */
    struct message message;
    struct plane *plane;
    const struct command *command; /* NULL: none, refused with an answer */
    char *params[2];               /* of the path, decoded; NULL: none */
    cJSON *query, *body;           /* objects that were checked; never NULL while it runs */
    char *if_match;                /* NULL: none */
    char *author;
    enum weir_role role;
    uint64_t confirm_ms; /* 0: not asked for */
    weir_control_fn fn;  /* NULL: the caller is gone */
    void *arg;
    /* a command's own, while it goes on */
    void *state;
    void (*state_free)(void *state);
    bool later; /* a read whose answer comes after it has returned */
    /* the answer */
    unsigned status;
    cJSON *answer; /* NULL: no body */
    char *text;    /* instead of `answer` */
    bool problem;
    char *etag, *location, *allow;
    uint64_t journal;
};

/* weir_control_operation is struct operation. */
static inline struct operation *operation_of(struct weir_control_operation *handle)
{
    return (struct operation *)(void *)handle;
}
static inline struct weir_control_operation *operation_handle(struct operation *operation)
{
    return (struct weir_control_operation *)(void *)operation;
}

/* Checks role, arguments and method; never NULL. A refused one has its answer and no command. */
struct operation *operation_new(struct plane *plane, const struct weir_control_request *call,
                                weir_control_fn fn, void *arg);

/* Sends the answer and frees the operation. */
void operation_answer(struct operation *operation);

/* A success with a body, which it takes over (NULL: none). */
void operation_succeed(struct operation *operation, unsigned status, cJSON *answer);

/* 200 with a list, which is returned to be filled. */
cJSON *operation_entries(struct operation *operation);

/* A problem document. It replaces an earlier answer. */
void operation_problem(struct operation *operation, unsigned status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* 422 about one member: `pointer` is "/weight", or "" for the whole. Several are collected. */
void operation_invalid(struct operation *operation, const char *pointer, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Whether the caller may run a command, or one by name. false: 403 is the answer. */
bool operation_check_role(struct operation *operation, const struct command *command);
bool operation_may(struct operation *operation, const char *name);

/* Checks If-Match against the current tag (without quotes). false: 412 is the answer. */
bool operation_matches(struct operation *operation, const char *etag);

/* A duration's milliseconds; `fallback` if it is not given. */
uint64_t operation_duration_ms(const cJSON *object, const char *name, uint64_t fallback);
bool parse_duration_ms(const char *text, uint64_t *ms);
/* Adds to a list with commas, which begins with NULL; the caller frees it. */
void text_join(char **list, const char *more);

#endif
