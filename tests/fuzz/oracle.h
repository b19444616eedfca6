/* SPDX-License-Identifier: MIT */
/*
 * An independent reader of HTTP/1: libhttp-parser, as Debian builds it. What a parser made of one
 * message is a verdict, the same for the oracle and for ours.
 */
#ifndef WEIR_TESTS_FUZZ_ORACLE_H
#define WEIR_TESTS_FUZZ_ORACLE_H

#include <stdbool.h>
#include <stddef.h>

enum outcome { REFUSED, INCOMPLETE, TAKEN };

#define VERDICT_FIELDS     64
#define VERDICT_BODY_LIMIT 4096

struct verdict_slice {
    const char *ptr;
    size_t len;
};

/* Slices point into the message. */
struct verdict {
    enum outcome outcome;
    const char *why; /* REFUSED: a fixed word */
    bool head;       /* the head was taken, at least */
    struct verdict_slice method, target;
    unsigned status;
    unsigned minor;
    bool keep_alive;
    bool chunked;
    struct {
        struct verdict_slice name, value;
    } fields[VERDICT_FIELDS]; /* of the head; value trimmed */
    size_t field_count;
    char body[VERDICT_BODY_LIMIT];
    size_t body_len;
    size_t used; /* TAKEN: bytes of the message, of one that does not go on to the end */
};

/* `head_answer`: the message answers a HEAD. At the end of data the connection ends. */
void oracle_read(const char *data, size_t len, bool response, bool head_answer,
                 struct verdict *verdict);

#endif
