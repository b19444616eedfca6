/* SPDX-License-Identifier: MIT */
/* Messages for the comparison, from tables of parts. */
#include "fuzz/differential_input.h"

#include <string.h>

#define COUNT(array) (uint32_t)(sizeof(array) / sizeof((array)[0]))

static const char *const methods[] = {"GET",     "GET",      "HEAD",    "POST",  "PUT",  "DELETE",
                                      "OPTIONS", "PATCH",    "CONNECT", "TRACE", "BREW", "get",
                                      "G\x7fT",  "PROPFIND", "",        "GE T"};
static const char *const targets[] = {
    "/",       "/a/b?c=d", "/a/../b",     "/%41%2f",    "/%zz",
    "/a%",     "*",        "http://b/x",  "http://b",   "https://b:8443/",
    "//x/y",   "/a?b#c",   "/{x}|\"y",    "/a\\b",      "/\xe4",
    "a.b:443", "ftp://b/", "http://u@b/", "http:///",   "http://b:xyz/",
    "/a b",    "",         "?q",          "/x?a=\"<>`",
};
static const char *const versions[] = {"HTTP/1.1", "HTTP/1.1",  "HTTP/1.1", "HTTP/1.1",
                                       "HTTP/1.0", "HTTP/1.2",  "HTTP/2.0", "HTTP/0.9",
                                       "http/1.1", "HTTP/1.1 ", "HTTP/1",   "HTTP/1.10"};
static const char *const statuses[] = {
    "200 OK",
    "200 OK",
    "200",
    "200 ",
    "204 No Content",
    "304 Not Modified",
    "100 Continue",
    "205 Reset Content",
    "404 Not\tFound \xfc",
    "099 Low",
    "600 High",
    "20 Short",
    "2000 Long",
    "+20 Sign",
    "101 Switching Protocols",
    "206 Partial",
    "500 ",
};
static const char *const fields[] = {
    "Host: a",
    "Host: a:80",
    "Host: a@b",
    "Host:",
    "Host: a, b",
    "Content-Length: 5",
    "Content-Length: 5",
    "Content-Length: 0",
    "Content-Length: 05",
    "Content-Length: +5",
    "Content-Length: -5",
    "Content-Length: 5, 5",
    "Content-Length: 5 5",
    "Content-Length: 0x5",
    "Content-Length:",
    "Content-Length: 99999999999999999999",
    "Content-Length: 18446744073709551615",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: Chunked",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, gzip",
    "Transfer-Encoding: chunked, chunked",
    "Transfer-Encoding: identity",
    "Transfer-Encoding: gzip",
    "Transfer-Encoding: \x0b"
    "chunked",
    "Transfer-Encoding: chunked;x",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: ,chunked",
    "Transfer-Encoding:\tchunked ",
    "Transfer-Encoding:",
    "Transfer-Encoding : chunked",
    "Connection: close",
    "Connection: keep-alive",
    "Connection: keep-alive, close",
    "Connection: Upgrade",
    "Connection: x-gone,,",
    "Upgrade: websocket",
    "Upgrade: h2c",
    "Expect: 100-continue",
    "Expect: nonsense",
    "X: y",
    "X:",
    "X: \t y \t ",
    "X : y",
    " X: y",
    "X: a\tb\xff",
    "X: a\x01"
    "b",
    "X: a\x7f"
    "b",
    "X",
    ": y",
    "X\xe4: y",
    "X(y): z",
    "!#$%&'*+-.^_`|~0aZ: token",
    "X: folded\r\n more",
    "X: bare\rreturn",
    "Trailer: x",
    "Accept: text/html;q=0.9, */*",
};
static const char *const bodies[] = {
    "",
    "hello",
    "hello, too long",
    "5\r\nhello\r\n0\r\n\r\n",
    "5;a=b;c=\"d\"\r\nhello\r\n0\r\n\r\n",
    "5 ;a\r\nhello\r\n0\r\n\r\n",
    "5 \r\nhello\r\n0\r\n\r\n",
    "5\nhello\n0\n\n",
    "05\r\nhello\r\n000\r\n\r\n",
    "5\r\nhello\r\n0\r\nX: y\r\n\r\n",
    "5\r\nhello\r\n0\r\nHost: y\r\n\r\n",
    "5\r\nhello\r\n0\r\nX : y\r\n\r\n",
    "5\r\nhelloo\r\n0\r\n\r\n",
    "+5\r\nhello\r\n0\r\n\r\n",
    "0x5\r\nhello\r\n0\r\n\r\n",
    "-1\r\nhello\r\n0\r\n\r\n",
    "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    ";a\r\nhello\r\n0\r\n\r\n",
    "A\r\n0123456789\r\n5;\r\nhello\r\n0;last\r\n\r\nGET / HTTP/1.1\r\n",
    "5\r\nhel",
    "5\r\nhello\r\n0\r\n",
};

