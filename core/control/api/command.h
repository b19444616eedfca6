/* SPDX-License-Identifier: MIT */
/*
 * The command table: every operation of the control plane is one row. The REST API, its checks, the
 * OpenAPI document and the reference come from it; roles are checked here alone.
 */
#ifndef CONTROL_API_COMMAND_H
#define CONTROL_API_COMMAND_H

#include <weir/control.h>

#include "base/base.h"

struct operation;
struct provider;

/* What a write returns. */
enum written {
    WRITE_ANSWERED = WEIR_ANSWERED, /* done: the plane sends the operation's answer */
    WRITE_GOES_ON = WEIR_LATER, /* a change has the operation, and answers it after this returns */
};

/* A row, with one of the two functions. */
struct command {
    struct weir_operation row;
    void (*read)(struct operation *operation);          /* its answer is complete when it returns */
    enum written (*write)(struct operation *operation); /* goes through the queue of writes */
    struct provider *provider; /* the module that owns it; NULL: the core */
};

/* ---- rows ---- */

#define ROW(name_, role_, method_, path_, body_, query_, status_, flags_, answer_, document_) \
    .row = {.name = (name_),                                                                  \
            .role = WEIR_ROLE_##role_,                                                        \
            .method = (method_),                                                              \
            .path = (path_),                                                                  \
            .body = (body_),                                                                  \
            .query = (query_),                                                                \
            .status = (status_),                                                              \
            .flags = (flags_),                                                                \
            .answer = (answer_),                                                              \
            .document = (document_)}

/* Reads, by GET for viewers; or, named in full, as another role or by POST. */
#define READ(name, path, query, answer, run, document) \
    READ_AS(name, VIEWER, "GET", path, NULL, query, answer, run, document)
#define READ_AS(name, role, method, path, body, query, answer, run, document)               \
    {                                                                                       \
        ROW(name, role, method, path, body, query, 200, 0, answer, document), .read = (run) \
    }
#define WRITE(name, role, method, path, body, query, status, flags, answer, run, document)  \
    {                                                                                       \
        ROW(name, role, method, path, body, query, status, WEIR_OPERATION_WRITES | (flags), \
            answer, document),                                                              \
            .write = (run)                                                                  \
    }
/* Flags of writes: see weir/control.h. */
#define CONFIRM WEIR_OPERATION_CONFIRM
#define MATCHED (WEIR_OPERATION_CONFIRM | WEIR_OPERATION_IF_MATCH)
#define COMMANDS_END           \
    {                          \
        .row = {.name = NULL } \
    }

/* Each room has rows of its own, ended by COMMANDS_END; this is all of them. */
#define COMMAND_LISTS_MAX 64u

struct command_table {
    const struct command *lists[COMMAND_LISTS_MAX];
    size_t count;
    size_t core; /* the first ones, which stay; modules' rows follow */
};

static inline void commands_add(struct command_table *table, const struct command *rows)
{
    ASSERT(table->count < COMMAND_LISTS_MAX);
    table->lists[table->count++] = rows;
}

#define commands_each(command, table)                                                          \
    for (size_t at_ = 0; at_ < (table)->count; at_++)                                          \
        for (const struct command *command = (table)->lists[at_]; (command)->row.name != NULL; \
             (command)++)

#define COMMAND_PREFIX "/api/v1"

/* The schemas of answers, ended by a row without name. */
extern const struct weir_schema answer_schemas[];

#endif
