/* SPDX-License-Identifier: MIT */
/*
 * The streams' part of a loop. See home.h.
 */
#include "proxy/stream/home.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "proxy/stream/stream.h"

/* Free streams that a loop keeps for reuse. */
#define SPARE_MAX 512

void stream_home_init(struct stream_home *home, struct loop *loop, struct batch *batch)
{
    *home = (struct stream_home){.loop = loop, .batch = batch, .connect = connecting_begin};
    list_init(&home->running);
    list_init(&home->spare);
}

void stream_home_end(struct stream_home *home)
{
    struct list *link = NULL;

    while ((link = list_pop_front(&home->spare)) != NULL) {
        free(container_of(link, struct stream, link));
    }
}

struct stream *stream_home_take(struct stream_home *home)
{
    struct list *link = list_pop_front(&home->spare);

    if (link == NULL) {
        return calloc(1, sizeof(struct stream));
    }
    home->spare_count--;
    return memset(container_of(link, struct stream, link), 0, sizeof(struct stream));
}

void stream_home_give(struct stream_home *home, struct stream *stream)
{
    if (!POISON_WORKS && home->spare_count < SPARE_MAX) {
        home->spare_count++;
        list_push_front(&home->spare, &stream->link);
    } else {
        free(stream);
    }
}

struct weir_str stream_home_date(struct stream_home *home)
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    uint64_t second = loop_wall_ms() / 1000;

    if (home->date_second != second) {
        time_t now = (time_t)second;
        struct tm tm;
        gmtime_r(&now, &tm);
        snprintf(home->date, sizeof(home->date), "%s, %02d %s %04d %02d:%02d:%02d GMT",
                 days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon], (tm.tm_year + 1900) % 10000,
                 tm.tm_hour, tm.tm_min, tm.tm_sec);
        home->date_second = second;
    }
    return str_from(home->date);
}
