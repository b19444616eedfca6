/* SPDX-License-Identifier: MIT */
/* message.c: names, methods, and lists of fields that change. */
#include "runner.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "http/message.h"

/* ---- tables ---- */

static const struct {
    const char *name;
    enum field_id id;
} names[] = {
    {"Accept", FIELD_ACCEPT},
    {"Connection", FIELD_CONNECTION},
    {"Content-Length", FIELD_CONTENT_LENGTH},
    {"Content-Type", FIELD_CONTENT_TYPE},
    {"Cookie", FIELD_COOKIE},
    {"Date", FIELD_DATE},
    {"Expect", FIELD_EXPECT},
    {"Forwarded", FIELD_FORWARDED},
    {"Host", FIELD_HOST},
    {"HTTP2-Settings", FIELD_HTTP2_SETTINGS},
    {"Keep-Alive", FIELD_KEEP_ALIVE},
    {"Location", FIELD_LOCATION},
    {"Max-Forwards", FIELD_MAX_FORWARDS},
    {"Proxy-Authenticate", FIELD_PROXY_AUTHENTICATE},
    {"Proxy-Authorization", FIELD_PROXY_AUTHORIZATION},
    {"Proxy-Connection", FIELD_PROXY_CONNECTION},
    {"Referer", FIELD_REFERER},
    {"Retry-After", FIELD_RETRY_AFTER},
    {"Server", FIELD_SERVER},
    {"Set-Cookie", FIELD_SET_COOKIE},
    {"TE", FIELD_TE},
    {"Trailer", FIELD_TRAILER},
    {"Transfer-Encoding", FIELD_TRANSFER_ENCODING},
    {"Upgrade", FIELD_UPGRADE},
    {"User-Agent", FIELD_USER_AGENT},
    {"Via", FIELD_VIA},
    {"X-Forwarded-For", FIELD_X_FORWARDED_FOR},
    {"X-Forwarded-Host", FIELD_X_FORWARDED_HOST},
    {"X-Forwarded-Port", FIELD_X_FORWARDED_PORT},
    {"X-Forwarded-Proto", FIELD_X_FORWARDED_PROTO},
    {"X-Request-Id", FIELD_X_REQUEST_ID},
};

static enum field_id id_of(const char *name)
{
    return field_id_of(str_from(name));
}

UNIT_LOOP_TEST(names_have_no_case, ARRAY_COUNT(names))
{
    char other[32];
    const char *name = names[_i].name;
    ck_assert_int_eq(id_of(name), names[_i].id);
    for (size_t i = 0; i <= strlen(name); i++) {
        other[i] = (char)toupper((unsigned char)name[i]);
    }
    ck_assert_int_eq(id_of(other), names[_i].id);
    for (size_t i = 0; i < strlen(name); i++) {
        other[i] = (char)tolower((unsigned char)name[i]);
    }
    ck_assert_int_eq(id_of(other), names[_i].id);
}

/* Aliases of Weir's own fields under CGI are recognised; see RFC 3875 section 4.1.18. */
UNIT_TEST(aliases_are_known)
{
    static const char *const own[] = {"Content-Length",   "Transfer-Encoding", "X-Forwarded-For",
                                      "X-Forwarded-Host", "X-Forwarded-Port",  "X-Forwarded-Proto",
                                      "X-Request-Id"};
    char other[32];
    for (size_t i = 0; i < ARRAY_COUNT(own); i++) {
        for (const char *c = "_.!~"; *c != '\0'; c++) {
            strcpy(other, own[i]);
            *strrchr(other, '-') = *c;
            ck_assert_int_eq(id_of(other), FIELD_ALIAS);
            *other = (char)tolower((unsigned char)*other);
            ck_assert_int_eq(id_of(other), FIELD_ALIAS);
            *strchr(other, *c) = 'a';
            ck_assert_int_eq(id_of(other), FIELD_OTHER);
        }
    }
    ck_assert_int_eq(id_of("Keep_Alive"), FIELD_OTHER);
}

