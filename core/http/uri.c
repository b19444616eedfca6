/* SPDX-License-Identifier: MIT */
/* Request targets: paths are normalised, queries and authorities checked. */
#include "http/uri.h"

#include <arpa/inet.h>

#include "http/syntax.h"

/* ---- paths ---- */

/* A path under construction. Invariant: out[0] is '/', and out[segment - 1] is the '/' before
 * the running segment, which is out[segment..len). */
struct path {
    char *out;
    size_t len;
    size_t segment;
};

/* Ends the current segment: removes `.`, and `..` with the segment before it (none at the root).
 * Returns whether a segment is left to be followed by '/'. */
static bool end_segment(struct path *path)
{
    const char *segment = path->out + path->segment;
    size_t len = path->len - path->segment;
    bool one = len == 1 && segment[0] == '.';
    bool two = len == 2 && segment[0] == '.' && segment[1] == '.';
    if (!one && !two) {
        return true;
    }
    if (two && path->segment > 1) {
        path->segment--;
        while (path->out[path->segment - 1] != '/') {
            path->segment--;
        }
    }
    path->len = path->segment;
    return false;
}

static void put_encoded(struct path *path, unsigned byte)
{
    static const char digits[] = "0123456789ABCDEF";
    path->out[path->len++] = '%';
    path->out[path->len++] = digits[byte >> 4];
    path->out[path->len++] = digits[byte & 15];
}

/* One %XX at in[at]. false: malformed, or %00. */
static bool put_triplet(struct path *path, struct weir_str in, size_t at)
{
    if (in.len - at < 3) {
        return false;
    }
    int high = syntax_hex(in.ptr[at + 1]), low = syntax_hex(in.ptr[at + 2]);
    if (high < 0 || low < 0 || (high | low) == 0) {
        return false;
    }
    unsigned byte = (unsigned)high << 4 | (unsigned)low;
    if (syntax_is((char)byte, SYNTAX_UNRESERVED)) {
        path->out[path->len++] = (char)byte;
    } else {
        put_encoded(path, byte);
    }
    return true;
}

/* Writes the normal form of `in` to path->out, which is large enough. false: refused. */
static bool rewrite(struct weir_str in, struct path *path)
{
    path->out[0] = '/';
    path->len = path->segment = 1;
    for (size_t i = 1; i < in.len; i++) {
        char c = in.ptr[i];
        if (c == '/') {
            if (end_segment(path)) {
                path->out[path->len++] = '/';
            }
            path->segment = path->len;
        } else if (syntax_is(c, SYNTAX_PATH)) {
            path->out[path->len++] = c;
        } else if (c == '%') {
            if (!put_triplet(path, in, i)) {
                return false;
            }
            i += 2;
        } else if (syntax_is(c, SYNTAX_PATH_RAW)) {
            put_encoded(path, (uint8_t)c);
        } else {
            return false;
        }
    }
    end_segment(path);
    return true;
}

/* Bytes at in[at..end) that are normal, for is_normal; at > 0. */
static bool is_normal_part(const char *in, size_t at, size_t end)
{
    for (; at < end; at++) {
        if (!syntax_is(in[at], SYNTAX_PATH) || (in[at] == '.' && in[at - 1] == '/')) {
            return false;
        }
    }
    return true;
}

#ifdef __SSE2__
/* The same for 16 bytes; true is certain, false is not. */
static bool is_plain_16(const char *in)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)in);
    __m128i before = _mm_loadu_si128((const __m128i *)(const void *)(in - 1));
    /* '-', '.', '/' and the digits are adjacent. */
    __m128i plain = _mm_or_si128(syntax_in_range(bytes, '-', '9'), syntax_letters(bytes));
    __m128i dots = _mm_and_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('.')),
                                 _mm_cmpeq_epi8(before, _mm_set1_epi8('/')));
    return _mm_movemask_epi8(_mm_andnot_si128(dots, plain)) == 0xffff;
}
#endif

/* Whether the path is surely normal: no %XX, nothing to encode, no segment that begins with a dot.
 * in[0] is '/'. */
