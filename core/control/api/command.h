/* SPDX-License-Identifier: MIT */
/*
 * The command table: every operation of the control plane is one row. From it come the REST API, its
 * checks, the OpenAPI document and the reference; who may is checked here and nowhere else.
 */
#ifndef CONTROL_API_COMMAND_H
#define CONTROL_API_COMMAND_H

#include <weir/control.h>

#include "base/base.h"

struct operation;

/* What a write says when it returns. */
enum written {
    WRITE_ANSWERED = WEIR_ANSWERED, /* nothing goes on: the plane sends the operation's answer */
    WRITE_GOES_ON = WEIR_LATER, /* a change has the operation, and answers it after this returns */
};

/* A row, and one of the two that do it. */
struct command {
    struct weir_operation row;
    void (*read)(struct operation *operation);          /* its answer is there when it returns */
    enum written (*write)(struct operation *operation); /* goes through the queue of writes */
};

/* The table, ended by a row without name. */
extern const struct command commands[];

#define COMMAND_PREFIX "/api/v1"

/* The command of a path and method. NULL: `*allow` is NULL (no such path), or the methods that there are. */
const struct command *command_find(struct weir_str method, struct weir_str path, char **allow,
                                   char *params[2]);

/* JSON text of the OpenAPI 3.1 document; the caller frees it. */
char *openapi_text(void);
/* The schemas of answers, ended by a row without name. */
extern const struct weir_schema answer_schemas[];

#endif
