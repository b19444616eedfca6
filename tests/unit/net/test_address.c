/* SPDX-License-Identifier: MIT */
/* Addresses and networks, from text and back. */
#include "net/address.h"
#include "runner.h"

static char error[512];

static bool parse(struct address *address, const char *text)
{
    error[0] = '\0';
    return address_parse(address, str_from(text), error, sizeof(error));
}

UNIT_TEST(test_text_and_back)
{
    static const struct {
        const char *in, *host, *full;
        uint16_t port;
    } rows[] = {
        {"192.0.2.1:80", "192.0.2.1", "192.0.2.1:80", 80},
        {"0.0.0.0:8443", "0.0.0.0", "0.0.0.0:8443", 8443},
        {"*:8080", "0.0.0.0", "0.0.0.0:8080", 8080},
        {"[::]:8443", "::", "[::]:8443", 8443},
        {"[2001:DB8:0:0::1]:65535", "2001:db8::1", "[2001:db8::1]:65535", 65535},
        {"[::ffff:192.0.2.7]:1", "192.0.2.7", "192.0.2.7:1", 1},
        {"127.0.0.1:0", "127.0.0.1", "127.0.0.1:0", 0},
        {"[fe80::1%lo]:80", "fe80::1%lo", "[fe80::1%lo]:80", 80},
        {"unix:/run/weir/admin.sock", "unix", "unix:/run/weir/admin.sock", 0},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct address address, again;
        char text[ADDRESS_TEXT_SIZE + 8];
        ck_assert_msg(parse(&address, rows[i].in), "%s: %s", rows[i].in, error);
        ck_assert_uint_eq(address_text(&address, text, sizeof(text)), strlen(rows[i].host));
        ck_assert_str_eq(text, rows[i].host);
        ck_assert_uint_eq(address_text_port(&address, text, sizeof(text)), strlen(rows[i].full));
        ck_assert_str_eq(text, rows[i].full);
        ck_assert_uint_eq(address_port(&address), rows[i].port);
        ck_assert(parse(&again, rows[i].in));
        ck_assert(address_equal(&address, &again));
    }
}

