/* SPDX-License-Identifier: MIT */
/*
 * hosts(5): which lines give a name its addresses, and that a changed file is read again.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/hosts.h"
#include "runner.h"
#include "temporary.h"

static const char *folder;
static char path[280];
static struct hosts *hosts;

static void set_up(void)
{
    folder = temporary_folder();
    snprintf(path, sizeof(path), "%s/hosts", folder);
    hosts = hosts_new(path);
}

static void tear_down(void)
{
    hosts_free(&hosts);
    temporary_remove(folder);
}

static void put(const char *text)
{
    char other[300];
    snprintf(other, sizeof(other), "%s.new", path);
    FILE *file = fopen(other, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(rename(other, path), 0);
    hosts_look(hosts);
}

/* The addresses of a name, separated by spaces; "-": it does not stand there. */
static const char *of(const char *name)
{
    static char text[256];
    size_t count = 0;
    const struct address *addresses = hosts_find(hosts, str_from(name), &count);

    snprintf(text, sizeof(text), "%s", addresses == NULL ? "-" : "");
    for (size_t i = 0; i < count; i++) {
        char one[ADDRESS_TEXT_SIZE];
        address_text(&addresses[i], one, sizeof(one));
        size_t len = strlen(text);
        snprintf(text + len, sizeof(text) - len, "%s%s", i > 0 ? " " : "", one);
    }
    return text;
}

UNIT_TEST(test_lines)
{
    put("# a comment\n"
        "\n"
        "192.0.2.1\ta.test  B.test # c.test\n"
        "  2001:db8::1 a.test\r\n"
        "192.0.2.2 a.test.\n"
        "192.0.2.300 a.test\n"
        "192.0.2.3#a.test\n"
        "192.0.2.4\n"
        "192.0.2.5 last.test");
    ck_assert_str_eq(of("a.test"), "192.0.2.1 2001:db8::1 192.0.2.2");
    ck_assert_str_eq(of("A.TEST."), "192.0.2.1 2001:db8::1 192.0.2.2");
    ck_assert_str_eq(of("b.test"), "192.0.2.1");
    ck_assert_str_eq(of("c.test"), "-");
    ck_assert_str_eq(of("last.test"), "192.0.2.5");
    ck_assert_str_eq(of(""), "-");
}

UNIT_TEST(test_localhost_is_here)
{
    ck_assert_str_eq(of("localhost"), "127.0.0.1 ::1"); /* there is no file */
    ck_assert_str_eq(of("a.localhost"), "127.0.0.1 ::1");
    ck_assert_str_eq(of("notlocalhost"), "-");
    put("127.0.0.1 localhost\n127.0.0.2 b.localhost\n");
    ck_assert_str_eq(of("LocalHost"), "127.0.0.1");
    ck_assert_str_eq(of("a.localhost"), "127.0.0.1");
    ck_assert_str_eq(of("b.localhost"), "127.0.0.2");
}

UNIT_TEST(test_changes)
{
    put("192.0.2.1 a.test\n");
    put("192.0.2.2 b.test\n");
    ck_assert_str_eq(of("a.test"), "-");
    ck_assert_str_eq(of("b.test"), "192.0.2.2");
    ck_assert_int_eq(unlink(path), 0);
    hosts_look(hosts);
    ck_assert_str_eq(of("b.test"), "-");
    ck_assert_str_eq(of("localhost"), "127.0.0.1 ::1");
}

UNIT_FIXTURE(set_up, tear_down);
