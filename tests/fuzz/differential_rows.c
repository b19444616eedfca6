/* SPDX-License-Identifier: MIT */
/*
 * Why our parser and libhttp-parser may disagree: one row a reason. A row matches by both verdicts,
 * and its condition looks at the message itself, or at what the other parser read from it.
 */
#include <ctype.h>
#include <stdio.h>

#include "base/base.h"
#include "fuzz/differential.h"

/* ---- conditions ---- */

static bool any(const struct comparison *it)
{
    return it->len > 0;
}

/* Whether a byte matches at `at`; for has(). */
typedef bool (*byte_test)(const struct comparison *it, size_t at);

static bool has(const struct comparison *it, byte_test test)
{
    for (size_t at = 0; at < it->len; at++) {
        if (test(it, at)) {
            return true;
        }
    }
    return false;
}

static bool is_bare_lf(const struct comparison *it, size_t at)
{
    return it->data[at] == '\n' && (at == 0 || it->data[at - 1] != '\r');
}

static bool is_bare_cr(const struct comparison *it, size_t at)
{
    return it->data[at] == '\r' && at + 1 < it->len && it->data[at + 1] != '\n';
}

static bool is_fold(const struct comparison *it, size_t at)
{
    return at > 0 && it->data[at - 1] == '\n' && (it->data[at] == ' ' || it->data[at] == '\t');
}

static bool is_control(const struct comparison *it, size_t at)
{
    unsigned char c = (unsigned char)it->data[at];
    return c == 0x7f || (c < 0x20 && c != '\t' && c != '\n' && c != '\r');
}

static bool is_tab(const struct comparison *it, size_t at)
{
    return it->data[at] == '\t';
}

static bool has_bare_lf(const struct comparison *it)
{
    return has(it, is_bare_lf);
}

static bool has_bare_cr(const struct comparison *it)
{
    return has(it, is_bare_cr);
}

static bool has_fold(const struct comparison *it)
{
    return has(it, is_fold);
}

static bool has_control(const struct comparison *it)
{
    return has(it, is_control);
}

/* What the other parser read under that name; *count of them, the last one's value. */
static struct verdict_slice field(const struct comparison *it, const char *name, size_t *count)
{
    struct verdict_slice value = {"", 0};
    *count = 0;
    for (size_t i = 0; i < it->oracle.field_count; i++) {
        struct verdict_slice found = it->oracle.fields[i].name;
        if (found.len == strlen(name) && strncasecmp(found.ptr, name, found.len) == 0) {
            value = it->oracle.fields[i].value;
            ++*count;
        }
    }
    return value;
}

static size_t count_of(const struct comparison *it, const char *name)
{
    size_t count;
    field(it, name, &count);
    return count;
}

static bool no_host(const struct comparison *it)
{
    return count_of(it, "host") == 0;
}

static bool two_hosts(const struct comparison *it)
{
    return count_of(it, "host") >= 2;
}

static bool empty_host(const struct comparison *it)
{
    size_t count;
    return field(it, "host", &count).len == 0 && count == 1;
}

/* Neither a plain name or address, with a port or without. */
static bool strange_host(const struct comparison *it)
{
    size_t count, at = 0;
    struct verdict_slice host = field(it, "host", &count);
    while (at < host.len && (isalnum((unsigned char)host.ptr[at]) || host.ptr[at] == '-')) {
        at++;
    }
    if (at == host.len && at > 0) {
        return false;
    }
    if (at > 0 && at < host.len && host.ptr[at] == ':') {
        size_t digits = 0;
        while (at + 1 + digits < host.len && isdigit((unsigned char)host.ptr[at + 1 + digits])) {
            digits++;
        }
        return at + 1 + digits != host.len || digits > 4 || host.ptr[at + 1] == '0';
    }
    return true;
}

