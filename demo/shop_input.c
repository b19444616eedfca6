/* SPDX-License-Identifier: MIT */
/* What came with a request: its values, its body, and the cookie that names its session. */
#include "shop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

enum { BODY_LIMIT = 64 * 1024, FORM_VALUE_LIMIT = 200 };

/* RFC 3629: no overlong form, no surrogate, nothing above U+10FFFF. */
bool shop_utf8(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    while (*p != '\0') {
        int more;
        unsigned low = 0x80;
        unsigned high = 0xbf;
        if (*p < 0x80) {
            p++;
            continue;
        } else if (*p >= 0xc2 && *p <= 0xdf) {
            more = 1;
        } else if ((*p & 0xf0) == 0xe0) {
            more = 2;
            low = *p == 0xe0 ? 0xa0 : 0x80;
            high = *p == 0xed ? 0x9f : 0xbf;
        } else if (*p >= 0xf0 && *p <= 0xf4) {
            more = 3;
            low = *p == 0xf0 ? 0x90 : 0x80;
            high = *p == 0xf4 ? 0x8f : 0xbf;
        } else {
            return false;
        }
        for (p++; more > 0; more--, p++) {
            if (*p < low || *p > high) {
                return false;
            }
            low = 0x80;
            high = 0xbf;
        }
    }
    return true;
}

bool shop_number(const char *text, unsigned max, unsigned *out)
{
    uint64_t value = 0;
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 9 || text[digits] != '\0') {
        return false;
    }
    for (size_t i = 0; i < digits; i++) {
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    if (value > max) {
        return false;
    }
    *out = (unsigned)value;
    return true;
}

const char *shop_value(const struct evkeyvalq *values, const char *name)
{
    const char *value = evhttp_find_header(values, name);
    return value != NULL ? value : "";
}

/* Browsers name the page that a request comes from; a form on a stranger's page is refused. What
 * sends neither header is no browser and carries nobody's cookies but its own. */
bool shop_same_site(struct shop_request *rq)
{
    struct evkeyvalq *in = evhttp_request_get_input_headers(rq->http);
    const char *site = evhttp_find_header(in, "Sec-Fetch-Site");
    if (site != NULL) {
        return strcmp(site, "same-origin") == 0 || strcmp(site, "none") == 0;
    }
    const char *origin = evhttp_find_header(in, "Origin");
    const char *host = evhttp_find_header(in, "Host");
    if (origin == NULL) {
        return true;
    }
    const char *authority = strstr(origin, "://");
    return authority != NULL && host != NULL && strcasecmp(authority + 3, host) == 0;
}

char *shop_body(struct shop_request *rq, const char *type)
{
    struct evbuffer *in = evhttp_request_get_input_buffer(rq->http);
    size_t len = evbuffer_get_length(in);
    const char *is = shop_value(evhttp_request_get_input_headers(rq->http), "Content-Type");
    size_t type_len = strlen(type);
    if (len > BODY_LIMIT) {
        shop_error(rq, 413, "The body is larger than 64 KiB.");
        return NULL;
    }
    if (len > 0 && (strncasecmp(is, type, type_len) != 0 ||
                    (is[type_len] != '\0' && is[type_len] != ';' && is[type_len] != ' '))) {
        char detail[120];
        snprintf(detail, sizeof detail, "The body must be of type %s.", type);
        shop_error(rq, 415, detail);
        return NULL;
    }
    char *text = malloc(len + 1);
    if (text == NULL) {
        shop_error(rq, 500, "There is no memory for the body.");
        return NULL;
    }
    evbuffer_copyout(in, text, len);
    text[len] = '\0';
    if (strlen(text) != len || !shop_utf8(text)) {
        free(text);
        shop_error(rq, 400, "The body is not UTF-8 text.");
        return NULL;
    }
    return text;
}

bool shop_form(struct shop_request *rq, struct evkeyvalq *form)
{
    char *body = shop_body(rq, "application/x-www-form-urlencoded");
    if (body == NULL) {
        return false;
    }
    if (evhttp_parse_query_str(body, form) != 0) {
        free(body);
        shop_error(rq, 400, "The form is not well-formed.");
        return false;
    }
    free(body);
    struct evkeyval *field;
    TAILQ_FOREACH (field, form, next) {
        if (!shop_utf8(field->value) || strlen(field->value) > FORM_VALUE_LIMIT) {
            evhttp_clear_headers(form);
            shop_error(rq, 400, "A field is not UTF-8 text, or longer than 200 bytes.");
            return false;
        }
    }
    return true;
}

static const char *cookie_name(const struct shop *shop)
{
    return shop->role == SHOP_API ? "shop_api" : "shop_web";
}

static bool came_by_tls(struct shop_request *rq)
{
    const char *proto =
        evhttp_find_header(evhttp_request_get_input_headers(rq->http), "X-Forwarded-Proto");
    return proto != NULL && strcasecmp(proto, "https") == 0;
}

/* Each side's cookie goes to that side alone: their sessions live in different processes. */
static void put_cookie(struct shop_request *rq, const char *value, const char *more)
{
    char text[200];
    snprintf(text, sizeof text, "%s=%s; Path=%s; HttpOnly; SameSite=Lax%s%s", cookie_name(rq->shop),
             value, rq->shop->role == SHOP_API ? "/api" : "/", came_by_tls(rq) ? "; Secure" : "",
             more);
    evhttp_remove_header(evhttp_request_get_output_headers(rq->http), "Set-Cookie");
    shop_add_header(rq, "Set-Cookie", text);
}

void shop_set_cookie(struct shop_request *rq)
{
    put_cookie(rq, rq->session->id, "");
}

void shop_drop_cookie(struct shop_request *rq)
{
    put_cookie(rq, "", "; Max-Age=0");
}

struct session *shop_need_session(struct shop_request *rq)
{
    if (rq->session == NULL) {
        rq->session = session_new(rq->shop->sessions, shop_now_ms());
        if (rq->session == NULL) {
            shop_error(rq, 500, "There is no memory for another cart.");
            return NULL;
        }
        shop_set_cookie(rq);
    }
    return rq->session;
}

struct session *shop_known_session(struct shop_request *rq)
{
    const char *name = cookie_name(rq->shop);
    size_t name_len = strlen(name);
    struct evkeyval *header;
    TAILQ_FOREACH (header, evhttp_request_get_input_headers(rq->http), next) {
        if (strcasecmp(header->key, "Cookie") != 0) {
            continue;
        }
        const char *at = header->value;
        while (*at != '\0') {
            at += strspn(at, "; \t");
            size_t len = strcspn(at, ";");
            if (len == name_len + 1 + SESSION_ID_LEN && strncmp(at, name, name_len) == 0 &&
                at[name_len] == '=') {
                char id[SESSION_ID_LEN + 1];
                memcpy(id, at + name_len + 1, SESSION_ID_LEN);
                id[SESSION_ID_LEN] = '\0';
                struct session *session = session_find(rq->shop->sessions, id, shop_now_ms());
                if (session != NULL) {
                    return session;
                }
            }
            at += len;
        }
    }
    return NULL;
}
