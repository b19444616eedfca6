/* SPDX-License-Identifier: MIT */
/*
 * Properties of sticky_cookie, the module as it is, on the SDK's fake host: whatever cookies a
 * client sends, it gets to a server only by a value that Weir has made, and others' cookies pass
 * unharmed.
 */
#include <weir/testing.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/property.h"

#define SERVER   UINT64_C(0x1122334455667788)
#define TEXT_MAX 4096
#define NAME     "weir_session"

const struct weir_module *weir_module_entry(void);

struct stage {
    struct weir_test *host;
    struct weir_test_instance *shown, *hidden;
    char token[64]; /* a value that Weir made */
};

static const struct stage *stage(void)
{
    static struct stage made;
    if (made.host != NULL) {
        return &made;
    }
    made.host = weir_test_new(weir_module_entry());
    HOLDS(made.host != NULL);
    made.shown =
        weir_test_create(made.host, WEIR_TEST_STICKY, weir_test_conf(made.host, "ttl = 1h"));
    made.hidden = weir_test_create(made.host, WEIR_TEST_STICKY,
                                   weir_test_conf(made.host, "ttl = 1h  hide = on"));
    struct weir_request *req = weir_test_request(made.host, "GET", "/");
    struct weir_response *resp = weir_test_response(req, 200);
    HOLDS(weir_test_lookup(made.shown, req) == WEIR_NO_SERVER);
    weir_test_sticky_response(made.shown, req, resp, SERVER, false);
    const char *value = weir_test_response_header(resp, "Set-Cookie", 0);
    HOLDS(value != NULL && sscanf(value, NAME "=%63[^;]", made.token) == 1);
    weir_test_request_free(&req);
    return &made;
}

/* A client's Cookie field: what no field can hold is a dot here, and '@' the value that Weir
 * made. */
static void make_field(const uint8_t *data, size_t len, const char *token, char out[TEXT_MAX])
{
    size_t at = 0;
    for (size_t i = 0; i < len && at + 64 < TEXT_MAX; i++) {
        if (data[i] == '@') {
            at += (size_t)sprintf(out + at, "%s", token);
        } else {
            out[at++] = data[i] < ' ' || data[i] == 0x7f ? '.' : (char)data[i];
        }
    }
    out[at] = '\0';
}

static struct weir_request *request_of(const uint8_t *data, size_t len)
{
    struct weir_request *req = weir_test_request(stage()->host, "GET", "/");
    char field[TEXT_MAX];
    /* Several fields, one a line. */
    for (size_t at = 0; at <= len;) {
        const uint8_t *newline = len > at ? memchr(data + at, '\n', len - at) : NULL;
        size_t end = newline != NULL ? (size_t)(newline - data) : len;
        make_field(data + at, end - at, stage()->token, field);
        weir_test_request_add(req, "Cookie", field);
        at = end + 1;
    }
    return req;
}

/* No pair of that name is left, however it is spelled between the semicolons. */
static void nothing_of_ours(const char *field)
{
    while (field != NULL && *field != '\0') {
        field += strspn(field, "; \t");
        size_t len = strlen(NAME);
        if (strncmp(field, NAME, len) == 0) {
            HOLDS(field[len + strspn(field + len, " \t")] != '=');
        }
        field = strchr(field, ';');
    }
}

void property_cookie(const uint8_t *data, size_t len)
{
    if (len > 2000) {
        return;
    }
    bool may = len > 0 && memchr(data, '@', len) != NULL;
    const struct stage *at = stage();
    struct weir_request *req = request_of(data, len);
    weir_server_id server = weir_test_lookup(at->shown, req);
    HOLDS(server == WEIR_NO_SERVER || (may && server == SERVER));
    struct weir_response *resp = weir_test_response(req, 200);
    weir_test_sticky_response(at->shown, req, resp, SERVER, server == SERVER);
    HOLDS(server == SERVER || weir_test_response_header(resp, "Set-Cookie", 0) != NULL);
    weir_test_request_free(&req);

    req = request_of(data, len);
    HOLDS(weir_test_lookup(at->hidden, req) == server);
    nothing_of_ours(weir_test_request_header(req, "Cookie"));
    weir_test_request_free(&req);
    HOLDS(weir_test_problems(at->host)[0] == '\0');
}
