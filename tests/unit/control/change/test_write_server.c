/* SPDX-License-Identifier: MIT */
/* write_server.c and drain.c: the effect of commands on server, overlay and journal. */
#include "change_stage.h"

#define SERVERS "/api/v1/pools/web/servers"

static struct stage stage;

static void begin(void)
{
    static const struct change_part *const parts[] = {&journal_part, &server_part, NULL};
    stage_init(&stage, parts);
}

static void end(void)
{
    stage_end(&stage);
}

static struct answers add(const char *body)
{
    return stage_do(&stage, "POST", SERVERS, "", body);
}

static struct answers patch(const char *id, const char *body)
{
    char path[64];
    snprintf(path, sizeof(path), "%s/%s", SERVERS, id);
    return stage_do(&stage, "PATCH", path, "", body);
}

static struct answers drop(const char *id, const char *query)
{
    char path[64];
    snprintf(path, sizeof(path), "%s/%s", SERVERS, id);
    return stage_do(&stage, "DELETE", path, query, "");
}

UNIT_TEST(a_server_is_added)
{
    ck_assert_uint_eq(add("{\"url\":\"http://New:80/\",\"weight\":3,\"backup\":true}").status, 201);
    const struct server *server = stage_server(&stage, "new-80");
    ck_assert_ptr_nonnull(server);
    ck_assert_uint_eq(server->weight, 3);
    ck_assert(str_equal(server->url.text, STR("http://new:80")));
    ck_assert(stage_entry_is(&stage, "web/new-80",
                             "{\"url\":\"http://new:80\",\"weight\":3,\"backup\":true}"));
}

