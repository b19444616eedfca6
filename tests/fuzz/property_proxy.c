/* SPDX-License-Identifier: MIT */
/* Properties of the PROXY protocol's headers. */
#include <stdlib.h>

#include "fuzz/property.h"
#include "net/proxy_header.h"

static void address_sound(const struct address *address)
{
    char text[ADDRESS_TEXT_SIZE + 8];
    int family = address->u.any.sa_family;
    HOLDS(family == AF_INET || family == AF_INET6 || family == AF_UNIX);
    HOLDS(address->len > 0 && address->len <= sizeof(address->u));
    HOLDS(address_text_port(address, text, sizeof(text)) < sizeof(text));
}

/* What is written for these addresses reads as them again. */
static void writes_alike(const struct proxy_header *header)
{
    for (unsigned version = 1; version <= 2; version++) {
        char out[PROXY_HEADER_WRITE_MAX];
        struct proxy_header again;
        const char *reason = NULL;
        size_t len = proxy_header_write(out, version, &header->source, &header->destination);
        HOLDS(len > 0 && len <= sizeof(out));
        HOLDS(proxy_header_parse(out, len, &again, &reason) == PROXY_HEADER_OK);
        HOLDS(again.len == len && again.version == version);
        if (again.known) {
            HOLDS(address_equal(&again.source, &header->source));
            HOLDS(address_equal(&again.destination, &header->destination));
        } else {
            HOLDS(version == 1 && header->source.u.any.sa_family == AF_UNIX);
        }
    }
}

void property_proxy(const uint8_t *data, size_t len)
{
    struct proxy_header whole = {0};
    const char *reason = NULL;
    enum proxy_header_result result = PROXY_HEADER_INCOMPLETE;
    /* Grown byte by byte: once decided, it stays decided, and a header ends at one place. */
    for (size_t have = 1; have <= len; have++) {
        struct proxy_header header = {0};
        char *copy = property_copy(data, have);
        enum proxy_header_result now = proxy_header_parse(copy, have, &header, &reason);
        free(copy);
        if (result != PROXY_HEADER_INCOMPLETE) {
            HOLDS(now == result);
            HOLDS(now != PROXY_HEADER_OK || header.len == whole.len);
        } else if (now == PROXY_HEADER_OK) {
            HOLDS(header.len == have && have <= PROXY_HEADER_MAX);
            HOLDS(header.version == 1 || header.version == 2);
        } else if (now == PROXY_HEADER_BAD) {
            HOLDS(reason != NULL);
        } else {
            HOLDS(now != PROXY_HEADER_INCOMPLETE || have < PROXY_HEADER_MAX);
        }
        result = now;
        whole = header;
        if (have > 600 && have < len) {
            have += len - have > 97 ? 96 : 0;
        }
    }
    if (result == PROXY_HEADER_OK && whole.known) {
        address_sound(&whole.source);
        address_sound(&whole.destination);
        writes_alike(&whole);
    }
}