static bool strange_target(const struct comparison *it)
{
    struct verdict_slice target = it->oracle.target;
    if (target.len == 0 || target.ptr[0] != '/') {
        return true;
    }
    for (size_t i = 0; i < target.len; i++) {
        unsigned char c = (unsigned char)target.ptr[i];
        if (c == '#' || c == '\\' || c <= 0x20 || c >= 0x7f) {
            return true;
        }
        if (c != '%') {
            continue;
        }
        if (target.len - i < 3 || !isxdigit((unsigned char)target.ptr[i + 1]) ||
            !isxdigit((unsigned char)target.ptr[i + 2]) || memcmp(target.ptr + i, "%00", 3) == 0) {
            return true;
        }
    }
    return false;
}

/* Not `METHOD target HTTP/1.digit`, with visible bytes and two spaces, up to the line's end; or,
 * in a response, not the first line of all. */
static bool strange_first_line(const struct comparison *it)
{
    const char *at = it->data, *end = it->data + it->len;
    if (it->response && (*at == '\r' || *at == '\n')) {
        return true;
    }
    while (at < end && (*at == '\r' || *at == '\n')) {
        at++;
    }
    const char *lf = memchr(at, '\n', (size_t)(end - at));
    const char *line_end = lf != NULL && lf > at && lf[-1] == '\r' ? lf - 1 : lf;
    size_t spaces = 0;
    if (line_end == NULL || line_end - at < 10) {
        return true;
    }
    for (const char *byte = at; byte < line_end; byte++) {
        spaces += *byte == ' ' ? 1 : 0;
        if (*byte < ' ' || *byte == 0x7f || (*byte == ' ' && byte[1] == ' ')) {
            return true;
        }
    }
    const char *version = it->response ? at : line_end - 8;
    if (!it->response && (spaces != 2 || version[-1] != ' ')) {
        return true;
    }
    return memcmp(version, "HTTP/1.", 7) != 0 || !isdigit((unsigned char)version[7]);
}

/* `HTTP/1.1 ` is not followed by three digits and a space or the line's end, or the status is
 * not in 100..599. */
static bool strange_status(const struct comparison *it)
{
    const char *at = it->data, *end = it->data + it->len;
    while (at < end && *at != ' ' && *at != '\n') {
        at++;
    }
    if (end - at < 5 || !isdigit((unsigned char)at[1]) || !isdigit((unsigned char)at[2]) ||
        !isdigit((unsigned char)at[3]) || isgraph((unsigned char)at[4])) {
        return true;
    }
    return at[1] < '1' || at[1] > '5' || (at[4] != ' ' && at[4] != '\r');
}

static bool is_connect(const struct comparison *it)
{
    return it->oracle.method.len == 7 && memcmp(it->oracle.method.ptr, "CONNECT", 7) == 0;
}

static bool unknown_method(const struct comparison *it)
{
    return !it->response && it->request.method == METHOD_OTHER;
}

static bool is_101(const struct comparison *it)
{
    return it->oracle.status == 101;
}

static bool is_205(const struct comparison *it)
{
    return it->oracle.status == 205;
}

/* What follows is no content: ours does not look at it, the other reads it as chunks, or to the
 * end. */
static bool behind_205(const struct comparison *it)
{
    return is_205(it) && it->ours.head && it->oracle.head;
}

static bool is_1_0(const struct comparison *it)
{
    return it->oracle.minor == 0;
}

/* There is a coding, and it is not one field that says `chunked`. */
static bool strange_coding(const struct comparison *it)
{
    size_t count;
    struct verdict_slice value = field(it, "transfer-encoding", &count);
    return count > 1 ||
           (count == 1 && (value.len != 7 || strncasecmp(value.ptr, "chunked", 7) != 0));
}

/* A name goes on where Transfer-Encoding ends. */
static bool longer_name(const struct comparison *it)
{
    for (size_t at = 0; at + 18 <= it->len; at++) {
        if (strncasecmp(it->data + at, "transfer-encoding", 17) == 0 && it->data[at + 17] != ':') {
            return true;
        }
    }
    return false;
}

