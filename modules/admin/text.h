/* SPDX-License-Identifier: MIT */
/*
 * Small things about strings that the SDK does not have. Pure; any thread.
 */
#ifndef ADMIN_TEXT_H
#define ADMIN_TEXT_H

#include <weir/http.h>

bool text_has(struct weir_str text, const char *word);
/* Time depends on the lengths alone. */
bool text_equal_secret(struct weir_str a, struct weir_str b);

/* Whether the field Accept-Encoding takes gzip (RFC 9110 section 12.5.3). */
bool text_accepts_gzip(struct weir_str field);
/* Whether If-None-Match names the tag (RFC 9110 section 13.1.2). `etag` with its quotes. */
bool text_matches_etag(struct weir_str field, struct weir_str etag);

/* Appends JSON text, in quotes; what does not fit is cut. Returns the new length, always below
 * `size`. */
size_t text_put_json(char *out, size_t at, size_t size, struct weir_str text);

/* Hexadecimal digits, and NUL. */
void text_hex(const uint8_t *bytes, size_t len, char *out);

/* A member of a flat JSON object of strings; values point into `*body`, which is unescaped in
 * place. */
struct text_member {
    const char *name;
    struct weir_str value; /* ptr NULL: absent */
};
/* Reads {"name": "value", ...} into members. false: `error` says what is wrong; not JSON, a
 * value that is no string, a member that is unknown or there twice. `*malformed`: it is not even
 * JSON. */
bool text_read_object(char *body, size_t len, struct text_member *members, size_t count,
                      const char **error, bool *malformed);

#endif
