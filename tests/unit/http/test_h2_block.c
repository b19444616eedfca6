/* SPDX-License-Identifier: MIT */
/* h2_block.c: what HPACK decodes of a head is what went in. */
#include "http/h2.h"

#include "runner.h"

static struct arena arena;
static char shown[1 << 16];

static void setup(void)
{
    arena_init(&arena, NULL, 0);
}

static void teardown(void)
{
    arena_reset(&arena);
}

UNIT_FIXTURE(setup, teardown);

/* The fields of a block, "name=value\n" each; "!" before those that are never indexed. */
static const char *decoded(const struct h2_block *block)
{
    nghttp2_hd_inflater *inflater = NULL;
    const uint8_t *data = block->data;
    size_t left = block->len, at = 0;
    int flags = 0;

    ck_assert_int_eq(nghttp2_hd_inflate_new(&inflater), 0);
    shown[0] = '\0';
    while ((flags & NGHTTP2_HD_INFLATE_FINAL) == 0) {
        nghttp2_nv pair;
        ssize_t used = nghttp2_hd_inflate_hd2(inflater, &pair, &flags, data, left, 1);
        ck_assert_int_ge(used, 0);
        data += used;
        left -= (size_t)used;
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
            at += (size_t)snprintf(shown + at, sizeof(shown) - at, "%s%s=%s\n",
                                   (pair.flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0 ? "!" : "",
                                   pair.name, pair.value);
        }
    }
    ck_assert_uint_eq(nghttp2_hd_inflate_get_dynamic_table_size(inflater), 0);
    nghttp2_hd_inflate_del(inflater);
    return shown;
}

static void add(struct http_fields *fields, const char *name, const char *value)
{
    ck_assert(fields_add(fields, &arena, str_from(name), str_from(value)));
}

/* A request of HTTP/1.0 may name no host; an empty one would be malformed. */
UNIT_TEST(a_request_without_authority)
{
    const struct http_request_head head = {
        .method_name = STR("GET"), .method = METHOD_GET, .path = STR("/")};

    ck_assert_str_eq(decoded(h2_request_block(&arena, &head, false, NULL, 0)),
                     ":method=GET\n:scheme=http\n:path=/\n");
}

UNIT_TEST(a_request)
{
    struct http_request_head head = {.method_name = STR("PUT"),
                                     .method = METHOD_PUT,
                                     .authority = STR("a.example:81"),
                                     .path = STR("/p"),
                                     .query = STR("q=1"),
                                     .has_query = true,
                                     .te_trailers = true,
                                     .body = BODY_LENGTH,
                                     .content_length = 1234567};
    const struct http_extra extra[] = {{STR("X-Forwarded-For"), STR("1.2.3.4"), true},
                                       {STR("bad name"), STR("v"), false},
                                       {STR("good"), STR("bad\nvalue"), false}};
    add(&head.fields, "Accept", "*/*");
    add(&head.fields, "User-Agent", "me");
    add(&head.fields, "Host", "other");
    add(&head.fields, "Connection", "close");
    add(&head.fields, "Transfer-Encoding", "chunked");
    add(&head.fields, "Content-Length", "9");
    add(&head.fields, "X-Dropped", "1");
    head.fields.items[head.fields.count - 1].dropped = true;
    add(&head.fields, "X-Empty", "");
    ck_assert_str_eq(decoded(h2_request_block(&arena, &head, true, extra, 3)),
                     ":method=PUT\n:scheme=https\n:authority=a.example:81\n:path=/p?q=1\n"
                     "accept=*/*\nuser-agent=me\nx-empty=\nx-forwarded-for=1.2.3.4\n"
                     "te=trailers\ncontent-length=1234567\n");
}

UNIT_TEST(usual_requests)
{
    struct http_request_head head = {
        .method_name = STR("GET"), .method = METHOD_GET, .authority = STR("a"), .path = STR("/")};
    ck_assert_str_eq(decoded(h2_request_block(&arena, &head, false, NULL, 0)),
                     ":method=GET\n:scheme=http\n:authority=a\n:path=/\n");
    head.method_name = STR("POST");
    head.method = METHOD_POST;
    head.has_query = true;
    ck_assert_str_eq(decoded(h2_request_block(&arena, &head, false, NULL, 0)),
                     ":method=POST\n:scheme=http\n:authority=a\n:path=/?\n");
    head.upgrade_websocket = true;
    add(&head.fields, "Sec-WebSocket-Key", "k");
    add(&head.fields, "Sec-WebSocket-Version", "13");
    ck_assert_str_eq(decoded(h2_request_block(&arena, &head, false, NULL, 0)),
                     ":method=CONNECT\n:scheme=http\n:authority=a\n:path=/?\n"
                     ":protocol=websocket\nsec-websocket-version=13\n");
}