static bool identifies(const char *name)
{
    return field_name_identifies(str_from(name));
}

UNIT_TEST(names_that_say_who_the_client_is)
{
    ck_assert(identifies("X-Real-IP") && identifies("x_real-ip") && identifies("X-REAL_IP"));
    ck_assert(identifies("True-Client-IP") && identifies("X-Forwarded-Ssl"));
    ck_assert(identifies("x_forwarded_anything") && identifies("CF-Connecting-IP"));
    ck_assert(!identifies("X-Real-IPs") && !identifies("X-Real") && !identifies(""));
    ck_assert(!identifies("X-Forwardedness") && !identifies("Forwarded") && !identifies("Via"));
}

/* A letter is compared by a bit that other bytes have too: none of them may pass for it. */
UNIT_LOOP_TEST(names_that_are_nearly_known_are_others, ARRAY_COUNT(names))
{
    char other[32];
    const char *name = names[_i].name;
    size_t len = strlen(name);
    for (size_t at = 0; at < len; at++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            if (tolower((int)byte) == tolower((unsigned char)name[at])) {
                continue;
            }
            if (name[at] == '-' && !isalnum((int)byte)) {
                continue; /* an alias, perhaps */
            }
            memcpy(other, name, len + 1);
            other[at] = (char)byte;
            ck_assert_msg(field_id_of((struct weir_str){other, len}) == FIELD_OTHER,
                          "%s with byte %02x at %zu", name, byte, at);
        }
    }
    ck_assert_int_eq(field_id_of((struct weir_str){name, len - 1}), FIELD_OTHER);
    snprintf(other, sizeof(other), "%sx", name);
    ck_assert_int_eq(id_of(other), FIELD_OTHER);
}

UNIT_TEST(every_id_has_a_name)
{
    bool found[FIELD_ID_COUNT] = {[FIELD_OTHER] = true, [FIELD_ALIAS] = true};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        found[names[i].id] = true;
    }
    for (size_t id = 0; id < FIELD_ID_COUNT; id++) {
        ck_assert_msg(found[id], "no name of id %zu in this table", id);
    }
}

static const struct {
    const char *name;
    enum http_method method;
    bool idempotent; /* RFC 9110 section 9.2.2 */
} methods[] = {
    {"GET", METHOD_GET, true},         {"HEAD", METHOD_HEAD, true},
    {"POST", METHOD_POST, false},      {"PUT", METHOD_PUT, true},
    {"DELETE", METHOD_DELETE, true},   {"CONNECT", METHOD_CONNECT, false},
    {"OPTIONS", METHOD_OPTIONS, true}, {"TRACE", METHOD_TRACE, true},
    {"PATCH", METHOD_PATCH, false},    {"get", METHOD_OTHER, false},
    {"GETS", METHOD_OTHER, false},     {"GE", METHOD_OTHER, false},
    {"PROPFIND", METHOD_OTHER, false}, {"", METHOD_OTHER, false},
};

UNIT_LOOP_TEST(methods_have_a_case, ARRAY_COUNT(methods))
{
    ck_assert_int_eq(method_of(str_from(methods[_i].name)), methods[_i].method);
    ck_assert(method_is_idempotent(methods[_i].method) == methods[_i].idempotent);
}

UNIT_LOOP_TEST(bytes_of_names_and_values, 40)
{
    static const char token[] = "!#$%&'*+-.^_`|~";
    for (unsigned byte = 0; byte < 256; byte++) {
        char c = (char)byte;
        struct weir_str text = {&c, 1};
        bool alnum = byte < 128 && isalnum((int)byte);
        bool name = alnum || (byte != 0 && byte < 128 && strchr(token, (int)byte) != NULL);
        bool value = byte == '\t' || (byte >= 0x20 && byte != 0x7f);
        ck_assert_msg(field_name_valid(text) == name, "byte %02x in a name", byte);
        ck_assert_msg(field_value_valid(text) == value, "byte %02x in a value", byte);
        /* The same deep in a long one: what looks at 16 bytes at once agrees. */
        char many[40];
        memset(many, 'a', sizeof(many));
        many[_i] = c;
        text = (struct weir_str){many, sizeof(many)};
        ck_assert_msg(field_name_valid(text) == name, "byte %02x at %d of a name", byte, _i);
        ck_assert_msg(field_value_valid(text) == value, "byte %02x at %d of a value", byte, _i);
    }
    ck_assert(!field_name_valid((struct weir_str){NULL, 0}));
    ck_assert(field_value_valid((struct weir_str){NULL, 0}));
}

