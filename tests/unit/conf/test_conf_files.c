/* SPDX-License-Identifier: MIT */
/* Files: conf.d in its order, includes and their loops, what cannot be read. */
#include "runner.h"

#include "conf/conf.h"
#include "temporary.h"

static struct arena arena;
static struct mistakes mistakes;
static struct conf_tree tree;
static const char *folder;

static void set_up(void)
{
    arena_init(&arena, NULL, 0);
    folder = temporary_folder();
}

static void tear_down(void)
{
    mistakes_free(&mistakes);
    arena_reset(&arena);
    temporary_remove(folder);
}

static void write_file(const char *name, const char *text)
{
    temporary_write(temporary_path(folder, name), text);
}

static void make_folder(const char *name)
{
    ck_assert_int_eq(mkdir(temporary_path(folder, name), 0700), 0);
}

static bool read_main(void)
{
    mistakes_free(&mistakes);
    return conf_read(&tree, &arena, temporary_path(folder, "weir.conf"), &mistakes);
}

/* The names of the top level's settings, one after the other. */
static const char *names(void)
{
    static char text[512];

    text[0] = '\0';
    for (const struct conf_node *node = tree.root.children; node != NULL; node = node->next) {
        strcat(text, node->name.ptr);
        strcat(text, " ");
    }
    return text;
}

static void expect_mistake(const char *text)
{
    ck_assert_uint_eq(mistakes.count, 1);
    ck_assert_msg(strstr(mistakes.texts[0], text) != NULL, "it is: %s", mistakes.texts[0]);
}

UNIT_TEST(conf_d_is_read_in_lexical_order)
{
    write_file("weir.conf", "a = 1\n");
    make_folder("conf.d");
    write_file("conf.d/20-c.conf", "c = 1\n");
    write_file("conf.d/10-b.conf", "b = 1\n");
    write_file("conf.d/9-d.conf", "d = 1\n");
    write_file("conf.d/30-x.conf~", "x = 1\n");
    write_file("conf.d/.30-x.conf", "x = 1\n");
    write_file("conf.d/README", "not = configuration\n");
    write_file("conf.d/.conf", "x = 1\n");
    ck_assert(read_main());
    ck_assert_str_eq(names(), "a b c d ");
    ck_assert_uint_eq(tree.file_count, 4);
    ck_assert_str_eq(tree.files[0], temporary_path(folder, "weir.conf"));
    ck_assert_str_eq(tree.files[1], temporary_path(folder, "conf.d/10-b.conf"));
    ck_assert_str_eq(tree.root.children->next->place.file,
                     temporary_path(folder, "conf.d/10-b.conf"));
}

UNIT_TEST(without_conf_d)
{
    write_file("weir.conf", "a = 1\n");
    ck_assert(read_main());
    ck_assert_str_eq(names(), "a ");
}

UNIT_TEST(paths_become_absolute)
{
    write_file("weir.conf", "a = 1\n");
    ck_assert_int_eq(chdir(folder), 0);
    ck_assert(conf_read(&tree, &arena, "./weir.conf", &mistakes));
    ck_assert_str_eq(tree.files[0], temporary_path(folder, "weir.conf"));
    ck_assert_int_eq(chdir("/"), 0);
}

UNIT_TEST(includes_stand_in_place)
{
    make_folder("sub");
    write_file("weir.conf", "a = 1\ninclude \"sub/one.conf\"\nd = 1\nblock { include \"two\" }\n");
    write_file("sub/one.conf", "b = 1\ninclude \"three\" c = 1\n");
    write_file("sub/three", "x = 1\n");
    write_file("two", "y = 1\n");
    ck_assert(read_main());
    ck_assert_str_eq(names(), "a b x c d block ");
    const struct conf_node *node = tree.root.children;
    while (node->next != NULL) {
        node = node->next;
    }
    ck_assert_str_eq(node->children->name.ptr, "y");
    ck_assert_str_eq(node->children->place.file, temporary_path(folder, "two"));
}

UNIT_TEST(loops_are_found)
{
    write_file("weir.conf", "a = 1\ninclude \"one\"\nz = 1\n");
    write_file("one", "b = 1\n\ninclude \"./weir.conf\"\nc = 1\n");
    ck_assert(!read_main());
    expect_mistake("/one:3: ");
    expect_mistake("weir.conf includes itself");
    ck_assert_str_eq(names(), "a b c z ");

    /* By another name too. */
    ck_assert_int_eq(symlink("one", temporary_path(folder, "link")), 0);
    write_file("one", "include \"link\"\n");
    ck_assert(!read_main());
    expect_mistake("/one:1: ");
}

UNIT_TEST(a_file_is_read_once)
{
    write_file("weir.conf", "include \"one\"\ninclude \"one\"\n");
    write_file("one", "a = 1\n");
    ck_assert(!read_main());
    expect_mistake("/weir.conf:2: ");
    expect_mistake("/one was read already, named in ");
    ck_assert_str_eq(names(), "a ");
}

UNIT_TEST(an_include_ends_its_own_blocks)
{
    write_file("weir.conf", "x { include \"one\" }\nb = 1\n");
    write_file("one", "y {\n a = 1\n");
    ck_assert(!read_main());
    expect_mistake("/one:1: the block `y` that begins here is not ended");
    ck_assert_str_eq(names(), "x b ");
}

UNIT_TEST(mistakes_of_all_files_are_told)
{
    write_file("weir.conf", "a\n");
    make_folder("conf.d");
    write_file("conf.d/1.conf", "b = 1\nc\n");
    write_file("conf.d/2.conf", "}\n");
    make_folder("conf.d/3.conf");
    ck_assert(!read_main());
    ck_assert_uint_eq(mistakes.count, 4);
    ck_assert_ptr_nonnull(strstr(mistakes.texts[0], "/weir.conf:1: "));
    ck_assert_ptr_nonnull(strstr(mistakes.texts[1], "/conf.d/1.conf:2: "));
    ck_assert_ptr_nonnull(strstr(mistakes.texts[2], "/conf.d/2.conf:1: "));
    ck_assert_ptr_nonnull(strstr(mistakes.texts[3], "/conf.d/3.conf: it is a folder"));
}

UNIT_TEST(files_that_cannot_be_read)
{
    ck_assert(!read_main());
    expect_mistake("cannot open ");
    expect_mistake("No such file");
    make_folder("weir.conf");
    ck_assert(!read_main());
    expect_mistake("it is a folder");
}

UNIT_TEST(files_are_bounded)
{
    const char *path = temporary_path(folder, "weir.conf");

    write_file("weir.conf", "");
    ck_assert_int_eq(truncate(path, 17 << 20), 0);
    ck_assert(!read_main());
    expect_mistake("it has more than 16 MiB");
}

UNIT_FIXTURE(set_up, tear_down);