/* What must not enter another's table (RFC 7541 section 7.1.3), nor lose its mark on the way. */
UNIT_TEST(secrets)
{
    struct http_request_head head = {
        .method_name = STR("GET"), .method = METHOD_GET, .authority = STR("a"), .path = STR("/")};
    add(&head.fields, "Authorization", "a");
    add(&head.fields, "Cookie", "c");
    add(&head.fields, "Proxy-Authorization", "p");
    add(&head.fields, "x-marked", "m");
    head.fields.items[3].secret = true;
    add(&head.fields, "x-plain", "n");
    const char *got = decoded(h2_request_block(&arena, &head, false, NULL, 0));
    ck_assert_str_eq(strstr(got, "!"), "!authorization=a\n!cookie=c\n!proxy-authorization=p\n"
                                       "!x-marked=m\nx-plain=n\n");
    struct http_fields trailers = {0};
    add(&trailers, "Set-Cookie", "s");
    ck_assert_str_eq(decoded(h2_trailer_block(&arena, &trailers)), "!set-cookie=s\n");
}

UNIT_TEST(every_status)
{
    for (uint16_t status = 100; status < 600; status++) {
        struct http_response_head head = {.status = status, .body = BODY_NONE};
        char want[32];
        snprintf(want, sizeof(want), ":status=%u\n", status == 101 ? 200u : status);
        ck_assert_str_eq(decoded(h2_response_block(&arena, &head)), want);
    }
}

UNIT_TEST(lengths_of_responses)
{
    static const struct {
        uint16_t status;
        enum http_body body;
        uint64_t length;
        bool has_length;
        const char *want;
    } rows[] = {
        {200, BODY_LENGTH, 7, true, ":status=200\ncontent-length=7\n"},
        {200, BODY_LENGTH, UINT64_MAX, true, ":status=200\ncontent-length=18446744073709551615\n"},
        {200, BODY_LENGTH, 0, true, ":status=200\n"},
        {200, BODY_NONE, 7, true, ":status=200\ncontent-length=7\n"}, /* to HEAD */
        {304, BODY_NONE, 0, false, ":status=304\n"},
        {200, BODY_CHUNKED, 0, false, ":status=200\n"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct http_response_head head = {.status = rows[i].status,
                                          .body = rows[i].body,
                                          .content_length = rows[i].length,
                                          .has_content_length = rows[i].has_length};
        ck_assert_str_eq(decoded(h2_response_block(&arena, &head)), rows[i].want);
    }
}

/* Around the bounds of the integers that tell lengths, and of the words that names are put in lower
 * case by; each character that a name may have. */
UNIT_TEST(names_and_values_of_any_length)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ[]`~|^_!#$%&'*+-.0123456789"
                                  "abcdefghijklmnopqrstuvwxyz";
    static const size_t lengths[] = {1,   2,   7,   8,   9,   15,  16,  17,   30,    31,   126,
                                     127, 128, 254, 255, 256, 382, 383, 4000, 16510, 16511};
    static char name[600], value[20000], want[21000];

    for (size_t i = 0; i < ARRAY_COUNT(lengths); i++) {
        size_t name_len = lengths[i] < sizeof(name) ? lengths[i] : sizeof(name) - 1;
        for (size_t at = 0; at < name_len; at++) {
            char c = letters[(at + i) % (sizeof(letters) - 1)];
            name[at] = c == '[' || c == ']' ? 'Z' : c;
        }
        name[name_len] = '\0';
        memset(value, 'V', lengths[i]);
        value[lengths[i]] = '\0';
        struct http_response_head head = {.status = 200};
        add(&head.fields, name, value);
        for (size_t at = 0; at < name_len; at++) {
            name[at] = (char)(name[at] >= 'A' && name[at] <= 'Z' ? name[at] + 32 : name[at]);
        }
        snprintf(want, sizeof(want), ":status=200\n%s=%s\n", name, value);
        ck_assert_str_eq(decoded(h2_response_block(&arena, &head)), want);
    }
}
