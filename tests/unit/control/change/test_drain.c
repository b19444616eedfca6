/* SPDX-License-Identifier: MIT */
/* drain.c: a server that leaves is removed when it is quiet or its time is over; another one takes
 * no sessions from then on. */
#include "change_stage.h"

#define SERVERS "/api/v1/pools/web/servers"

static struct stage stage;
static struct use sticky;

static void begin(void)
{
    static const struct change_part *const parts[] = {&server_part, NULL};
    stage_init(&stage, parts);
}

static void end(void)
{
    stage_end(&stage);
}

static void upkeep(void)
{
    changes_upkeep(&stage.changes);
    stage_settle(&stage);
}

/* The time to drain is over. */
static void expire(const char *key)
{
    cJSON *entry = overlay_copy(stage.changes.overlay, key);
    ck_assert(cJSON_HasObjectItem(entry, "drain_deadline"));
    json_put(entry, "drain_deadline", cJSON_CreateNumber(1));
    overlay_set(stage.changes.overlay, key, entry);
}

UNIT_TEST(a_quiet_server_leaves_at_once)
{
    struct server *a = stage_server(&stage, "a");

    ck_assert_uint_eq(stage_do(&stage, "DELETE", SERVERS "/a", "", "").status, 202);
    a->in_flight = 1;
    upkeep();
    ck_assert_ptr_eq(stage_server(&stage, "a"), a);
    a->in_flight = 0;
    upkeep();
    ck_assert_ptr_null(stage_server(&stage, "a"));
    ck_assert(stage_entry_is(&stage, "web/a", "{\"hidden\":true}"));
}

UNIT_TEST(a_busy_one_leaves_when_its_time_is_over)
{
    stage_do(&stage, "DELETE", SERVERS "/a", "timeout=1h", "");
    stage_server(&stage, "a")->in_flight = 1;
    upkeep();
    ck_assert_ptr_nonnull(stage_server(&stage, "a"));
    expire("web/a");
    upkeep();
    ck_assert_ptr_null(stage_server(&stage, "a"));
}

UNIT_TEST(sessions_keep_one)
{
    stage.plan.sticky = &sticky;
    stage_do(&stage, "DELETE", SERVERS "/a", "", "");
    upkeep(); /* somebody may come back within the minute */
    ck_assert_ptr_nonnull(stage_server(&stage, "a"));
    stage_do(&stage, "PATCH", SERVERS "/a", "", "{\"state\":\"ready\"}");
    upkeep();
    ck_assert_ptr_nonnull(stage_server(&stage, "a"));
    ck_assert(stage_entry_is(&stage, "web/a", NULL));
}

UNIT_TEST(who_stays_takes_no_sessions_any_more)
{
    stage_do(&stage, "PATCH", SERVERS "/a", "", "{\"state\":\"drain\",\"drain_timeout\":\"1h\"}");
    upkeep();
    ck_assert_uint_eq(stage_server(&stage, "a")->admin, ADMIN_DRAIN);
    expire("web/a");
    upkeep();
    ck_assert_uint_eq(stage_server(&stage, "a")->admin, ADMIN_MAINTENANCE);
    ck_assert(stage_entry_is(&stage, "web/a", "{\"state\":\"maintenance\"}"));
}

UNIT_FIXTURE(begin, end);