static bool strange_expect(const struct comparison *it)
{
    size_t count;
    struct verdict_slice value = field(it, "expect", &count);
    return count > 1 ||
           (count == 1 && (value.len != 12 || strncasecmp(value.ptr, "100-continue", 12) != 0));
}

/* Lengths are repeated, or there is a coding besides. The other parser stops at the field, so
 * the text is searched. */
static bool repeated_length(const struct comparison *it)
{
    size_t lengths = 0, codings = 0, lists = 0;
    for (size_t at = 0; at + 18 <= it->len; at++) {
        if (strncasecmp(it->data + at, "content-length:", 15) == 0) {
            const char *lf = memchr(it->data + at, '\n', it->len - at);
            lengths++;
            if (lf != NULL && memchr(it->data + at, ',', (size_t)(lf - it->data) - at) != NULL) {
                lists++;
            }
        }
        codings += strncasecmp(it->data + at, "transfer-encoding:", 18) == 0 ? 1 : 0;
    }
    return lists > 0 || lengths > 1 || (lengths > 0 && codings > 0);
}

static bool huge_length(const struct comparison *it)
{
    size_t count;
    return field(it, "content-length", &count).len >= 19;
}

/* A first token of a line is followed by white space. */
static bool blank_before_colon(const struct comparison *it)
{
    for (size_t at = 1; at < it->len; at++) {
        if (it->data[at - 1] != '\n') {
            continue;
        }
        size_t end = at;
        while (end < it->len && isgraph((unsigned char)it->data[end]) && it->data[end] != ':') {
            end++;
        }
        if (end < it->len && (it->data[end] == ' ' || it->data[end] == '\t')) {
            return true;
        }
    }
    return false;
}

static bool chunked_body(const struct comparison *it)
{
    return it->ours.head && it->ours.chunked && it->oracle.head && it->oracle.chunked;
}

static bool closes(const struct comparison *it)
{
    return !it->ours.keep_alive && it->oracle.keep_alive && it->oracle.minor == 0;
}

/* A body is announced where none can be. */
static bool false_body(const struct comparison *it)
{
    bool none = it->oracle.status < 200 || it->oracle.status == 204;
    return it->response && none && !it->ours.keep_alive &&
           (count_of(it, "content-length") > 0 || count_of(it, "transfer-encoding") > 0);
}

/* The options of Connection read once more, plainly: the list is cut at commas, and white space
 * goes. */
static bool plain_keep_alive(const struct comparison *it)
{
    bool close = false, keep_alive = false;
    for (size_t i = 0; i < it->oracle.field_count; i++) {
        struct verdict_slice name = it->oracle.fields[i].name, value = it->oracle.fields[i].value;
        if (name.len != 10 || strncasecmp(name.ptr, "connection", 10) != 0) {
            continue;
        }
        for (size_t from = 0, to; from <= value.len; from = to + 1) {
            char option[16];
            size_t len = 0;
            for (to = from; to < value.len && value.ptr[to] != ','; to++) {
                if (value.ptr[to] != ' ' && value.ptr[to] != '\t' && len < sizeof(option)) {
                    option[len++] = value.ptr[to];
                }
            }
            close = close || (len == 5 && strncasecmp(option, "close", 5) == 0);
            keep_alive = keep_alive || (len == 10 && strncasecmp(option, "keep-alive", 10) == 0);
        }
    }
    return !close && (it->oracle.minor > 0 || keep_alive);
}

/* It stumbles over empty elements, tabs, and options that begin like those it knows. */
static bool list_in_connection(const struct comparison *it)
{
    return count_of(it, "connection") > 0 && it->ours.keep_alive == plain_keep_alive(it);
}

static bool has_tab(const struct comparison *it)
{
    return has(it, is_tab);
}

/* Behind `chunked` it takes a tab for a part of the coding's name. */
static bool tab_in_coding(const struct comparison *it)
{
    for (size_t at = 0; at + 18 <= it->len; at++) {
        const char *lf = memchr(it->data + at, '\n', it->len - at);
        if (lf != NULL && strncasecmp(it->data + at, "transfer-encoding:", 18) == 0 &&
            memchr(it->data + at, '\t', (size_t)(lf - it->data) - at) != NULL) {
            return !it->oracle.chunked;
        }
    }
    return false;
}

