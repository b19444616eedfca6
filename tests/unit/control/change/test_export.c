/* SPDX-License-Identifier: MIT */
/* export.c: files that say what runs; what has not changed stays as it was written. */
#include "change_stage.h"

#include "temporary.h"

#define SERVERS "/api/v1/pools/web/servers"

static struct stage stage;
static const char *folder;

/* The stage's files, as the two servers of its settings say them. */
static void read_files(const char *conf, const char *more)
{
    struct mistakes mistakes = {0};

    ck_assert_int_eq(mkdir(temporary_path(folder, "in"), 0700), 0);
    ck_assert_int_eq(mkdir(temporary_path(folder, "in/conf.d"), 0700), 0);
    temporary_write(temporary_path(folder, "in/weir.conf"), conf);
    temporary_write(temporary_path(folder, "in/conf.d/more.conf"), more);
    temporary_write(temporary_path(folder, "far.conf"), "");
    ck_assert(conf_read(&stage.whole.tree, &stage.arena, temporary_path(folder, "in/weir.conf"),
                        &mistakes));
}

static void begin(void)
{
    static const struct change_part *const parts[] = {&server_part, &export_part, NULL};
    stage_init(&stage, parts);
    folder = temporary_folder();
}

static void end(void)
{
    stage_end(&stage);
    temporary_remove(folder);
}

/* The text of the file number `index`; valid until the next one. */
static const char *exported(const char *query, int index)
{
    static char text[1024];
    struct answers answer = stage_do(&stage, "GET", "/api/v1/config/export", query, "");
    ck_assert_uint_eq(answer.status, 200);
    cJSON *all = cJSON_Parse(answer.body);
    const cJSON *file = cJSON_GetArrayItem(json_get(all, "files"), index);
    snprintf(text, sizeof(text), "%s", json_text(file, "text"));
    cJSON_Delete(all);
    return text;
}

static const char conf[] = "# the pool\n"
                           "pool \"web\" {\n"
                           "    server \"a\" { url = \"http://a:1\" } # the first\n"
                           "    server \"b\" { url = \"http://b:1\"  weight = 2 }\n"
                           "}\n";

UNIT_TEST(what_has_not_changed_stays)
{
    read_files(conf, "# nothing\n");
    ck_assert_str_eq(exported("", 0), conf);
    ck_assert_str_eq(exported("", 1), "# nothing\n");
}

UNIT_TEST(servers_are_changed_added_and_removed)
{
    read_files(conf, "");
    stage_do(&stage, "DELETE", SERVERS "/b", "now=1", "");
    stage_do(&stage, "POST", SERVERS, "", "{\"url\":\"http://c:1\",\"id\":\"c\",\"backup\":true}");
    stage_do(&stage, "PATCH", SERVERS "/a", "", "{\"weight\":5,\"state\":\"drain\"}");
    ck_assert_str_eq(exported("", 0),
                     "# the pool\n"
                     "pool \"web\" {\n"
                     "    server \"a\" { url = \"http://a:1\"  weight = 5  max_requests = 0"
                     "  state = \"drain\" } # the first\n"
                     "    server \"c\" { url = \"http://c:1\"  weight = 1  max_requests = 0"
                     "  backup = on }\n"
                     "}\n");
}

UNIT_TEST(a_block_on_one_line_gets_lines)
{
    read_files("pool \"web\" { server \"a\" { url = \"http://a:1\" } server \"b\" {\n"
               "  url = \"http://b:1\" weight = 2 } }\n",
               "");
    stage_do(&stage, "POST", SERVERS, "", "{\"url\":\"http://c:1\",\"id\":\"c\"}");
    ck_assert_str_eq(exported("", 0),
                     "pool \"web\" { server \"a\" { url = \"http://a:1\" } server \"b\" {\n"
                     "  url = \"http://b:1\" weight = 2 } \n"
                     "    server \"c\" { url = \"http://c:1\"  weight = 1  max_requests = 0 }\n"
                     "}\n");
}

UNIT_TEST(names_stay_as_they_are)
{
    static const char named[] = "pool \"web\" {\n"
                                "    server \"n\" { url = \"http://n:1\"  resolve = all }\n"
                                "}\n";
    read_files(named, "");
    stage_do(&stage, "PATCH", SERVERS "/a", "", "{\"weight\":5}");
    ck_assert_str_eq(exported("", 0), named);
}

/* What stands beside the main file keeps its place there; what is far off is named in full. */
UNIT_TEST(another_folder_gets_paths_in_full)
{
    char expected[1024];

    read_files("include \"../far.conf\"\n", "");
    snprintf(expected, sizeof(expected), "include \"%s/far.conf\"\n", folder);
    ck_assert_str_eq(exported("elsewhere=1", 0), expected);
    ck_assert_str_eq(exported("", 0), "include \"../far.conf\"\n");
}

UNIT_FIXTURE(begin, end);
