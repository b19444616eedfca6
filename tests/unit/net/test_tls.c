/* SPDX-License-Identifier: MIT */
/* TLS contexts: what is told of wrong files and settings, and which certificate serves which
 * name. */
#include <stdlib.h>

#include "base/log.h"
#include "runner.h"
#include "tls_help.h"

static struct mistakes mistakes;

static void setup(void)
{
    tls_folder_make();
    log_set_level(WEIR_LOG_ERROR);
    mistakes = (struct mistakes){0};
    tls_make("ca", NULL, NULL, 30);
    tls_make("one", "DNS:one.example,DNS:*.one.example,IP:127.0.0.1", "ca", 30);
    tls_make("two", "DNS:TWO.example,DNS:deep.one.example", "ca", 30);
}

static void teardown(void)
{
    mistakes_free(&mistakes);
    tls_folder_remove();
}

/* Fields of the first certificate stand in line 11 and 12, all others in line 7. */
static const struct tls_certificate_conf *placed;

static struct place place_of(void *arg, const void *field)
{
    struct place place = {arg, 7};
    if (placed != NULL && field == &placed->chain) {
        place.line = 11;
    } else if (placed != NULL && field == &placed->key) {
        place.line = 12;
    }
    return place;
}

static const struct weir_str names[] = {WEIR_STR_INIT("http/1.1"), WEIR_STR_INIT("http/1.0")};
static const struct weir_list protocols = {names, 2};
static char file_name[] = "listeners.conf";

static struct tls_listener *make(const struct tls_listener_conf *conf)
{
    placed = conf->certificates.items;
    return tls_listener_new(conf, &protocols, place_of, file_name, &mistakes);
}

/* The listener is refused, with this one mistake. `%s` stands for the folder's file. */
static void expect_mistake(const struct tls_listener_conf *conf, const char *format,
                           const char *file, const char *other)
{
    char *wanted = base_printf("listeners.conf:%s", format);
    char text[1024];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(text, sizeof(text), wanted, file != NULL ? tls_path(file).ptr : "",
             other != NULL ? tls_path(other).ptr : "");
#pragma GCC diagnostic pop
    free(wanted);
    mistakes_free(&mistakes);
    mistakes = (struct mistakes){0};
    ck_assert_ptr_null(make(conf));
    ck_assert_uint_eq(mistakes.count, 1);
    ck_assert_msg(strncmp(mistakes.texts[0], text, strlen(text)) == 0, "%s\nwanted: %s",
                  mistakes.texts[0], text);
}

static void expect_pair_mistake(const char *chain, const char *key, const char *format,
                                const char *file, const char *other)
{
    struct tls_certificate_conf pair = tls_pair(chain, key);
    struct tls_listener_conf conf = tls_conf(&pair, 1);
    expect_mistake(&conf, format, file, other);
}

UNIT_TEST(test_mistakes_of_files_have_place_and_reason)
{
    expect_pair_mistake("none.crt", "one.key",
                        "11: cannot read certificate %s: No such file or directory", "none.crt",
                        NULL);
    expect_pair_mistake("one.crt", "none.key", "12: cannot read key %s: No such file or directory",
                        "none.key", NULL);
    tls_write_text("text", "hello\n");
    expect_pair_mistake("text", "one.key", "11: %s has no certificate; PEM is expected", "text",
                        NULL);
    expect_pair_mistake("one.crt", "text", "12: %s has no private key; PEM is expected", "text",
                        NULL);
    expect_pair_mistake("one.crt", "one.crt", "12: %s has no private key", "one.crt", NULL);
    tls_write_text("broken", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
    expect_pair_mistake("broken", "one.key", "11: certificate 1 of %s is broken: ", "broken", NULL);
    tls_write_text("broken.key", "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n");
    expect_pair_mistake("one.crt", "broken.key", "12: key %s is broken: ", "broken.key", NULL);
    expect_pair_mistake("one.crt", "two.key", "12: key %s does not belong to certificate %s",
                        "two.key", "one.crt");
    tls_encrypt_key("one");
    expect_pair_mistake("one.crt", "one.enc", "12: key %s is encrypted; store it decrypted",
                        "one.enc", NULL);
    tls_append("two", "one");
    expect_pair_mistake("two.crt", "one.key",
                        "11: %s has the certificate of key %s in place 2; it must come first",
                        "two.crt", "one.key");
}

UNIT_TEST(test_mistakes_of_settings_have_place_and_reason)
{
    struct tls_certificate_conf pair = tls_pair("one.crt", "one.key");
    struct tls_listener_conf conf = tls_conf(NULL, 0);
    const struct weir_str h3[] = {WEIR_STR_INIT("http/1.1"), WEIR_STR_INIT("h3")};

    expect_mistake(&conf, "7: tls { } has no certificate; write certificate", NULL, NULL);
    conf = tls_conf(&pair, 1);
    conf.ciphers = STR("NO-SUCH-CIPHER");
    expect_mistake(&conf, "7: `NO-SUCH-CIPHER` names no cipher suite of TLS 1.2", NULL, NULL);
    conf = tls_conf(&pair, 1);
    conf.ciphersuites = STR("TLS_NONE");
    expect_mistake(&conf, "7: `TLS_NONE` is not a list of cipher suites of TLS 1.3", NULL, NULL);
    conf = tls_conf(&pair, 1);
    conf.alpn = (struct weir_list){h3, 2};
    expect_mistake(&conf, "7: the protocol `h3` is unsupported; `alpn` takes http/1.1, http/1.0",
                   NULL, NULL);
}

UNIT_TEST(test_all_mistakes_are_told_in_one_run)
{
    struct tls_certificate_conf pairs[] = {tls_pair("none.crt", "none.key"),
                                           tls_pair("one.crt", "two.key")};
    struct tls_listener_conf conf = tls_conf(pairs, 2);

    conf.ciphers = STR("NO-SUCH-CIPHER");
    ck_assert_ptr_null(make(&conf));
    ck_assert_uint_eq(mistakes.count, 4);
}

UNIT_TEST(test_an_expired_certificate_still_serves)
{
    tls_make("old", "DNS:old.example", NULL, -3);
    struct tls_certificate_conf pair = tls_pair("old.crt", "old.key");
    struct tls_listener_conf conf = tls_conf(&pair, 1);
    struct tls_listener *listener = make(&conf);

    ck_assert_ptr_nonnull(listener);
    ck_assert_uint_eq(mistakes.count, 0);
    tls_listener_free(&listener);
}

UNIT_TEST(test_names_choose_certificates)
{
    static const struct {
        const char *name;
        int certificate;
    } rows[] = {
        {"one.example", 0},
        {"a.one.example", 0},
        {"a.b.one.example", -1},
        {"deep.one.example", 1}, /* exact before wildcard */
        {"two.example", 1},
        {"two.example.", 1},
        {"a.two.example", -1},
        {"", -1},
        {".", -1},
        {".one.example", -1},
        {"example", -1},
        {"*.one.example", 0},
        {"three", 2},
        {"both.example", 3},
        {"xone.example", -1},
    };
    tls_make("three", NULL, NULL, 30); /* its common name is all it has */
    tls_make("four", "DNS:both.example", NULL, 30);
    tls_make("five", "DNS:both.example", NULL, 30);
    struct tls_certificate_conf pairs[] = {
        tls_pair("one.crt", "one.key"),     tls_pair("two.crt", "two.key"),
        tls_pair("three.crt", "three.key"), tls_pair("four.crt", "four.key"),
        tls_pair("five.crt", "five.key"),
    };
    struct tls_listener_conf conf = tls_conf(pairs, 5);
    struct tls_listener *listener = make(&conf);

    ck_assert_msg(listener != NULL, "%s", mistakes.count > 0 ? mistakes.texts[0] : "");
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        int wanted = rows[i].certificate;
        int found = tls_listener_certificate_for(listener, str_from(rows[i].name));
        ck_assert_msg(found == wanted, "%s: %d, not %d", rows[i].name, found, wanted);
    }
    char longest[300];
    memset(longest, 'a', sizeof(longest));
    ck_assert_int_eq(
        tls_listener_certificate_for(listener, (struct weir_str){longest, sizeof(longest)}), -1);
    tls_listener_free(&listener);
}

