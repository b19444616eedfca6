/* SPDX-License-Identifier: MIT */
/*
 * Addresses, networks and URLs.
 */
#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "option/option_value.h"
#include "runner.h"

static char error[OPTION_ERROR_SIZE];

static bool address_is(const char *text, const char *host, uint16_t port, bool numeric, bool local)
{
    struct option_address out;
    if (!option_address_parse(text, strlen(text), &out, error, sizeof(error))) {
        return false;
    }
    return out.host.len == strlen(host) && memcmp(out.host.ptr, host, out.host.len) == 0 &&
           out.port == port && out.numeric == numeric && out.local == local;
}

UNIT_TEST(addresses)
{
    ck_assert(address_is("127.0.0.1:80", "127.0.0.1", 80, true, false));
    ck_assert(address_is("0.0.0.0:0", "0.0.0.0", 0, true, false));
    ck_assert(address_is("[::]:8443", "::", 8443, true, false));
    ck_assert(address_is("[fe80::1%eth0]:65535", "fe80::1%eth0", 65535, true, false));
    ck_assert(address_is("app-1.example:8080", "app-1.example", 8080, false, false));
    ck_assert(address_is("localhost:1", "localhost", 1, false, false));
    ck_assert(address_is("unix:/run/weir.sock", "/run/weir.sock", 0, false, true));
    ck_assert(address_is("unix:app.sock", "app.sock", 0, false, true));
}