/* ---- lists ---- */

static struct arena arena;
static struct http_fields fields;

static void set_up(void)
{
    arena_init(&arena, NULL, 0);
    fields = (struct http_fields){0};
}

static void tear_down(void)
{
    arena_reset(&arena);
}

static void add(const char *name, const char *value)
{
    ck_assert(fields_add(&fields, &arena, str_from(name), str_from(value)));
}

/* `name=value;...` of what is not dropped. */
static const char *words(void)
{
    static char out[4096];
    size_t at = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < fields.count; i++) {
        const struct http_field *field = &fields.items[i];
        if (!field->dropped) {
            at += (size_t)snprintf(out + at, sizeof(out) - at, "%.*s=%.*s;", STR_ARGS(field->name),
                                   STR_ARGS(field->value));
        }
    }
    return out;
}

UNIT_TEST(finding)
{
    add("a", "1");
    add("Via", "2");
    add("A", "3");
    add("via", "4");
    ck_assert_ptr_null(fields_find(&fields, FIELD_HOST));
    ck_assert_str_eq(fields_find(&fields, FIELD_VIA)->value.ptr, "2");
    ck_assert_str_eq(fields_find_name(&fields, STR("VIA"))->value.ptr, "2");
    ck_assert_str_eq(fields_find_name(&fields, STR("A"))->value.ptr, "1");
    ck_assert_ptr_null(fields_find_name(&fields, STR("b")));
    ck_assert(fields_have(&fields, FIELD_VIA) && !fields_have(&fields, FIELD_HOST));
}

UNIT_TEST(dropping)
{
    add("a", "1");
    add("Via", "2");
    add("A", "3");
    add("via", "4");
    ck_assert_uint_eq(fields_drop(&fields, FIELD_VIA), 2);
    ck_assert(!fields_have(&fields, FIELD_VIA));
    ck_assert_ptr_null(fields_find(&fields, FIELD_VIA));
    ck_assert_uint_eq(fields_drop(&fields, FIELD_VIA), 0);
    ck_assert_uint_eq(fields_drop_name(&fields, STR("A")), 2);
    ck_assert_uint_eq(fields_drop_name(&fields, STR("a")), 0);
    ck_assert_str_eq(words(), "");
    add("via", "5");
    ck_assert_str_eq(fields_find(&fields, FIELD_VIA)->value.ptr, "5");
    ck_assert_uint_eq(fields_drop_name(&fields, STR("VIA")), 1);
}

UNIT_TEST(what_would_break_a_message_is_not_added)
{
    ck_assert(!fields_add(&fields, &arena, STR(""), STR("x")));
    ck_assert(!fields_add(&fields, &arena, STR("a b"), STR("x")));
    ck_assert(!fields_add(&fields, &arena, STR("a:"), STR("x")));
    ck_assert(!fields_add(&fields, &arena, STR("a"), STR("x\r\nb: y")));
    ck_assert(!fields_add(&fields, &arena, STR("a"), STR("x\0")));
    ck_assert_uint_eq(fields.count, 0);
}

UNIT_TEST(the_array_grows)
{
    char name[16];
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        ck_assert(fields_add(&fields, &arena, arena_copy(&arena, str_from(name)), STR("v")));
    }
    ck_assert_uint_eq(fields.count, 1000);
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "N%d", i);
        ck_assert_ptr_nonnull(fields_find_name(&fields, str_from(name)));
    }
}

