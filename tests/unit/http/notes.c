/* SPDX-License-Identifier: MIT */
/* Notes of events. */
#include "notes.h"

#include <stdarg.h>
#include <stdio.h>

#define PATIENCE_NS (10 * NS_PER_SECOND)

void notes_add_bytes(struct notes *notes, const char *data, size_t len)
{
    ck_assert_uint_lt(notes->len + len, NOTES_SIZE);
    if (len > 0) {
        memcpy(notes->text + notes->len, data, len);
    }
    notes->len += len;
    notes->text[notes->len] = '\0';
}

void notes_add(struct notes *notes, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(notes->text + notes->len, NOTES_SIZE - notes->len, format, args);
    va_end(args);
    ck_assert(len >= 0 && (size_t)len < NOTES_SIZE - notes->len);
    notes->len += (size_t)len;
}

/* Turns the loop until *text at that time is `wanted`. */
static void wait_text(struct loop *loop, const char *const *text, const char *wanted)
{
    uint64_t until_ns = loop_now_refresh(loop) + PATIENCE_NS;
    while (strcmp(*text != NULL ? *text : "", wanted) != 0) {
        ck_assert_msg(loop_now_refresh(loop) < until_ns, "\n  got    %s\n  wanted %s",
                      *text != NULL ? *text : "", wanted);
        run_turns(loop, 2);
    }
    /* Nothing more comes of it. */
    run_turns(loop, 4);
    ck_assert_str_eq(*text != NULL ? *text : "", wanted);
}

void wait_notes(struct loop *loop, const struct notes *notes, const char *wanted)
{
    const char *text = notes->text;
    wait_text(loop, &text, wanted);
}

void wait_data(struct loop *loop, const struct end *end, const char *wanted)
{
    wait_text(loop, (const char *const *)&end->data, wanted);
}

void wait_ended(struct loop *loop, struct end *end, enum conn_result how)
{
    run_until_true(loop, &end->ended);
    ck_assert_int_eq(end->result, how);
}
