/* SPDX-License-Identifier: MIT */
/* Heads in words, and the checks of table rows. */
#include "heads.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"

#define WORDS_SIZE 2048

const struct http_limits heads_limits = {.head = 1024, .fields = 10, .target = 100};

static const char *body_word(enum http_body body, uint64_t length, char out[32])
{
    static const char *const words[] = {"none", "length", "chunked", "close", "tunnel"};
    if (body != BODY_LENGTH) {
        return words[body];
    }
    snprintf(out, 32, "length=%llu", (unsigned long long)length);
    return out;
}

/* `METHOD form path[?query] authority host minor body flag...` */
static void request_words(const struct http_request_head *head, char *out)
{
    static const char *const forms[] = {"origin", "absolute", "asterisk", "authority"};
    char body[32];
    snprintf(out, WORDS_SIZE, "%.*s %s %.*s%s%.*s %.*s %.*s 1.%u %s%s%s%s%s%s",
             STR_ARGS(head->method_name), forms[head->form], STR_ARGS(head->path),
             head->has_query ? "?" : "", STR_ARGS(head->query), STR_ARGS(head->authority),
             STR_ARGS(head->host), head->version - HTTP_1_0,
             body_word(head->body, head->content_length, body), head->keep_alive ? " keep" : "",
             head->expect_continue ? " expect" : "", head->upgrade_websocket ? " websocket" : "",
             head->te_trailers ? " trailers" : "", head->close_after ? " dubious" : "");
}

/* `status reason minor body flag...`; `said=N` where a length is there beside no body. */
static void response_words(const struct http_response_head *head, char *out)
{
    char body[32], said[32] = "";
    if (head->has_content_length && head->body != BODY_LENGTH) {
        snprintf(said, sizeof(said), " said=%llu", (unsigned long long)head->content_length);
    }
    snprintf(out, WORDS_SIZE, "%u '%.*s' 1.%u %s%s%s", head->status, STR_ARGS(head->reason),
             head->version - HTTP_1_0, body_word(head->body, head->content_length, body), said,
             head->keep_alive ? " keep" : "");
}

struct parsed {
    enum h1_status status;
    size_t used;
    char words[WORDS_SIZE];
};

static struct parsed parse(const struct head_case *it, bool response, size_t len,
                           struct h1_scan *scan)
{
    struct parsed parsed = {.words = ""};
    struct http_error error = {0};
    struct arena arena;
    struct http_request_head request;
    struct http_response_head answer;
    enum http_method method = it->method != METHOD_OTHER ? it->method : METHOD_GET;
    char *copy = malloc(len > 0 ? len : 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, it->raw, len);
    arena_init(&arena, NULL, 0);
    parsed.status = response ? h1_parse_response(copy, len, &heads_limits, scan, &arena, method,
                                                 &answer, &parsed.used, &error)
                             : h1_parse_request(copy, len, &heads_limits, scan, &arena, &request,
                                                &parsed.used, &error);
    if (parsed.status == H1_ERROR) {
        snprintf(parsed.words, sizeof(parsed.words), "%u %s", error.status, error.reason);
    } else if (parsed.status == H1_INCOMPLETE) {
        snprintf(parsed.words, sizeof(parsed.words), "incomplete");
    } else if (response) {
        response_words(&answer, parsed.words);
    } else {
        request_words(&request, parsed.words);
    }
    arena_reset(&arena);
    free(copy);
    return parsed;
}

static void check_case(const struct head_case *it, bool response)
{
    size_t len = it->len > 0 ? it->len : strlen(it->raw);
    struct h1_scan fresh = {0}, growing = {0};
    struct parsed whole = parse(it, response, len, &fresh);
    ck_assert_msg(strcmp(whole.words, it->expected) == 0, "%s:\n  got    %s\n  wanted %s", it->rule,
                  whole.words, it->expected);
    if (whole.status == H1_DONE) {
        ck_assert_msg(whole.used <= len, "%s: used %zu of %zu", it->rule, whole.used, len);
    }

    for (size_t have = 1; have <= len; have++) {
        struct h1_scan none = {0};
        struct parsed prefix = parse(it, response, have, &none);
        struct parsed grown = parse(it, response, have, &growing);
        if (whole.status == H1_DONE) {
            enum h1_status wanted = have < whole.used ? H1_INCOMPLETE : H1_DONE;
            ck_assert_msg(prefix.status == wanted, "%s: prefix of %zu", it->rule, have);
            ck_assert_msg(grown.status == wanted, "%s: grown to %zu", it->rule, have);
            if (wanted == H1_DONE) {
                ck_assert_str_eq(grown.words, whole.words);
                break;
            }
        } else {
            ck_assert_msg(prefix.status != H1_DONE, "%s: prefix of %zu", it->rule, have);
            ck_assert_msg(grown.status != H1_DONE, "%s: grown to %zu", it->rule, have);
        }
        if (grown.status == H1_ERROR) {
            break;
        }
    }
}

void check_request_case(const struct head_case *it)
{
    check_case(it, false);
}

void check_response_case(const struct head_case *it)
{
    check_case(it, true);
}
