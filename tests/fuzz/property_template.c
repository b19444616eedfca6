/* SPDX-License-Identifier: MIT */
/*
 * Properties of headers, the module as it is, on the SDK's fake host: whatever a template says and
 * a request brings, a field stays one field, and a redirect leads where it was written to or to the
 * request's own host.
 */
#include <weir/testing.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/property.h"

#define TEXT_MAX 1024

const struct weir_module *weir_module_entry(void);

/* One of the lines; what cannot stand in a line of a configuration or a request is left out. */
static const uint8_t *take_line(const uint8_t *data, const uint8_t *end, char out[TEXT_MAX])
{
    size_t at = 0;
    for (; data < end && *data != '\n'; data++) {
        if (*data >= ' ' && *data != 0x7f && at + 1 < TEXT_MAX) {
            out[at++] = (char)*data;
        }
    }
    out[at] = '\0';
    return data < end ? data + 1 : data;
}

/* As a quoted value of weir.conf. */
static void quote(const char *text, char *out)
{
    *out++ = '"';
    for (; *text != '\0'; text++) {
        if (strchr("\"\\$", *text) != NULL) {
            *out++ = '\\';
        }
        *out++ = *text;
    }
    *out++ = '"';
    *out = '\0';
}

static struct weir_test_instance *filter_of(struct weir_test *host, const char *option,
                                            const char *text)
{
    char quoted[2 * TEXT_MAX + 4], conf[2 * TEXT_MAX + 64];
    quote(text, quoted);
    snprintf(conf, sizeof(conf), option, quoted);
    struct weir_test_block *block = weir_test_conf(host, conf);
    if (block == NULL) {
        HOLDS(weir_test_mistakes(host)[0] != '\0');
        return NULL;
    }
    return weir_test_create(host, WEIR_TEST_FILTER, block);
}

static struct weir_request *request_of(struct weir_test *host, const char *line)
{
    char target[TEXT_MAX] = "/";
    const char *blank = strchr(line, ' ');
    size_t len = blank != NULL ? (size_t)(blank - line) : strlen(line);
    size_t skip = len > 0 && line[0] == '/' ? 1 : 0;
    size_t at = 1;
    for (size_t i = skip; i < len && at + 1 < TEXT_MAX; i++) {
        /* What a target can hold: the core refuses the rest. */
        if ((unsigned char)line[i] > ' ' && (unsigned char)line[i] < 0x7f && line[i] != '#') {
            target[at++] = line[i];
        }
    }
    target[at] = '\0';
    struct weir_request *req = weir_test_request(host, "GET", target);
    weir_test_request_add(req, "X-Given", blank != NULL ? blank + 1 : "");
    return req;
}

static void whole_field(const char *value)
{
    for (; value != NULL && *value != '\0'; value++) {
        HOLDS((unsigned char)*value >= ' ' && *value != 0x7f);
    }
}

/* The part of an address up to where its host ends. */
static size_t site_len(const char *url)
{
    const char *host = strstr(url, "://");
    return host != NULL ? (size_t)(host + 3 - url) + strcspn(host + 3, "/?#") : 0;
}

static void check_redirect(const char *text, const char *location)
{
    char own[TEXT_MAX + 64] = "";
    whole_field(location);
    if (location[0] == '/') {
        HOLDS(text[0] == '/' && location[1] != '/' && location[1] != '\\');
        return;
    }
    HOLDS(strncmp(location, "http://", 7) == 0 || strncmp(location, "https://", 8) == 0);
    /* The site is what is written, with the request's host where that stands. */
    size_t at = 0;
    for (const char *c = text; *c != '\0' && at + 32 < sizeof(own); c++) {
        if (strncmp(c, "{host}", 6) == 0) {
            at += (size_t)sprintf(own + at, "www.example");
            c += 5;
        } else if (strncmp(c, "{scheme}", 8) == 0) {
            at += (size_t)sprintf(own + at, "http");
            c += 7;
        } else if (*c == '{') {
            break;
        } else {
            own[at++] = *c;
        }
    }
    own[at] = '\0';
    size_t len = site_len(own);
    HOLDS(strncmp(location, own, len) == 0);
    HOLDS(location[len] == '\0' || strchr("/?#", location[len]) != NULL ||
          strlen(own) == len); /* then a variable follows, which begins with / or ? */
    HOLDS(location[len] == '\0' || strchr("/?#", location[len]) != NULL);
}

void property_template(const uint8_t *data, size_t len)
{
    char redirect[TEXT_MAX], value[TEXT_MAX], field[TEXT_MAX + 8], line[TEXT_MAX];
    const uint8_t *end = data + len;

    if (len > 2000) {
        return;
    }
    data = take_line(data, end, redirect);
    data = take_line(data, end, value);
    take_line(data, end, line);
    struct weir_test *host = weir_test_new(weir_module_entry());
    HOLDS(host != NULL);

    struct weir_test_instance *filter = filter_of(host, "redirect = %s", redirect);
    if (filter != NULL && redirect[0] != '\0') {
        struct weir_request *req = request_of(host, line);
        HOLDS(weir_test_filter_request(filter, req) == WEIR_DONE);
        const char *location = weir_test_reply_header(req, "Location");
        HOLDS(location != NULL);
        check_redirect(redirect, location);
    }
    snprintf(field, sizeof(field), "X-V: %s", value);
    filter = filter_of(host, "request_set = {%s}", field);
    if (filter != NULL) {
        struct weir_request *req = request_of(host, line);
        HOLDS(weir_test_filter_request(filter, req) == WEIR_OK);
        whole_field(weir_test_request_header(req, "X-V"));
    }
    HOLDS(weir_test_problems(host)[0] == '\0');
    HOLDS(weir_test_free(&host));
}
