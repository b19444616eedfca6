/* SPDX-License-Identifier: MIT */
/*
 * The terminal as a screen with keys: for one live view at a time. Whatever ends the program, the
 * terminal is as it was.
 */
#ifndef WEIRCTL_TERMINAL_H
#define WEIRCTL_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

enum key {
    KEY_NONE = 0, /**< the time passed, or the window has another size */
    KEY_UP = 256,
    KEY_DOWN,
    KEY_PAGE_UP,
    KEY_PAGE_DOWN,
    KEY_HOME,
    KEY_END,
    KEY_CLOSED, /**< the terminal is gone */
};

/** Takes over the terminal of standard input and output. false: there is none. */
bool terminal_begin(void);

/** Gives it back. */
void terminal_end(void);

/** Its size; at least 1 each. */
void terminal_size(int *rows, int *columns);

/** Waits for a key for `ms` at most: a character, or an enum key. `*resized`: the size changed. */
int terminal_key(int ms, bool *resized);

/** Draws a whole screen in one write. */
void terminal_draw(const char *data, size_t len);

#endif