UNIT_TEST(memory_that_is_out_is_told)
{
    struct arena small;
    arena_init(&small, NULL, 64);
    ck_assert(!fields_add(&fields, &small, STR("a"), STR("b")));
    ck_assert_uint_eq(fields.count, 0);
    arena_reset(&small);
}

UNIT_TEST(tokens_of_lists)
{
    add("TE", "a,  trailers\t");
    add("te", "B");
    ck_assert(fields_list_has(&fields, FIELD_TE, STR("a")));
    ck_assert(fields_list_has(&fields, FIELD_TE, STR("Trailers")));
    ck_assert(fields_list_has(&fields, FIELD_TE, STR("b")));
    ck_assert(!fields_list_has(&fields, FIELD_TE, STR("trailer")));
    ck_assert(!fields_list_has(&fields, FIELD_CONNECTION, STR("a")));
}

/* ---- hop by hop ---- */

/* Fields as `name=value;...`, and what is left of them. */
static const struct {
    const char *rule;
    const char *before, *after;
} hops[] = {
    {"9110 7.6.1: what Connection names goes", "Connection=X-A, x-b;X-A=1;X-B=2;x-a=3;X-C=4;",
     "X-C=4;"},
    {"9110 7.6.1: in every line of it", "Connection=a;A=1;connection=B;B=2;C=3;", "C=3;"},
    {"9110 7.6.1: whatever stands before it", "A=1;Connection=a;", ""},
    {"9110 7.6.1: known fields too", "Connection=Via, cookie;Via=1;Cookie=2;Cookie=3;X=y;", "X=y;"},
    {"9110 7.6.1: what is known to be of one connection",
     "Keep-Alive=timeout=5;Proxy-Connection=close;TE=gzip;Transfer-Encoding=chunked;Upgrade=h2c;"
     "HTTP2-Settings=AAA;Content-Length=5;X=y;",
     "X=y;"},
    {"9110 6.6.2: Trailer goes on", "Trailer=A;", "Trailer=A;"},
    {"never Host", "Connection=Host, x;Host=a;X=y;", "Host=a;"},
    {"options that name no field", "Connection=close, keep-alive, ,;X=y;", "X=y;"},
    {"nor what frames: the writer states it from the parsed head",
     "Connection=Content-Length, Transfer-Encoding, connection;Content-Length=5;Host=a;",
     "Host=a;"},
    {"nothing to do", "Host=a;X=y;", "Host=a;X=y;"},
};

UNIT_LOOP_TEST(hop_by_hop, ARRAY_COUNT(hops))
{
    char *text = base_strdup(hops[_i].before), *rest = text;
    while (*rest != '\0') {
        char *name = rest, *value = strchr(name, '=') + 1;
        rest = strchr(value, ';') + 1;
        value[-1] = rest[-1] = '\0';
        add(name, value);
    }
    fields_drop_hop_by_hop(&fields);
    ck_assert_msg(strcmp(words(), hops[_i].after) == 0, "%s:\n  got    %s\n  wanted %s",
                  hops[_i].rule, words(), hops[_i].after);
    /* `seen` is correct afterwards. */
    for (unsigned id = 1; id < FIELD_ID_COUNT; id++) {
        bool there = false;
        for (uint32_t i = 0; i < fields.count; i++) {
            there = there || (fields.items[i].id == id && !fields.items[i].dropped);
        }
        ck_assert(fields_have(&fields, (enum field_id)id) == there);
    }
    free(text);
}