/* Its two faults in finding the coding; ours read the head. */
static bool misread_coding(const struct comparison *it)
{
    return it->ours.head && (tab_in_coding(it) || longer_name(it));
}

static bool unfinished_head(const struct comparison *it)
{
    return !it->ours.head && memmem(it->data, it->len, "\r\n\r\n", 4) == NULL;
}

static bool empty_lines(const struct comparison *it)
{
    return it->len >= 3 && it->data[0] == '\r' && (it->data[2] == '\r' || it->data[2] == '\n');
}

/* ---- the rows ---- */

struct row {
    const char *ours;   /* our reason, `*` for any; NULL: not refused */
    const char *oracle; /* its error; NULL: taken, or not at its end */
    bool (*condition)(const struct comparison *it);
    const char *text;
    unsigned long count;
};

static struct row rows[] = {
    /* We refuse. */
    {"bare_cr", NULL, has_bare_cr, "a CR without LF may end a line elsewhere (9112 2.2)", 0},
    {"bare_lf", NULL, has_bare_lf, "LF alone is taken for a line end by some only (9112 2.2)", 0},
    {"obs_fold", NULL, has_fold, "folded lines are refused (9112 5.2)", 0},
    {"bad_field_value", NULL, has_control, "control characters are no value (9110 5.5)", 0},
    {"space_before_colon", NULL, blank_before_colon, "no space before the colon (9112 5.1)", 0},
    {"bad_line_end", NULL, strange_first_line, "nothing after the version (9112 3)", 0},
    {"bad_method", NULL, empty_lines, "one empty line may come first (9112 2.2)", 0},
    {"bad_request_line", NULL, strange_first_line, "two spaces, visible bytes (9112 3)", 0},
    {"bad_version", NULL, strange_first_line, "HTTP/digit.digit, in this case (9112 2.3)", 0},
    {"version_unsupported", NULL, strange_first_line, "only HTTP/1 is supported (9110 15.6.6)", 0},
    {"bad_status_line", NULL, strange_status, "three digits, then a space (9112 4)", 0},
    {"bad_status", NULL, strange_status, "statuses are 100 to 599 (9110 15)", 0},
    {"bad_target", NULL, strange_target, "the grammar of targets (9112 3.2, 3986)", 0},
    {"connect_unsupported", NULL, is_connect, "no tunnels (9110 9.1, 9.3.6)", 0},
    {"host_missing", NULL, no_host, "HTTP/1.1 has a Host (9112 3.2)", 0},
    {"host_repeated", NULL, two_hosts, "not two of them (9112 3.2)", 0},
    {"host_empty", NULL, empty_host, "http has a host (9110 4.2.1)", 0},
    {"bad_host", NULL, strange_host, "host and port, no list, no user (9110 7.2)", 0},
    {"expectation_unknown", NULL, strange_expect, "only 100-continue (9110 10.1.1)", 0},
    {"bad_transfer_encoding", NULL, strange_coding, "chunked is last and once (9112 6.1)", 0},
    {"transfer_coding_unsupported", NULL, strange_coding, "and alone (9112 6.1)", 0},
    {"coding_in_http_1_0", NULL, is_1_0, "faulty framing of a server (9112 6.1)", 0},
    {"bad_switch", NULL, is_101, "101 answers an upgrade, and says so (9110 7.8)", 0},
    {"content_in_205", NULL, is_205, "205 has no content (9110 15.3.6)", 0},
    {"bad_content_length", NULL, huge_length, "lengths fit signed 64 bits (9112 6.3)", 0},
    {"bad_chunk_size", NULL, chunked_body, "no space behind a size (9112 7.1)", 0},
    {"bad_chunk_end", NULL, chunked_body, "CR LF behind the data (9112 7.1)", 0},
    {"*", NULL, misread_coding, "a coding that it does not see: tabs, longer names", 0},
    {NULL, NULL, misread_coding, "a coding that it does not see: tabs, longer names", 0},
    /* The other refuses. */
    {NULL, "HPE_INVALID_METHOD", unknown_method, "any token is a method (9110 9.1)", 0},
    {NULL, "HPE_INVALID_CONTENT_LENGTH", repeated_length, "equal lengths are one (9112 6.3)", 0},
    {NULL, "HPE_UNEXPECTED_CONTENT_LENGTH", repeated_length,
     "equal lengths, or chunked wins and the connection ends (9112 6.3)", 0},
    {NULL, "HPE_INVALID_TRANSFER_ENCODING", misread_coding, "a coding that it misreads", 0},
    {NULL, "HPE_UNEXPECTED_CONTENT_LENGTH", misread_coding, "a coding that it misreads", 0},
    {NULL, "HPE_INVALID_CONTENT_LENGTH", has_tab, "tabs are white space (9110 5.6.3)", 0},
    {NULL, "*", behind_205, "205 ends with its head (9110 15.3.6)", 0},
    {NULL, NULL, behind_205, "205 ends with its head (9110 15.3.6)", 0},
    {NULL, "HPE_INVALID_URL", unfinished_head, "judged when the head is whole", 0},
    {NULL, "HPE_INVALID_CONTENT_LENGTH", unfinished_head, "judged when the head is whole", 0},
    {NULL, "HPE_UNEXPECTED_CONTENT_LENGTH", unfinished_head, "judged when the head is whole", 0},
};

