/* SPDX-License-Identifier: MIT */
/* See retry_after.h. */
#include "http/retry_after.h"

#include <time.h>

static uint64_t read_seconds(struct weir_str value)
{
    uint64_t ns = 0;

    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9') {
            return 0;
        }
        ns = ns * 10 + (uint64_t)(value.ptr[i] - '0') * NS_PER_SECOND;
        ns = ns < RETRY_AFTER_MOST_NS ? ns : RETRY_AFTER_MOST_NS;
    }
    return ns;
}

/* The program keeps the locale "C", whose names of days and months are HTTP's. */
static bool read_date(struct weir_str value, int64_t *ms)
{
    static const char *const forms[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                        "%a %b %e %H:%M:%S %Y"};
    char text[40];

    if (value.len >= sizeof(text)) {
        return false;
    }
    memcpy(text, value.ptr, value.len);
    text[value.len] = '\0';
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        struct tm date = {0};
        const char *end = strptime(text, forms[i], &date);
        if (end != NULL && *end == '\0') {
            *ms = (int64_t)timegm(&date) * 1000;
            return true;
        }
    }
    return false;
}

uint64_t retry_after_read(struct weir_str value, uint64_t wall_ms)
{
    int64_t ms;

    if (value.len == 0) {
        return 0;
    }
    if (value.ptr[0] >= '0' && value.ptr[0] <= '9') {
        return read_seconds(value);
    }
    if (!read_date(value, &ms) || ms <= (int64_t)wall_ms) {
        return 0;
    }
    uint64_t wait_ms = (uint64_t)ms - wall_ms;
    return wait_ms < RETRY_AFTER_MOST_NS / NS_PER_MS ? wait_ms * NS_PER_MS : RETRY_AFTER_MOST_NS;
}
