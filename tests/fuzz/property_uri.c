/* SPDX-License-Identifier: MIT */
/* Properties of targets and authorities. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "fuzz/property.h"
#include "http/uri.h"

#define LENGTH_LIMIT 1024u

/* ---- the reference: decode, split, walk, join; as slow as it is plain ---- */

static bool in_set(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

/* Brings %XX and raw bytes to their form. false: refused. */
static bool reference_decode(const char *in, size_t len, char *out)
{
    const char *unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    char *at = out;
    for (size_t i = 0; i < len; i++) {
        if (in[i] == '%') {
            char digits[3] = {0};
            if (len - i < 3 || !isxdigit((unsigned char)in[i + 1]) ||
                !isxdigit((unsigned char)in[i + 2])) {
                return false;
            }
            memcpy(digits, in + i + 1, 2);
            unsigned byte = (unsigned)strtoul(digits, NULL, 16);
            i += 2;
            if (byte == 0) {
                return false;
            }
            if (in_set((char)byte, unreserved)) {
                *at++ = (char)byte;
            } else {
                at += sprintf(at, "%%%02X", byte);
            }
        } else if (in_set(in[i], unreserved) || in_set(in[i], "!$&'()*+,;=:@/")) {
            *at++ = in[i];
        } else if (in_set(in[i], "\"<>[]^`{|}")) {
            at += sprintf(at, "%%%02X", (unsigned char)in[i]);
        } else {
            return false;
        }
    }
    *at = '\0';
    return true;
}

/* Walks over the segments of `/a/b`; kept[] are those that stay. */
static void reference_join(char *path, char *out)
{
    char *kept[LENGTH_LIMIT + 1];
    size_t count = 0;
    for (char *segment = path + 1; segment != NULL;) {
        char *slash = strchr(segment, '/');
        bool last = slash == NULL;
        if (!last) {
            *slash = '\0';
        }
        bool up = strcmp(segment, "..") == 0;
        if (up && count > 0) {
            count--;
        }
        if (!up && strcmp(segment, ".") != 0) {
            kept[count++] = segment;
        } else if (last) {
            kept[count++] = segment + strlen(segment);
        }
        segment = last ? NULL : slash + 1;
    }
    for (size_t i = 0; i < count; i++) {
        out += sprintf(out, "/%s", kept[i]);
    }
}

static void path_holds(struct weir_str in, struct arena *arena)
{
    static char decoded[3 * LENGTH_LIMIT + 1], expected[3 * LENGTH_LIMIT + 2];
    struct weir_str out, again;
    bool taken = uri_normalise_path(in, arena, &out);
    bool wanted = in.len > 0 && in.ptr[0] == '/' && reference_decode(in.ptr, in.len, decoded);
    HOLDS(taken == wanted);
    if (!taken) {
        return;
    }
    reference_join(decoded, expected);
    HOLDS(str_equal(out, str_from(expected)));
    HOLDS(uri_normalise_path(out, arena, &again) && str_equal(again, out));
    if (str_equal(out, in)) {
        HOLDS(out.ptr == in.ptr || memchr(in.ptr, '%', in.len) != NULL ||
              memmem(in.ptr, in.len, "/.", 2) != NULL);
    }
}

static void authority_holds(struct weir_str in, struct arena *arena)
{
    struct weir_str host, again;
    uint16_t port, port_again;
    if (!uri_parse_authority(in, arena, &host, &port)) {
        return;
    }
    HOLDS(host.len > 0 && host.len <= in.len);
    HOLDS(memchr(in.ptr, '@', in.len) == NULL && memchr(in.ptr, ',', in.len) == NULL);
    for (size_t i = 0; i < host.len; i++) {
        HOLDS(host.ptr[i] == (char)tolower((unsigned char)in.ptr[i]));
        HOLDS(host.ptr[i] > ' ' && host.ptr[i] < 0x7f && strchr("/?#\\%\"", host.ptr[i]) == NULL);
        HOLDS(host.ptr[i] != ':' || host.ptr[0] == '[');
    }
    HOLDS(uri_parse_authority(host, arena, &again, &port_again));
    HOLDS(str_equal(host, again) && port_again == 0);
    if (port > 0) {
        char text[8];
        size_t len = (size_t)snprintf(text, sizeof(text), "%u", port);
        HOLDS(in.len > len && memcmp(in.ptr + in.len - len, text, len) == 0);
    }
}

static void query_holds(struct weir_str in)
{
    bool wanted = true;
    for (size_t i = 0; i < in.len; i++) {
        wanted = wanted && in.ptr[i] > ' ' && in.ptr[i] < 0x7f && in.ptr[i] != '#';
    }
    HOLDS(uri_query_valid(in) == wanted);
}

void property_uri(const uint8_t *data, size_t len)
{
    struct arena arena;
    if (len == 0 || len > LENGTH_LIMIT) {
        return;
    }
    arena_init(&arena, NULL, 0);
    char *copy = property_copy(data + 1, len - 1);
    struct weir_str in = {copy, len - 1};
    if (data[0] % 3 == 0) {
        path_holds(in, &arena);
    } else if (data[0] % 3 == 1) {
        authority_holds(in, &arena);
    } else {
        query_holds(in);
    }
    free(copy);
    arena_reset(&arena);
}