/* Both took it, but read it in two ways. */
static struct row difference_rows[] = {
    {"keep-alive", NULL, closes, "of HTTP/1.0, close and codings end it (9112 6.1, 9.3)", 0},
    {"keep-alive", NULL, false_body, "1xx and 204 announce no body (9110 8.6, 9112 6.1)", 0},
    {"keep-alive", NULL, list_in_connection, "lists are cut at commas (9110 5.6.1)", 0},
    {"keep-alive", NULL, behind_205, "205 ends with its head, close is safer (9110 15.3.6)", 0},
    {"body", NULL, behind_205, "205 ends with its head (9110 15.3.6)", 0},
    {"length", NULL, behind_205, "205 ends with its head (9110 15.3.6)", 0},
    {"body", NULL, misread_coding, "a coding that it misreads", 0},
    {"length", NULL, misread_coding, "a coding that it misreads", 0},
    {"keep-alive", NULL, misread_coding, "a coding that it misreads", 0},
};

/* Whether a row's text is about this verdict. */
static bool is_about(const char *text, const struct verdict *verdict)
{
    if (verdict->outcome != REFUSED || text == NULL) {
        return verdict->outcome != REFUSED && text == NULL;
    }
    return strcmp(text, "*") == 0 || strcmp(text, verdict->why) == 0;
}

static bool matches(const struct row *row, const struct comparison *it)
{
    return is_about(row->ours, &it->ours) && is_about(row->oracle, &it->oracle) &&
           row->condition(it);
}

bool differential_explain(const struct comparison *it)
{
    if (it->difference != NULL) {
        for (size_t i = 0; i < ARRAY_COUNT(difference_rows); i++) {
            struct row *row = &difference_rows[i];
            if (strcmp(row->ours, it->difference) == 0 && row->condition(it)) {
                row->count++;
                return true;
            }
        }
        return false;
    }
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (matches(&rows[i], it)) {
            rows[i].count++;
            return true;
        }
    }
    return false;
}

static void print_table(const struct row *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        printf("%8lu  %-28s %-30s %s\n", table[i].count, table[i].ours ? table[i].ours : "taken",
               table[i].oracle ? table[i].oracle : "taken", table[i].text);
    }
}

void differential_print(void)
{
    puts("  number  ours                         libhttp-parser                 why");
    print_table(rows, ARRAY_COUNT(rows));
    print_table(difference_rows, ARRAY_COUNT(difference_rows));
}
