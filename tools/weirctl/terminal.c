/* SPDX-License-Identifier: MIT */
/*
 * The terminal: raw keys, the alternate screen, signals that end, stop or resize.
 */
#include "terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "util.h"

/* Cursor keys' mode off, alternate screen, cursor hidden; and back. */
static const char enter[] = "\033[?1049h\033[?25l\033[?7l";
static const char leave[] = "\033[?7h\033[?25h\033[?1049l";

static struct termios saved;
static volatile sig_atomic_t active;
static volatile sig_atomic_t resized_flag;

/* Only calls that are safe in a signal handler. */
static void put(const char *data, size_t len)
{
    while (len > 0) {
        ssize_t done = write(STDOUT_FILENO, data, len);
        if (done < 0 && errno != EINTR && errno != EAGAIN) {
            return;
        }
        if (done < 0 && errno == EAGAIN) {
            struct pollfd item = {STDOUT_FILENO, POLLOUT, 0};
            poll(&item, 1, 100);
        }
        data += done > 0 ? done : 0;
        len -= done > 0 ? (size_t)done : 0;
    }
}

static void raw(void)
{
    struct termios wanted = saved;

    wanted.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    wanted.c_cc[VMIN] = 0;
    wanted.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSADRAIN, &wanted);
    put(enter, sizeof(enter) - 1);
}

static void restore(void)
{
    put(leave, sizeof(leave) - 1);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
}

static void on_end(int number)
{
    if (active) {
        restore();
        active = 0;
    }
    signal(number, SIG_DFL);
    raise(number);
}

static void on_stop(int number)
{
    int failed = errno;

    restore();
    signal(number, SIG_DFL);
    sigset_t set;
    sigset_t old;
    sigemptyset(&set);
    sigaddset(&set, number);
    raise(number);
    /* It is blocked inside its handler: this is where the program stops, and where it goes on. */
    sigprocmask(SIG_UNBLOCK, &set, &old);
    sigprocmask(SIG_SETMASK, &old, NULL);
    signal(number, on_stop);
    raw();
    resized_flag = 1;
    errno = failed;
}

static void on_resize(int number)
{
    (void)number;
    resized_flag = 1;
}

bool terminal_begin(void)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    struct sigaction action = {.sa_handler = on_resize};

    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &saved) != 0) {
        return false;
    }
    sigaction(SIGWINCH, &action, NULL);
    action.sa_handler = on_stop;
    sigaction(SIGTSTP, &action, NULL);
    action.sa_handler = on_end;
    for (size_t i = 0; i < COUNT(ends); i++) {
        sigaction(ends[i], &action, NULL);
    }
    active = 1;
    raw();
    return true;
}

void terminal_end(void)
{
    if (active) {
        active = 0;
        restore();
    }
}

void terminal_size(int *rows, int *columns)
{
    struct winsize size;
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0;

    *rows = known ? size.ws_row : 24;
    *columns = known ? size.ws_col : 80;
}

/* What an escape sequence means; the rest of it is in the terminal's queue already. */
static int escape_key(void)
{
    static const struct {
        const char *sequence;
        int key;
    } keys[] = {
        {"[A", KEY_UP},       {"[B", KEY_DOWN},       {"OA", KEY_UP},    {"OB", KEY_DOWN},
        {"[5~", KEY_PAGE_UP}, {"[6~", KEY_PAGE_DOWN}, {"[H", KEY_HOME},  {"[F", KEY_END},
        {"OH", KEY_HOME},     {"OF", KEY_END},        {"[1~", KEY_HOME}, {"[4~", KEY_END},
    };
    char sequence[8] = "";
    size_t len = 0;
    struct pollfd item = {STDIN_FILENO, POLLIN, 0};

    while (len + 1 < sizeof(sequence) && poll(&item, 1, 20) > 0 &&
           read(STDIN_FILENO, sequence + len, 1) == 1) {
        char last = sequence[len++];
        if (len > 1 && last >= 0x40 && last <= 0x7e) {
            break;
        }
    }
    for (size_t i = 0; i < COUNT(keys); i++) {
        if (strcmp(sequence, keys[i].sequence) == 0) {
            return keys[i].key;
        }
    }
    return KEY_NONE;
}

int terminal_key(int ms, bool *resized)
{
    struct pollfd item = {STDIN_FILENO, POLLIN, 0};
    unsigned char c = 0;
    int ready = resized_flag ? 0 : poll(&item, 1, ms);

    *resized = resized_flag != 0;
    resized_flag = 0;
    if (ready <= 0) {
        return KEY_NONE;
    }
    ssize_t got = read(STDIN_FILENO, &c, 1);
    if (got <= 0) {
        return got < 0 && errno == EINTR ? KEY_NONE : KEY_CLOSED;
    }
    return c == 0x1b ? escape_key() : c;
}

void terminal_draw(const char *data, size_t len)
{
    put(data, len);
}