UNIT_TEST(what_is_no_server_is_refused)
{
    static const struct {
        const char *body;
        unsigned status;
        const char *says;
    } rows[] = {
        {"{\"url\":\"ftp://a\"}", 422, "/url"},
        {"{\"url\":\"http://c:1/path\"}", 422, "has no path"},
        {"{\"url\":\"http://c:1\",\"id\":\"a/b\"}", 422, "/id"},
        {"{\"url\":\"http://c:1\",\"id\":\".c\"}", 422, "/id"},
        {"{\"url\":\"http://c:1\",\"id\":\"a\"}", 409, "has a server"},
        {"{\"url\":\"http://a:1\"}", 409, "has a server"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct answers answer = add(rows[i].body);
        ck_assert_msg(answer.status == rows[i].status, "%s: %u", rows[i].body, answer.status);
        ck_assert_msg(strstr(answer.body, rows[i].says) != NULL, "%s", answer.body);
    }
    ck_assert_uint_eq(
        stage_do(&stage, "POST", "/api/v1/pools/no/servers", "", "{\"url\":\"http://c:1\"}").status,
        404);
    ck_assert_uint_eq(drop("no", "").status, 404);
    ck_assert_uint_eq(stage.derived, 0);
}

UNIT_TEST(the_overlay_has_what_differs_from_the_files)
{
    ck_assert_uint_eq(patch("b", "{\"weight\":9,\"max_connections\":4}").status, 200);
    ck_assert(stage_entry_is(&stage, "web/b", "{\"weight\":9,\"max_connections\":4}"));
    ck_assert_uint_eq(stage_server(&stage, "b")->max_connections, 4);
    ck_assert_uint_eq(patch("b", "{\"weight\":2}").status, 200); /* as in the files */
    ck_assert(stage_entry_is(&stage, "web/b", "{\"max_connections\":4}"));
    ck_assert_uint_eq(stage_server(&stage, "b")->weight, 2);
    ck_assert_uint_eq(patch("b", "{\"max_connections\":0}").status, 200);
    ck_assert(stage_entry_is(&stage, "web/b", NULL));
}

UNIT_TEST(states_and_their_deadlines)
{
    ck_assert_uint_eq(patch("a", "{}").status, 422);
    ck_assert_uint_eq(patch("a", "{\"drain_timeout\":\"5s\"}").status, 422);
    ck_assert_uint_eq(patch("a", "{\"state\":\"drain\",\"drain_timeout\":\"60s\"}").status, 200);
    ck_assert_uint_eq(stage_server(&stage, "a")->admin, ADMIN_DRAIN);
    const cJSON *entry = overlay_at(stage.changes.overlay, "web/a");
    ck_assert_int_gt(json_integer(entry, "drain_deadline", 0), (int64_t)loop_wall_ms());
    ck_assert_uint_eq(patch("a", "{\"drain_timeout\":\"90s\"}").status, 200); /* it drains */
    ck_assert_uint_eq(patch("a", "{\"state\":\"ready\"}").status, 200);
    ck_assert_uint_eq(stage_server(&stage, "a")->admin, ADMIN_READY);
    ck_assert(stage_entry_is(&stage, "web/a", NULL));
}

UNIT_TEST(one_of_the_files_is_hidden_when_it_is_removed)
{
    ck_assert_uint_eq(drop("a", "now=1").status, 204);
    ck_assert_ptr_null(stage_server(&stage, "a"));
    ck_assert(stage_entry_is(&stage, "web/a", "{\"hidden\":true}"));
    /* Added as it was, it is theirs again. */
    ck_assert_uint_eq(add("{\"url\":\"http://a:1\",\"id\":\"a\"}").status, 201);
    ck_assert(stage_entry_is(&stage, "web/a", NULL));
    ck_assert_ptr_nonnull(stage_server(&stage, "a"));
}

UNIT_TEST(nothing_stays_of_one_that_was_added)
{
    ck_assert_uint_eq(add("{\"url\":\"http://c:1\",\"id\":\"c\"}").status, 201);
    ck_assert_uint_eq(drop("c", "now=1").status, 204);
    ck_assert(stage_entry_is(&stage, "web/c", NULL));
    ck_assert_ptr_null(stage_server(&stage, "c"));
}

UNIT_TEST(the_last_one_that_serves_is_kept)
{
    ck_assert_uint_eq(patch("b", "{\"state\":\"maintenance\"}").status, 200);
    struct answers answer = drop("a", "now=1");
    ck_assert_uint_eq(answer.status, 409);
    ck_assert_ptr_nonnull(strstr(answer.body, "\"needs\":\"force\""));
    ck_assert_uint_eq(drop("b", "now=1").status, 204); /* serves nobody */
    ck_assert_uint_eq(drop("a", "now=1&force=1").status, 204);
    ck_assert_uint_eq(stage.plan.server_count, 0);
}

/* ---- drains ---- */

UNIT_TEST(a_removed_server_goes_when_nothing_runs_there)
{
    struct server *server = server_ref(stage_server(&stage, "a"));

    server->in_flight = 1;
    ck_assert_uint_eq(drop("a", "timeout=60s").status, 202);
    ck_assert_uint_eq(server->admin, ADMIN_DRAIN);
    changes_upkeep(&stage.changes);
    stage_settle(&stage);
    ck_assert_ptr_nonnull(stage_server(&stage, "a"));
    server->in_flight = 0;
    changes_upkeep(&stage.changes);
    stage_settle(&stage);
    ck_assert_ptr_null(stage_server(&stage, "a"));
    ck_assert_uint_eq(stage_last_entry(&stage), 1); /* nobody did this */
    server_unref(&server);
}

UNIT_TEST(one_that_leaves_may_stay_after_all)
{
    stage_server(&stage, "a")->in_flight = 1;
    ck_assert_uint_eq(drop("a", "").status, 202);
    ck_assert_uint_eq(add("{\"url\":\"http://c:1\",\"id\":\"a\"}").status, 409); /* not the same */
    ck_assert_uint_eq(add("{\"url\":\"http://a:1\",\"weight\":5}").status, 201);
    ck_assert(stage_entry_is(&stage, "web/a", "{\"weight\":5}"));
    ck_assert_uint_eq(stage_server(&stage, "a")->admin, ADMIN_READY);
    stage_server(&stage, "a")->in_flight = 0;
    changes_upkeep(&stage.changes);
    stage_settle(&stage);
    ck_assert_ptr_nonnull(stage_server(&stage, "a"));
}

UNIT_TEST(drains_end_at_their_deadline_one_after_the_other)
{
    static const char over[] = "{\"state\":\"drain\",\"drain_deadline\":1}";

    overlay_set(stage.changes.overlay, "web/a", cJSON_Parse(over));
    overlay_set(stage.changes.overlay, "web/b", cJSON_Parse(over));
    overlay_set(stage.changes.overlay, "web/gone", cJSON_Parse(over));
    changes_upkeep(&stage.changes);
    ck_assert(stage.changes.busy);
    stage_settle(&stage);
    ck_assert(!stage.changes.busy);
    ck_assert_uint_eq(stage_server(&stage, "a")->admin, ADMIN_MAINTENANCE);
    ck_assert_uint_eq(stage_server(&stage, "b")->admin, ADMIN_MAINTENANCE);
    ck_assert(stage_entry_is(&stage, "web/a", "{\"state\":\"maintenance\"}"));
}

UNIT_TEST(nothing_is_due_while_something_runs)
{
    overlay_set(stage.changes.overlay, "web/a", cJSON_Parse("{\"leaving\":true}"));
    stage.changes.busy = true;
    changes_upkeep(&stage.changes);
    stage_settle(&stage);
    ck_assert_ptr_nonnull(stage_server(&stage, "a"));
    changes_rebuilt(&stage.changes);
    stage.derive_error = "no";
    changes_upkeep(&stage.changes);
    stage_settle(&stage);
    ck_assert_uint_eq(stage.derived, 1); /* what fails is tried a second later, not at once */
}

UNIT_FIXTURE(begin, end);
