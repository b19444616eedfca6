/* SPDX-License-Identifier: MIT */
/* Reads addresses with optional ports. See nameservers.h. */
#include "net/nameservers.h"

#include <stdio.h>
#include <stdlib.h>

#include <weir/text.h>

#include "net/address.h"
#include "option/option_value.h"

/* One of the list: "192.0.2.1", "192.0.2.1:53", "2001:db8::1", "[2001:db8::1]",
 * "[2001:db8::1]:53". */
static bool parse_server(struct weir_str text, struct ares_addr_port_node *node, char *error,
                         size_t error_size)
{
    char full[ADDRESS_TEXT_SIZE + 8];
    struct address address;
    size_t len;
    bool alone = memchr(text.ptr, ']', text.len) == NULL ? memchr(text.ptr, ':', text.len) == NULL
                                                         : text.ptr[text.len - 1] == ']';

    if (!address_from_host(&address, text, 53)) {
        int wanted = snprintf(full, sizeof(full), "%.*s%s", STR_ARGS(text), alone ? ":53" : "");
        char why[OPTION_ERROR_SIZE] = "it is too long";
        if (wanted < 0 || (size_t)wanted >= sizeof(full) ||
            !address_parse(&address, str_from(full), why, sizeof(why)) ||
            address.u.any.sa_family == AF_UNIX || address_port(&address) == 0 ||
            text.ptr[0] == '*') {
            snprintf(error, error_size,
                     "nameserver `%.*s` is no ADDRESS[:PORT], such as 192.0.2.53, 192.0.2.53:53 or "
                     "[2001:db8::53]:53",
                     STR_ARGS(text));
            return false;
        }
    }
    /* c-ares takes no interface with it. */
    if (address.u.any.sa_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&address.u.in6.sin6_addr)) {
        snprintf(error, error_size,
                 "nameserver `%.*s` is link-local, which cannot be asked; name one of its other "
                 "addresses",
                 STR_ARGS(text));
        return false;
    }
    *node = (struct ares_addr_port_node){.family = address.u.any.sa_family,
                                         .udp_port = address_port(&address),
                                         .tcp_port = address_port(&address)};
    const uint8_t *bytes = address_bytes(&address, false, &len);
    memcpy(&node->addr, bytes, len);
    return true;
}

void nameservers_free(struct ares_addr_port_node *nodes)
{
    while (nodes != NULL) {
        struct ares_addr_port_node *next = nodes->next;
        free(nodes);
        nodes = next;
    }
}

struct ares_addr_port_node *nameservers_parse(struct weir_str servers, char *error,
                                              size_t error_size)
{
    struct ares_addr_port_node *first = NULL;
    struct ares_addr_port_node **end = &first;

    error[0] = '\0';
    for (bool more = servers.len > 0; more;) {
        more = memchr(servers.ptr, ',', servers.len) != NULL;
        *end = base_zalloc(sizeof(**end));
        if (!parse_server(weir_str_cut(&servers, ','), *end, error, error_size)) {
            nameservers_free(first);
            return NULL;
        }
        end = &(*end)->next;
    }
    return first;
}

bool nameservers_check(struct weir_str servers, char *error, size_t error_size)
{
    nameservers_free(nameservers_parse(servers, error, error_size));
    return error[0] == '\0';
}
