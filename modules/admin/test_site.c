/* SPDX-License-Identifier: MIT */
/*
 * admin: what tests of its requests share. See test_site.h.
 */
#include "test_site.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct weir_test *host;
struct weir_test_instance *admin;
char site_csrf[64];
static char folder[64];

static void write_file(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static void make_folder(void)
{
    char path[128], script[4000];
    strcpy(folder, "/tmp/weir-admin.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    memset(script, 'x', sizeof(script) - 1);
    script[sizeof(script) - 1] = '\0';
    write_file("index.html", "<p>panel");
    write_file("login.html", "<p>login");
    write_file("traffic.html", "<p>traffic");
    write_file("a.js", script);
    write_file(".hidden", "no");
    write_file("local.mk", "no");
    snprintf(path, sizeof(path), "%s/sub", folder);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    write_file("sub/b.css", "p{}");
}

static void remove_folder(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}

void site_begin(const char *options)
{
    char conf[256];
    snprintf(conf, sizeof(conf), "web_dir = \"%s\" %s", folder, options);
    admin = weir_test_create(host, WEIR_TEST_HANDLER, test_conf(host, conf));
    ck_assert_ptr_nonnull(admin);
}

void site_set_up(void)
{
    make_folder();
    host = test_begin();
    weir_test_person(host, "ann", WEIR_ROLE_OPERATOR, "weir_ann", "secret", "once");
}

void site_tear_down(void)
{
    test_end(&host);
    remove_folder();
}

struct weir_request *site_request(const char *method, const char *target)
{
    struct weir_request *req = weir_test_request(host, method, target);
    weir_test_request_set_str(req, WEIR_REQUEST_HOST, "localhost");
    weir_test_request_set_str(req, WEIR_REQUEST_AUTHORITY, "localhost:9000");
    return req;
}

uint32_t site_send(struct weir_request *req, const char *body)
{
    if (body != NULL) {
        char length[24];
        snprintf(length, sizeof(length), "%zu", strlen(body));
        weir_test_request_add(req, "Content-Length", length);
        if (weir_test_request_header(req, "Content-Type") == NULL) {
            weir_test_request_add(req, "Content-Type", "application/json");
        }
    }
    ck_assert_int_eq(weir_test_handle(admin, req, body, body != NULL ? strlen(body) : 0), WEIR_OK);
    weir_test_run(host);
    return weir_test_reply_of(req).status;
}

uint32_t site_get(const char *target)
{
    return site_send(site_request("GET", target), NULL);
}

bool site_says(struct weir_request *req, const char *text)
{
    return strstr(weir_test_reply_of(req).body, text) != NULL;
}

struct weir_request *site_with_token(const char *method, const char *target)
{
    struct weir_request *req = site_request(method, target);
    weir_test_request_add(req, "Authorization", "Bearer weir_ann");
    return req;
}

static char cookie[256];

uint32_t site_log_in(const char *body)
{
    struct weir_request *req = site_request("POST", "/api/v1/session");
    uint32_t status = site_send(req, body);
    if (status == 200) {
        const char *set = weir_test_reply_header(req, "Set-Cookie");
        ck_assert_ptr_nonnull(set);
        snprintf(cookie, sizeof(cookie), "%.*s", (int)strcspn(set, ";"), set);
        ck_assert_ptr_nonnull(strstr(set, "; HttpOnly; SameSite=Strict"));
        ck_assert_ptr_nonnull(strstr(set, "; Path=/;"));
        ck_assert_ptr_null(strstr(set, "Secure"));
        const char *at = strstr(weir_test_reply_of(req).body, "\"csrf\":\"");
        ck_assert_ptr_nonnull(at);
        snprintf(site_csrf, sizeof(site_csrf), "%.43s", at + 8);
    }
    return status;
}

struct weir_request *site_with_cookie(const char *method, const char *target)
{
    struct weir_request *req = site_request(method, target);
    weir_test_request_add(req, "Cookie", cookie);
    return req;
}
