/* SPDX-License-Identifier: MIT */
/* sdk_stats.c: what a module may ask before and after there is something to show. */
#include "runner.h"

#include "control/api/sdk_stats.h"
#include "module/context.h"
#include "proxy/worker.h"

static bool seen(void *arg, const struct weir_stats_row *row)
{
    unsigned *rows = arg;
    (void)row;
    (*rows)++;
    return true;
}

/* An instance of the kind `control` is there before the first configuration is in force. */
UNIT_TEST(nothing_to_show_without_a_configuration)
{
    static struct weir_host host;
    static struct worker worker;
    unsigned rows = 0;

    sdk_stats_fill(&host);
    worker.loop = loop_new(0);
    worker.loop->owner = &worker;
    struct module_context ctx = {.base = {.host = &host}, .loop = worker.loop};
    ck_assert_int_eq(host.stats_visit(&ctx.base, seen, &rows), WEIR_OK);
    ck_assert_uint_eq(rows, 0);
    loop_free(&worker.loop);
}