static bool is_normal(struct weir_str in)
{
    size_t at = 1;
#ifdef __SSE2__
    for (; in.len - at >= 16; at += 16) {
        if (!is_plain_16(in.ptr + at) && !is_normal_part(in.ptr, at, at + 16)) {
            return false;
        }
    }
#endif
    return is_normal_part(in.ptr, at, in.len);
}

bool uri_normalise_path(struct weir_str in, struct arena *arena, struct weir_str *out)
{
    if (in.len == 0 || in.ptr[0] != '/') {
        return false;
    }
    if (likely(is_normal(in))) {
        *out = in;
        return true;
    }
    size_t grows = 0;
    for (size_t i = 0; i < in.len; i++) {
        grows += syntax_is(in.ptr[i], SYNTAX_PATH_RAW) ? 2 : 0;
    }
    struct path path = {.out = arena_bytes(arena, in.len + grows)};
    if (path.out == NULL || !rewrite(in, &path)) {
        return false;
    }
    *out = (struct weir_str){path.out, path.len};
    return true;
}

bool uri_query_valid(struct weir_str query)
{
    return syntax_visible(query, '#');
}

/* ---- authorities ---- */

/* Length of `[IPv6]` at the start of `text`; 0: there is none. Zones and future versions mean
 * nothing to servers. */
static size_t ipv6_length(struct weir_str text)
{
    char address[INET6_ADDRSTRLEN];
    struct in6_addr parsed;
    const char *close = memchr(text.ptr, ']', text.len);
    if (close == NULL) {
        return 0;
    }
    size_t len = (size_t)(close - text.ptr) - 1;
    if (len == 0 || len >= sizeof(address) || memchr(text.ptr, '\0', len + 1) != NULL) {
        return 0;
    }
    memcpy(address, text.ptr + 1, len);
    address[len] = '\0';
    return inet_pton(AF_INET6, address, &parsed) == 1 ? len + 2 : 0;
}

static size_t reg_name_length(struct weir_str text)
{
    size_t len = 0;
    while (len < text.len && syntax_is(text.ptr[len], SYNTAX_HOST)) {
        len++;
    }
    return len;
}

/* `:port`, where the number may be left out (RFC 3986 section 3.2.3), or nothing. */
static bool parse_port(struct weir_str text, uint16_t *port)
{
    unsigned value = 0;
    *port = 0;
    if (text.len == 0) {
        return true;
    }
    if (text.ptr[0] != ':' || text.len > 6) {
        return false;
    }
    for (size_t i = 1; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return false;
        }
        value = value * 10 + (unsigned)(text.ptr[i] - '0');
    }
    if (value > UINT16_MAX || (value == 0 && text.len > 1)) {
        return false;
    }
    *port = (uint16_t)value;
    return true;
}

static bool lower_case(struct weir_str in, struct arena *arena, struct weir_str *out)
{
    size_t at = 0;
    while (at < in.len && !(in.ptr[at] >= 'A' && in.ptr[at] <= 'Z')) {
        at++;
    }
    *out = in;
    if (likely(at == in.len)) {
        return true;
    }
    char *copy = arena_bytes(arena, in.len);
    if (copy == NULL) {
        return false;
    }
    for (size_t i = 0; i < in.len; i++) {
        char c = in.ptr[i];
        copy[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    out->ptr = copy;
    return true;
}

bool uri_parse_authority(struct weir_str authority, struct arena *arena, struct weir_str *host,
                         uint16_t *port)
{
    if (authority.len == 0) {
        return false;
    }
    bool literal = authority.ptr[0] == '[';
    size_t len = literal ? ipv6_length(authority) : reg_name_length(authority);
    struct weir_str name = {authority.ptr, len};
    struct weir_str rest = {authority.ptr + len, authority.len - len};
    /* `example.com.` is the same host; names to compare with have no trailing dot. */
    if (name.len > 1 && name.ptr[name.len - 1] == '.') {
        name.len--;
    }
    if (name.len == 0 || name.ptr[name.len - 1] == '.') {
        return false;
    }
    return parse_port(rest, port) && lower_case(name, arena, host);
}