uint32_t source_below(struct source *source, uint32_t bound)
{
    uint64_t z = source->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ z >> 31) >> 32) % bound;
}

#define PICK(source, array) (array)[source_below(source, COUNT(array))]

static size_t put(char *out, size_t at, const char *text)
{
    size_t len = strlen(text);
    if (len > INPUT_LIMIT - at) {
        len = INPUT_LIMIT - at;
    }
    memcpy(out + at, text, len);
    return at + len;
}

/* Nearly always CR LF. */
static size_t put_line_end(struct source *source, char *out, size_t at)
{
    static const char *const wrong[] = {"\n", "\r", "\r\r\n", "\r\n\r\n", ""};
    return put(out, at, source_below(source, 200) == 0 ? PICK(source, wrong) : "\r\n");
}

/* One of `usual` (the first few), or, one time in six, any. */
static const char *mostly(struct source *source, const char *const *table, uint32_t count,
                          uint32_t usual)
{
    return table[source_below(source, source_below(source, 6) == 0 ? count : usual)];
}

size_t input_generate(struct source *source, bool response, char *out)
{
    size_t at = 0;
    if (source_below(source, 50) == 0) {
        at = put_line_end(source, out, at);
    }
    if (response) {
        at = put(out, at, mostly(source, versions, COUNT(versions), 5));
        at = put(out, at, " ");
        at = put(out, at, PICK(source, statuses));
    } else {
        at = put(out, at, mostly(source, methods, COUNT(methods), 10));
        at = put(out, at, source_below(source, 100) == 0 ? "  " : " ");
        at = put(out, at, mostly(source, targets, COUNT(targets), 4));
        at = put(out, at, source_below(source, 100) == 0 ? "\t" : " ");
        at = put(out, at, mostly(source, versions, COUNT(versions), 5));
    }
    at = put_line_end(source, out, at);
    if (!response && source_below(source, 10) != 0) {
        at = put(out, at, "Host: a");
        at = put_line_end(source, out, at);
    }
    for (uint32_t count = source_below(source, 5); count > 0; count--) {
        at = put(out, at, PICK(source, fields));
        at = put_line_end(source, out, at);
    }
    at = put_line_end(source, out, at);
    return put(out, at, PICK(source, bodies));
}

static size_t mutate_once(struct source *source, char *out, size_t len)
{
    static const char bytes[] = "\r\n\0 \t:;,/?#%.0159aAfFxX+-\"\\@[]\x01\x0b\x7f\x80\xff";
    uint32_t at = source_below(source, (uint32_t)len);
    char byte = bytes[source_below(source, sizeof(bytes) - 1)];
    switch (source_below(source, 5)) {
    case 0: out[at] = byte; return len;
    case 1: out[at] = (char)(out[at] ^ 1 << source_below(source, 8)); return len;
    case 2: memmove(out + at, out + at + 1, len - at - 1); return len - 1;
    case 3:
        if (len == INPUT_LIMIT) {
            return len;
        }
        memmove(out + at + 1, out + at, len - at);
        out[at] = byte;
        return len + 1;
    default: break;
    }
    /* A piece of it once more, somewhere else. */
    size_t piece = 1 + source_below(source, 30), from = source_below(source, (uint32_t)len);
    if (piece > len - from) {
        piece = len - from;
    }
    if (piece > INPUT_LIMIT - len) {
        return len;
    }
    char copy[32];
    memcpy(copy, out + from, piece);
    memmove(out + at + piece, out + at, len - at);
    memcpy(out + at, copy, piece);
    return len + piece;
}

size_t input_mutate(struct source *source, char *out, size_t len)
{
    for (uint32_t count = 1 + source_below(source, 3); count > 0 && len > 0; count--) {
        len = mutate_once(source, out, len);
    }
    return len;
}