UNIT_TEST(test_what_is_shown_of_a_certificate)
{
    struct tls_certificate_conf pairs[] = {tls_pair("one.crt", "one.key"),
                                           tls_pair("ca.crt", "ca.key")};
    struct tls_listener_conf conf = tls_conf(pairs, 2);
    struct tls_listener *listener = make(&conf);
    const struct tls_certificate_info *infos;

    ck_assert_ptr_nonnull(listener);
    ck_assert_uint_eq(tls_listener_certificates(listener, &infos), 2);
    ck_assert_str_eq(infos[0].name, "one.crt");
    ck_assert_str_eq(infos[0].subject, "CN=one");
    ck_assert_str_eq(infos[0].issuer, "CN=ca");
    ck_assert_str_eq(infos[0].names, "one.example, *.one.example, 127.0.0.1");
    ck_assert_str_eq(infos[1].names, "ca");
    ck_assert_int_eq(infos[0].not_after - infos[0].not_before, 30 * 86400 + 60);
    ck_assert_uint_gt(strlen(infos[0].serial), 0);
    tls_listener_free(&listener);
}

UNIT_TEST(test_mistakes_towards_servers)
{
    struct tls_server_conf conf = {.verify = true, .ca = tls_path("none.crt")};

    ck_assert_ptr_null(tls_server_ctx_new(&conf, &protocols, NULL, NULL, &mistakes));
    ck_assert_uint_eq(mistakes.count, 1);
    ck_assert_ptr_nonnull(strstr(mistakes.texts[0], "none.crt: No such file or directory"));
    conf.ca = tls_path("one.key");
    ck_assert_ptr_null(tls_server_ctx_new(&conf, &protocols, NULL, NULL, &mistakes));
    ck_assert_ptr_nonnull(strstr(mistakes.texts[1], "one.key has no certificate that can be read"));
    conf.ca = tls_path("ca.crt");
    conf.certificate = tls_path("one.crt");
    ck_assert_ptr_null(tls_server_ctx_new(&conf, &protocols, NULL, NULL, &mistakes));
    ck_assert_ptr_nonnull(strstr(mistakes.texts[2], "`certificate` stands without `key`"));
    conf.key = tls_path("two.key");
    ck_assert_ptr_null(tls_server_ctx_new(&conf, &protocols, NULL, NULL, &mistakes));
    ck_assert_ptr_nonnull(strstr(mistakes.texts[3], "does not belong to certificate"));
    conf.key = tls_path("one.key");
    SSL_CTX *ctx = tls_server_ctx_new(&conf, &protocols, NULL, NULL, &mistakes);
    ck_assert_ptr_nonnull(ctx);
    ck_assert_uint_eq(mistakes.count, 4);
    SSL_CTX_free(ctx);
}

UNIT_FIXTURE(setup, teardown);
UNIT_TIMEOUT(60);
