/* SPDX-License-Identifier: MIT */
/*
 * Messages, facts and values, cleaned for a terminal.
 */
#include "api.h"
#include "print.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

/* The length of the character at `at`, which goes into `*c`; WEOF and one byte: it is no UTF-8. */
static size_t next_character(const char *at, wint_t *c)
{
    mbstate_t state = {0};
    wchar_t wide = 0;
    size_t len = mbrtowc(&wide, at, strlen(at), &state);
    bool good = len != (size_t)-1 && len != (size_t)-2;

    *c = good ? (wint_t)wide : WEOF;
    return good ? len : 1;
}

void text_clean(struct text *out, const char *string)
{
    wint_t c;

    for (size_t len; *string != '\0'; string += len) {
        len = next_character(string, &c);
        /* C0, DEL and C1; what is not UTF-8 as well. */
        if (c == WEOF || c < 0x20 || (c >= 0x7f && c < 0xa0)) {
            text_puts(out, "?");
        } else {
            text_add(out, string, len);
        }
    }
}

size_t display_width(const char *text)
{
    size_t width = 0;
    wint_t c;

    while (*text != '\0') {
        text += next_character(text, &c);
        int columns = c == WEOF ? 1 : wcwidth((wchar_t)c);
        width += columns > 0 ? (size_t)columns : 0;
    }
    return width;
}

static void print_clean(FILE *to, const char *format, va_list args)
{
    struct text clean = {0};
    char *whole = NULL;

    if (vasprintf(&whole, format, args) < 0) {
        return;
    }
    text_clean(&clean, whole);
    fputs(text_get(&clean), to);
    text_clear(&clean);
    free(whole);
}

void complain(const char *format, ...)
{
    va_list args;

    fflush(stdout);
    fputs("weirctl: ", stderr);
    va_start(args, format);
    print_clean(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

void print_fact(const char *name, const char *format, ...)
{
    va_list args;

    printf("%-16s", name);
    va_start(args, format);
    print_clean(stdout, format, args);
    va_end(args);
    putchar('\n');
}

bool colours_wanted(FILE *to)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    return isatty(fileno(to)) && (no_color == NULL || *no_color == '\0') && term != NULL &&
           strcmp(term, "dumb") != 0;
}

int terminal_width(FILE *to)
{
    struct winsize size;

    if (!isatty(fileno(to)) || ioctl(fileno(to), TIOCGWINSZ, &size) != 0) {
        return 0;
    }
    return size.ws_col;
}

void print_counts(const char *name, const cJSON *object)
{
    const cJSON *each = NULL;
    struct text text = {0};

    cJSON_ArrayForEach(each, object)
    {
        if (cJSON_IsNumber(each) && each->valuedouble != 0) {
            text_printf(&text, "%s%s %.0f", text.len > 0 ? ", " : "", each->string,
                        each->valuedouble);
        }
    }
    print_fact(name, "%s", text.len > 0 ? text_get(&text) : "none");
    text_clear(&text);
}

void print_http2(const cJSON *http2)
{
    print_fact("HTTP/2 now", "%.0f connections, %.0f requests on them; %.0f connections in all",
               json_number(http2, "connections"), json_number(http2, "streams"),
               json_number(http2, "opened"));
}

/* ---- values ---- */

char *show_time(char out[VALUE_SIZE], double unix_ms)
{
    struct tm parts;
    time_t seconds = isfinite(unix_ms) && fabs(unix_ms) < 1e14 ? (time_t)(unix_ms / 1000) : 0;

    if (!isfinite(unix_ms) || localtime_r(&seconds, &parts) == NULL) {
        return strcpy(out, "-");
    }
    strftime(out, VALUE_SIZE, "%Y-%m-%d %H:%M:%S", &parts);
    return out;
}

char *show_duration(char out[VALUE_SIZE], double ms)
{
    if (!isfinite(ms) || fabs(ms) > 1e14) {
        return strcpy(out, "-");
    }
    long long seconds = (long long)(ms / 1000);
    if (ms < 0) {
        snprintf(out, VALUE_SIZE, "0s");
    } else if (ms < 1000) {
        snprintf(out, VALUE_SIZE, "%.0fms", ms);
    } else if (seconds < 60) {
        snprintf(out, VALUE_SIZE, "%llds", seconds);
    } else if (seconds < 3600) {
        snprintf(out, VALUE_SIZE, "%lldm %llds", seconds / 60, seconds % 60);
    } else if (seconds < 86400) {
        snprintf(out, VALUE_SIZE, "%lldh %lldm", seconds / 3600, seconds / 60 % 60);
    } else {
        snprintf(out, VALUE_SIZE, "%lldd %lldh", seconds / 86400, seconds / 3600 % 24);
    }
    return out;
}

char *show_age(char out[VALUE_SIZE], double unix_ms)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return show_duration(out, (double)now.tv_sec * 1000 + (double)now.tv_nsec / 1e6 - unix_ms);
}

enum colour health_colour(const char *status)
{
    if (strcmp(status, "up") == 0 || strcmp(status, "ok") == 0) {
        return GREEN;
    }
    if (strcmp(status, "down") == 0 || strcmp(status, "maintenance") == 0 ||
        strcmp(status, "failed") == 0) {
        return RED;
    }
    return strcmp(status, "ready") == 0 || strcmp(status, "active") == 0 ? PLAIN : YELLOW;
}