UNIT_TEST(setting_replaces_or_changes_nothing)
{
    struct arena small;
    struct http_fields few = {0};

    add("Server", "a");
    add("X-Own", "1");
    add("SERVER", "b");
    add("x-own", "2");
    ck_assert(fields_set(&fields, &arena, STR("server"), STR("c")));
    ck_assert(fields_set(&fields, &arena, STR("X-OWN"), STR("3")));
    ck_assert(fields_set(&fields, &arena, STR("X-New"), STR("4")));
    ck_assert(str_equal(fields_find(&fields, FIELD_SERVER)->value, STR("c")));
    ck_assert_uint_eq(fields_drop(&fields, FIELD_SERVER), 1);
    ck_assert(str_equal(fields_find_name(&fields, STR("x-own"))->value, STR("3")));
    ck_assert_uint_eq(fields_drop_name(&fields, STR("x-own")), 1);
    ck_assert_uint_eq(fields_drop_name(&fields, STR("x-new")), 1);
    /* What has an id of its kind and not of its name is found by its name. */
    add("X_Request_Id", "1");
    ck_assert(fields_set(&fields, &arena, STR("Content_Length"), STR("2")));
    ck_assert_uint_eq(fields_drop_name(&fields, STR("x_request_id")), 1);
    ck_assert_uint_eq(fields_drop_name(&fields, STR("content_length")), 1);

    arena_init(&small, NULL, ARENA_BLOCK_SIZE);
    ck_assert(fields_add(&few, &small, STR("A"), STR("old")));
    while (fields_add(&few, &small, STR("B"), STR("b"))) {}
    ck_assert(!fields_set(&few, &small, STR("A"), STR("new")));
    ck_assert(str_equal(fields_find_name(&few, STR("A"))->value, STR("old")));
    arena_reset(&small);
}

/* ---- moving ---- */

UNIT_TEST(slices_move_with_their_bytes)
{
    char from[] = "GET /x?q HTTP/1.1\r\nHost: h\r\n\r\n";
    size_t len = sizeof(from) - 1;
    static const char apart[] = "/normal";
    struct http_request_head head = {
        .method_name = {from, 3},
        .target = {from + 4, 4},
        .path = {apart, 7},
        .query = {from + 7, 1},
        .authority = {from + 25, 1},
    };
    ck_assert(fields_add(&head.fields, &arena, (struct weir_str){from + 19, 4},
                         (struct weir_str){from + 25, 1}));
    ck_assert(request_head_own(&head, &arena, from, len));
    memset(from, '-', len);
    ck_assert(str_equal(head.method_name, STR("GET")));
    ck_assert(str_equal(head.target, STR("/x?q")));
    ck_assert_ptr_eq(head.path.ptr, apart);
    ck_assert(str_equal(head.query, STR("q")));
    ck_assert(str_equal(head.authority, STR("h")));
    ck_assert_ptr_null(head.host.ptr);
    ck_assert(str_equal(head.fields.items[0].name, STR("Host")));
    ck_assert(str_equal(head.fields.items[0].value, STR("h")));
}

/* Out of memory: nothing points to what was read. */
UNIT_LOOP_TEST(a_head_has_its_own_bytes_or_none, 2)
{
    bool room = _i == 0;
    struct arena small;
    char from[] = "HEAD /x HTTP/1.1\r\nHost: h\r\nX: ";
    size_t len = sizeof(from) - 1;
    struct http_request_head head = {
        .method = METHOD_HEAD,
        .version = HTTP_1_1,
        .method_name = {from, 4},
        .target = {from + 5, 2},
        .path = {from + 5, 2},
        .host = {from + 24, 1},
    };
    arena_init(&small, NULL, room ? 0 : 16);
    ck_assert(fields_add(&head.fields, &arena, STR("Host"), (struct weir_str){from + 24, 1}));
    ck_assert(request_head_own(&head, &small, from, len) == room);
    memset(from, '-', len);
    ck_assert(head.method == METHOD_HEAD && head.version == HTTP_1_1);
    ck_assert(str_equal(head.method_name, room ? STR("HEAD") : STR("")));
    ck_assert(str_equal(head.target, room ? STR("/x") : STR("")));
    ck_assert(str_equal(head.path, room ? STR("/x") : STR("")));
    ck_assert(str_equal(head.host, room ? STR("h") : STR("")));
    ck_assert_uint_eq(head.fields.count, room ? 1 : 0);
    ck_assert(!room || str_equal(head.fields.items[0].value, STR("h")));
    arena_reset(&small);
}

UNIT_FIXTURE(set_up, tear_down);