UNIT_TEST(wrong_addresses)
{
    static const char *const cases[][2] = {
        {"127.0.0.1", "has no port"},
        {"localhost", "has no port"},
        {"[::1]", "has no port"},
        {"127.0.0.1:", "no valid port"},
        {"127.0.0.1:65536", "no valid port"},
        {"127.0.0.1:08080x", "no valid port"},
        {"127.0.0.1:-1", "no valid port"},
        {"127.0.0.1:000080", "no valid port"},
        {"[::1]80", "no valid port"},
        {"::1:80", "in brackets"},
        {"2001:db8::1", "in brackets"},
        {"[127.0.0.1]:80", "no IPv6 address"},
        {"[::1:80", "no IPv6 address"},
        {"[fe80::1%]:80", "no IPv6 address"},
        {":80", "neither an IP address nor a host name"},
        {"*:80", "neither an IP address nor a host name"},
        {"300.1.1.1:80", "neither an IP address nor a host name"},
        {"10.0.0:80", "neither an IP address nor a host name"},
        {"-a:80", "neither an IP address nor a host name"},
        {"a-.b:80", "neither an IP address nor a host name"},
        {"a..b:80", "neither an IP address nor a host name"},
        {"a b:80", "neither an IP address nor a host name"},
        {"unix:", "names no socket"},
        {"unix:/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         "at most 107"},
        {"", "neither an IP address nor a host name"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct option_address out;
        ck_assert_msg(
            !option_address_parse(cases[i][0], strlen(cases[i][0]), &out, error, sizeof(error)),
            "%s was taken", cases[i][0]);
        ck_assert_msg(strstr(error, cases[i][1]) != NULL, "%s: %s", cases[i][0], error);
    }
}

UNIT_TEST(a_label_may_have_63_letters_and_no_more)
{
    char text[80];
    struct option_address out;
    memset(text, 'a', 64);
    memcpy(text + 63, ":80", 4);
    ck_assert(option_address_parse(text, strlen(text), &out, error, sizeof(error)));
    memset(text, 'a', 65);
    memcpy(text + 64, ":80", 4);
    ck_assert(!option_address_parse(text, strlen(text), &out, error, sizeof(error)));
}

UNIT_TEST(networks)
{
    static const struct {
        const char *text, *address;
        int family;
        unsigned bits;
    } cases[] = {
        {"10.0.0.0/8", "10.0.0.0", AF_INET, 8},
        {"192.0.2.7", "192.0.2.7", AF_INET, 32},
        {"0.0.0.0/0", "0.0.0.0", AF_INET, 0},
        {"2001:db8::/32", "2001:db8::", AF_INET6, 32},
        {"::1", "::1", AF_INET6, 128},
        {"::/0", "::", AF_INET6, 0},
        {"10.0.0.128/25", "10.0.0.128", AF_INET, 25},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct option_network out;
        char shown[64];
        ck_assert_msg(
            option_network_parse(cases[i].text, strlen(cases[i].text), &out, error, sizeof(error)),
            "%s", error);
        ck_assert_int_eq(out.family, cases[i].family);
        ck_assert_uint_eq(out.bits, cases[i].bits);
        ck_assert_str_eq(inet_ntop(out.family, out.bytes, shown, sizeof(shown)), cases[i].address);
    }
}

UNIT_TEST(wrong_networks)
{
    static const char *const cases[][2] = {
        {"10.0.0.1/8", "write 10.0.0.0/8"},
        {"2001:db8::1/64", "write 2001:db8::/64"},
        {"10.0.0.0/33", "from 0 to 32"},
        {"::/129", "from 0 to 128"},
        {"10.0.0.0/", "from 0 to 32"},
        {"10.0.0.0/-1", "from 0 to 32"},
        {"10.0.0.0/8/8", "from 0 to 32"},
        {"localhost", "is not a network"},
        {"127.0.0.1:80", "is not a network"},
        {"10.0.0/8", "is not a network"},
        {"", "is not a network"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct option_network out;
        ck_assert_msg(
            !option_network_parse(cases[i][0], strlen(cases[i][0]), &out, error, sizeof(error)),
            "%s was taken", cases[i][0]);
        ck_assert_msg(strstr(error, cases[i][1]) != NULL, "%s: %s", cases[i][0], error);
    }
}

static bool str_is(struct weir_str str, const char *text)
{
    return str.len == strlen(text) && (str.len == 0 || memcmp(str.ptr, text, str.len) == 0);
}

UNIT_TEST(urls)
{
    static const struct {
        const char *text, *scheme, *host, *path;
        uint16_t port, tls;
    } cases[] = {
        {"http://127.0.0.1:3001", "http", "127.0.0.1", "", 3001, 0},
        {"http://app.example", "http", "app.example", "", 80, 0},
        {"https://app.example/", "https", "app.example", "/", 443, 1},
        {"HTTPS://App.Example:8443/a%20b/C", "https", "app.example", "/a%20b/C", 8443, 1},
        {"http://[2001:db8::1]:80/x", "http", "2001:db8::1", "/x", 80, 0},
        {"http://[::1]", "http", "::1", "", 80, 0},
        {"unix:/run/app.sock", "unix", "", "/run/app.sock", 0, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[100];
        struct weir_url url;
        snprintf(text, sizeof(text), "%s", cases[i].text);
        ck_assert_msg(option_url_parse(text, strlen(text), &url, error, sizeof(error)), "%s",
                      error);
        ck_assert(url.text.ptr == text && url.text.len == strlen(text));
        ck_assert(str_is(url.scheme, cases[i].scheme));
        ck_assert(str_is(url.host, cases[i].host));
        ck_assert(str_is(url.path, cases[i].path));
        ck_assert_uint_eq(url.port, cases[i].port);
        ck_assert_uint_eq(url.tls, cases[i].tls);
    }
}

UNIT_TEST(wrong_urls)
{
    static const char *const cases[][2] = {
        {"", "is not a URL"},
        {"127.0.0.1:3001", "is not a URL"},
        {"ftp://a", "is not a URL"},
        {"http:/a", "is not a URL"},
        {"http:a", "is not a URL"},
        {"httpss://a", "is not a URL"},
        {"http://", "neither an IP address nor a host name"},
        {"http:///path", "neither an IP address nor a host name"},
        {"http://user@a", "no user name"},
        {"http://user:password@a", "no user name"},
        {"http://a?x=1", "has a query"},
        {"http://a/b#c", "has a fragment"},
        {"http://a:0", "no valid port"},
        {"http://a:", "no valid port"},
        {"http://a:65536", "no valid port"},
        {"http://::1/", "in brackets"},
        {"http://a/b c", "must be written %20"},
        {"http://a/%zz", "must be written %25"},
        {"http://a/%2", "must be written %25"},
        {"http://a\\b", "neither an IP address nor a host name"},
        {"unix:", "names no socket"},
        {"unix:run/app.sock", "names no socket"},
        {"unix://run/app.sock", "names no socket"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[100];
        struct weir_url url;
        snprintf(text, sizeof(text), "%s", cases[i][0]);
        ck_assert_msg(!option_url_parse(text, strlen(text), &url, error, sizeof(error)),
                      "%s was taken", cases[i][0]);
        ck_assert_msg(strstr(error, cases[i][1]) != NULL, "%s: %s", cases[i][0], error);
        ck_assert_ptr_null(strstr(error, "password@"));
    }
}
