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

enum argument_type {
    ARGUMENT_STRING,
    ARGUMENT_INTEGER,
    ARGUMENT_BOOLEAN,
    ARGUMENT_DURATION, /* "30s", as in configuration */
    ARGUMENT_WORD,     /* one of `words` */
    ARGUMENT_TEXTS,    /* an object of strings */
};

/* One member of a body, or one parameter of a query. */
struct argument {
    const char *name; /* NULL ends the list */
    enum argument_type type;
    bool required;
    int64_t minimum, maximum; /* of integers; of strings: their length; of durations: seconds */
    const char *const *words; /* NULL-ended */
    const char *document;
};

/* What a write says when it returns. */
enum written {
    WRITE_ANSWERED, /* nothing goes on: the answer is in the operation, and the plane sends it */
    WRITE_GOES_ON, /* a change has the operation: it answers and frees it, never before this returns */
};

struct command {
    const char *name; /* server.patch */
    enum weir_role role;
    const char *method;
    const char *path;             /* below /api/v1; {name} takes one segment */
    const struct argument *body;  /* NULL: takes none */
    const struct argument *query; /* NULL: takes none */
    unsigned status;              /* of success */
    const char *answer;           /* name of its schema; NULL: no body */
    /* Goes through the queue of writes; NULL: it reads. */
    enum written (*write)(struct operation *operation);
    const char *document; /* one sentence */
    void (*read)(
        struct operation *operation); /* its answer is there when it returns; NULL: it writes */
};

/* The table, ended by a row without name. */
extern const struct command commands[];

#define COMMAND_PREFIX "/api/v1"

/* The command of a path and method. NULL: `*allow` is NULL (no such path), or the methods that there are. */
const struct command *command_find(struct weir_str method, struct weir_str path, char **allow,
                                   char *params[2]);

/* Whether it may carry ?confirm: what it does can be taken back. */
bool command_takes_confirm(const struct command *command);

/* JSON text of the OpenAPI 3.1 document; the caller frees it. */
char *openapi_text(void);
/* The schemas of answers, for openapi.c: name and JSON in which ' stands for ". Ended by NULL. */
struct answer_schema {
    const char *name;
    const char *text;
};
extern const struct answer_schema answer_schemas[];

#endif