UNIT_TEST(test_what_is_refused_is_explained)
{
    static const char *const rows[][2] = {
        {"", "has neither an IP address nor a host name"},
        {"192.0.2.1", "has no port"},
        {"192.0.2.1:", "has no valid port"},
        {"192.0.2.1:65536", "has no valid port"},
        {"192.0.2.1:80x", "has no valid port"},
        {"192.0.2.256:80", "neither an IP address nor a host name"},
        {"2001:db8::1:80", "in brackets"},
        {"[2001:db8::1]", "has no port"},
        {"localhost:80", "`localhost` is a name; an IP address must stand here"},
        {"[fe80::1%none0]:80", "a network interface that is not there"},
        {"*:", "has no valid port"},
        {"unix:", "names no socket"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct address address;
        ck_assert_msg(!parse(&address, rows[i][0]), "%s was taken", rows[i][0]);
        ck_assert_msg(strstr(error, rows[i][1]) != NULL, "%s: %s", rows[i][0], error);
    }
}

UNIT_TEST(test_a_socket_path_may_be_as_long_as_it_can)
{
    struct address address;
    char text[5 + sizeof(address.u.un.sun_path) + 1] = "unix:/";
    char back[ADDRESS_TEXT_SIZE + 8];

    memset(text + 6, 'x', sizeof(address.u.un.sun_path) - 2);
    text[5 + sizeof(address.u.un.sun_path) - 1] = '\0';
    ck_assert_msg(parse(&address, text), "%s", error);
    address_text_port(&address, back, sizeof(back));
    ck_assert_str_eq(back, text);
    text[5 + sizeof(address.u.un.sun_path) - 1] = 'x';
    ck_assert(!parse(&address, text));
}

UNIT_TEST(test_hosts)
{
    struct address address;
    char text[ADDRESS_TEXT_SIZE + 8];

    ck_assert(address_from_host(&address, STR("10.1.2.3"), 99));
    address_text_port(&address, text, sizeof(text));
    ck_assert_str_eq(text, "10.1.2.3:99");
    ck_assert(address_from_host(&address, STR("[::1]"), 7));
    ck_assert(address_is_loopback(&address));
    ck_assert(address_from_host(&address, STR("::1"), 7));
    ck_assert(!address_from_host(&address, STR("app.example"), 7));
    ck_assert(!address_from_host(&address, STR(""), 7));
    ck_assert(!address_from_host(&address, STR("1.2.3"), 7));
}

UNIT_TEST(test_short_room_is_not_overrun)
{
    struct address address;
    char text[8];

    ck_assert(parse(&address, "[2001:db8::1]:443"));
    ck_assert_uint_eq(address_text_port(&address, text, sizeof(text)), sizeof(text) - 1);
    ck_assert_str_eq(text, "[2001:d");
}

UNIT_TEST(test_equal_means_all_of_it)
{
    static const char *const different[] = {"127.0.0.1:80", "127.0.0.1:81", "127.0.0.2:80",
                                            "[::1]:80",     "[::1]:81",     "[::2]:80",
                                            "unix:/a",      "unix:/ab",     "unix:/b"};

    for (size_t i = 0; i < ARRAY_COUNT(different); i++) {
        for (size_t j = 0; j < ARRAY_COUNT(different); j++) {
            struct address a, b;
            ck_assert(parse(&a, different[i]) && parse(&b, different[j]));
            ck_assert(address_equal(&a, &b) == (i == j));
        }
    }
}

UNIT_TEST(test_networks)
{
    static const struct {
        const char *network, *address;
        bool inside;
    } rows[] = {
        {"127.0.0.0/8", "127.255.1.2:1", true},
        {"127.0.0.0/8", "128.0.0.1:1", false},
        {"10.0.0.0/9", "10.127.0.1:1", true},
        {"10.0.0.0/9", "10.128.0.1:1", false},
        {"192.0.2.7", "192.0.2.7:1", true},
        {"192.0.2.7", "192.0.2.6:1", false},
        {"0.0.0.0/0", "203.0.113.9:1", true},
        {"0.0.0.0/0", "[2001:db8::1]:1", false},
        {"0.0.0.0/0", "[::ffff:203.0.113.9]:1", true},
        {"2001:db8::/33", "[2001:db8:7fff::1]:1", true},
        {"2001:db8::/33", "[2001:db8:8000::1]:1", false},
        {"::/0", "[2001:db8::1]:1", true},
        {"::/0", "127.0.0.1:1", false},
        {"::ffff:10.0.0.0/104", "10.1.2.3:1", true},
        {"::ffff:10.0.0.0/104", "[::ffff:10.1.2.3]:1", true},
        {"::ffff:10.0.0.0/104", "11.1.2.3:1", false},
        {"unix", "unix:/a", true},
        {"unix", "127.0.0.1:1", false},
        {"127.0.0.0/8", "unix:/a", false},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct network network;
        struct address address;
        ck_assert(network_parse(&network, str_from(rows[i].network)));
        ck_assert_msg(parse(&address, rows[i].address), "%s", error);
        ck_assert_msg(network_contains(&network, &address) == rows[i].inside, "%s and %s",
                      rows[i].network, rows[i].address);
    }
    static const char *const wrong[] = {"", "10.0.0.0/33", "10.0.0.1/8", "::/129", "example", "/8"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        struct network network;
        ck_assert_msg(!network_parse(&network, str_from(wrong[i])), "%s was taken", wrong[i]);
    }
}

UNIT_TEST(test_what_only_one_can_listen_on)
{
    static const struct {
        const char *a, *b;
        bool overlap;
    } rows[] = {
        {"127.0.0.1:80", "127.0.0.1:80", true},
        {"127.0.0.1:80", "127.0.0.1:81", false},
        {"127.0.0.1:80", "127.0.0.2:80", false},
        {"0.0.0.0:80", "127.0.0.1:80", true},
        {"*:80", "0.0.0.0:80", true},
        {"[::]:80", "0.0.0.0:80", false},
        {"[::]:80", "[::1]:80", true},
        {"[::1]:80", "[0:0::1]:80", true},
        {"127.0.0.1:0", "127.0.0.1:0", false},
        {"unix:/tmp/a", "unix:/tmp/a", true},
        {"unix:/tmp/a", "unix:/tmp/../tmp//a", true},
        {"unix:/tmp/a", "unix:/a", false},
        {"unix:/tmp/a", "127.0.0.1:80", false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct address a, b;
        ck_assert(address_parse(&a, str_from(rows[i].a), error, sizeof(error)));
        ck_assert(address_parse(&b, str_from(rows[i].b), error, sizeof(error)));
        ck_assert_msg(address_overlaps(&a, &b) == rows[i].overlap &&
                          address_overlaps(&b, &a) == rows[i].overlap,
                      "%s and %s", rows[i].a, rows[i].b);
    }
}
