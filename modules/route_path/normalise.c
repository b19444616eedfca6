/* SPDX-License-Identifier: MIT */
/*
 * Brings the paths and hosts of rules into the form in which requests' come: RFC 3986 section
 * 6.2.2.
 */
#include "table.h"

#include <weir/text.h>

/* Beside letters and digits: what never needs an escape, and what else stands in a path as it
 * is. */
#define UNRESERVED "-._~"
#define IN_PATH    "/!$&'()*+,;=:@"

static size_t put_escaped(char *out, unsigned char byte)
{
    static const char digits[] = "0123456789ABCDEF";
    out[0] = '%';
    out[1] = digits[byte >> 4];
    out[2] = digits[byte & 15];
    return 3;
}

/* Resolves a dot segment that ends at `len` of the output; says the new length. */
static size_t end_segment(const char *out, size_t len)
{
    size_t start = len;
    while (out[start - 1] != '/') {
        start--;
    }
    if (len - start == 1 && out[start] == '.') {
        return start;
    }
    if (len - start == 2 && out[start] == '.' && out[start + 1] == '.') {
        start -= start > 1 ? 1 : 0; /* the slash before; at the root there is nothing above */
        while (out[start - 1] != '/') {
            start--;
        }
        return start;
    }
    return len;
}

const char *table_path(struct weir_str text, char *buffer, struct weir_str *out)
{
    size_t len = 0;

    if (text.len == 0 || text.ptr[0] != '/') {
        return "a path begins with \"/\"";
    }
    buffer[len++] = '/';
    for (size_t i = 1; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        if (byte == '?' || byte == '#') {
            return "a path has neither query nor fragment: leave out \"?\" and \"#\" and what "
                   "follows";
        }
        if (byte < 0x20 || byte == 0x7f) {
            return "a path has no control characters";
        }
        if (byte == '%') {
            int high = i + 2 < text.len ? weir_hex_digit(text.ptr[i + 1]) : -1;
            int low = i + 2 < text.len ? weir_hex_digit(text.ptr[i + 2]) : -1;
            if (high < 0 || low < 0 || (high == 0 && low == 0)) {
                return "\"%\" is followed by two hexadecimal digits, not 00; a percent sign is %25";
            }
            byte = (unsigned char)(high * 16 + low);
            i += 2;
            if (weir_is_one_of((char)byte, UNRESERVED)) {
                buffer[len++] = (char)byte;
            } else {
                len += put_escaped(buffer + len, byte);
            }
        } else if (byte == '/') {
            len = end_segment(buffer, len);
            if (buffer[len - 1] != '/') {
                buffer[len++] = '/';
            }
        } else if (weir_is_one_of((char)byte, UNRESERVED IN_PATH)) {
            buffer[len++] = (char)byte;
        } else {
            len += put_escaped(buffer + len, byte);
        }
    }
    out->len = end_segment(buffer, len);
    out->ptr = buffer;
    return NULL;
}

/* An IPv6 address without its brackets. */
static const char *ipv6_host(struct weir_str text, char *buffer, struct weir_str *out)
{
    for (size_t i = 0; i < text.len; i++) {
        char byte = weir_lower(text.ptr[i]);
        if (weir_hex_digit(byte) < 0 && byte != ':' && byte != '.') {
            return "between \"[\" and \"]\" stands an IPv6 address";
        }
        buffer[i] = byte;
    }
    out->ptr = buffer;
    out->len = text.len;
    return text.len > 0 ? NULL : "between \"[\" and \"]\" stands an IPv6 address";
}

const char *table_host(struct weir_str text, char *buffer, struct weir_str *out, bool *wildcard)
{
    size_t label = 0; /* bytes of the running label */

    *wildcard = text.len > 1 && text.ptr[0] == '*' && text.ptr[1] == '.';
    if (*wildcard) {
        text.ptr += 2;
        text.len -= 2;
    } else if (text.len > 1 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']') {
        return ipv6_host((struct weir_str){text.ptr + 1, text.len - 2}, buffer, out);
    }
    if (text.len > 0 && text.ptr[text.len - 1] == '.') {
        text.len--;
    }
    for (size_t i = 0; i < text.len; i++) {
        char byte = weir_lower(text.ptr[i]);
        if (byte == ':') {
            return "a host stands without its port, and an IPv6 address in brackets";
        }
        if (byte == '*') {
            return "\"*\" stands for whole labels at the front alone: \"*.example\"";
        }
        if ((byte & 0x80) != 0) {
            return "a name in other letters is written in its xn-- form";
        }
        if (!weir_is_one_of(byte, "-_.")) {
            return "a host has letters, digits, \"-\", \"_\" and \".\" alone";
        }
        if (byte == '.' && label == 0) {
            return "there is an empty label in this host";
        }
        label = byte == '.' ? 0 : label + 1;
        buffer[i] = byte;
    }
    out->ptr = buffer;
    out->len = text.len;
    return label > 0 ? NULL : "a host has a name";
}
