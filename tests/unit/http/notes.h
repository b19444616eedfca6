/* SPDX-License-Identifier: MIT */
/*
 * What the tests of both state machines share: notes of the events that came, and waiting for them.
 */
#ifndef WEIR_TESTS_UNIT_HTTP_NOTES_H
#define WEIR_TESTS_UNIT_HTTP_NOTES_H

#include "net/net_help.h"

#define NOTES_SIZE (256u * 1024)

/* Text that grows; ends with a NUL. */
struct notes {
    char text[NOTES_SIZE];
    size_t len;
};

void notes_add(struct notes *notes, const char *format, ...) __attribute__((format(printf, 2, 3)));
void notes_add_bytes(struct notes *notes, const char *data, size_t len);

/* Turns the loop until the notes are exactly `text`, or what came to `end` is; else the test fails
 * and tells both. */
void wait_notes(struct loop *loop, const struct notes *notes, const char *text);
void wait_data(struct loop *loop, const struct end *end, const char *text);
/* Until the end has heard of the connection's end: CONN_EOF or CONN_ERROR. */
void wait_ended(struct loop *loop, struct end *end, enum conn_result how);

#endif
