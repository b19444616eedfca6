/* SPDX-License-Identifier: MIT */
/* Conditions on paths and statuses. See condition.h. */
#include "condition.h"

#include <weir/text.h>

/* Takes the next segment, with the slashes before it. false: only slashes are left. */
static bool next_segment(struct weir_str *path, struct weir_str *segment)
{
    size_t at = 0, len = 0;

    while (at < path->len && path->ptr[at] == '/') {
        at++;
    }
    while (at + len < path->len && path->ptr[at + len] != '/') {
        len++;
    }
    if (len == 0) {
        return false;
    }
    *segment = (struct weir_str){path->ptr + at, len};
    path->ptr += at + len;
    path->len -= at + len;
    return true;
}

static int hex_upper(char c)
{
    return c >= 'a' ? -1 : weir_hex_digit(c);
}

/* Requests' paths come in normal form: what stands here otherwise would never match. */
static const char *check_escape(struct weir_str text)
{
    int high = text.len > 2 ? hex_upper(text.ptr[1]) : -1,
        low = text.len > 2 ? hex_upper(text.ptr[2]) : -1;

    if (high < 0 || low < 0) {
        return "after % stand two digits, in upper case: %C3";
    }
    char byte = (char)(high << 4 | low);
    return weir_is_one_of(byte, "-._~")
               ? "letters, digits and - . _ ~ are written as they are, not as %XX"
               : NULL;
}

const char *prefix_check(struct weir_str prefix)
{
    struct weir_str rest = prefix, segment;

    if (prefix.len == 0 || prefix.ptr[0] != '/') {
        return "a path begins with /";
    }
    for (size_t i = 0; i < prefix.len; i++) {
        if (!weir_is_one_of(prefix.ptr[i], "-._~!$&'()*+,;=:@/%")) {
            return "a path has neither spaces nor ? # or letters beyond ASCII; write them as %XX";
        }
        if (prefix.ptr[i] == '%') {
            const char *wrong = check_escape((struct weir_str){prefix.ptr + i, prefix.len - i});
            if (wrong != NULL) {
                return wrong;
            }
        }
    }
    while (next_segment(&rest, &segment)) {
        if (segment.len <= 2 && memcmp(segment.ptr, "..", segment.len) == 0) {
            return "a path has no segments . or ..: requests come without them";
        }
    }
    return NULL;
}

bool prefix_matches(struct weir_str prefix, struct weir_str path, struct weir_str *rest)
{
    struct weir_str wanted, segment;

    if (path.len == 0 || path.ptr[0] != '/') {
        return false;
    }
    while (next_segment(&prefix, &wanted)) {
        if (!next_segment(&path, &segment) || !weir_str_equal(segment, wanted)) {
            return false;
        }
    }
    while (path.len > 1 && path.ptr[0] == '/' && path.ptr[1] == '/') {
        path.ptr++;
        path.len--;
    }
    *rest = path;
    return true;
}

static bool read_status(struct weir_str text, uint32_t *out)
{
    uint32_t status = 0;

    if (text.len != 3) {
        return false;
    }
    for (size_t i = 0; i < 3; i++) {
        if (!weir_is_digit(text.ptr[i])) {
            return false;
        }
        status = status * 10 + (uint32_t)(text.ptr[i] - '0');
    }
    *out = status;
    return status >= 200 && status <= 599;
}

bool status_parse(struct weir_str text, struct status_range *out)
{
    const char *dash = text.len > 0 ? memchr(text.ptr, '-', text.len) : NULL;

    if (dash == NULL) {
        bool good = read_status(text, &out->low);
        out->high = out->low;
        return good;
    }
    struct weir_str low = {text.ptr, (size_t)(dash - text.ptr)};
    struct weir_str high = {dash + 1, text.len - low.len - 1};
    return read_status(low, &out->low) && read_status(high, &out->high) && out->low <= out->high;
}
