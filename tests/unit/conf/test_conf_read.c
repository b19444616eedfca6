/* SPDX-License-Identifier: MIT */
/* Reading: the language, and what is told about each way to get it wrong. */
#include "runner.h"

#include "conf/conf.h"
#include "temporary.h"

static struct arena arena;
static struct mistakes mistakes;
static struct conf_tree tree;

static void set_up(void)
{
    arena_init(&arena, NULL, 0);
    setenv("WEIR_SET", "from outside", 1);
    setenv("WEIR_EMPTY", "", 1);
    unsetenv("WEIR_UNSET");
}

static void tear_down(void)
{
    mistakes_free(&mistakes);
    arena_reset(&arena);
}

static bool read_text(const char *text)
{
    mistakes_free(&mistakes);
    return conf_read_text(&tree, &arena, "t.conf", text, strlen(text), &mistakes);
}

static void read_well(const char *text)
{
    bool ok = read_text(text);
    ck_assert_msg(ok, "%s", mistakes.count > 0 ? mistakes.texts[0] : "no mistake, and yet false");
}

/* Mistake `index` contains the text. */
static void expect_mistake(size_t index, const char *text)
{
    ck_assert_msg(index < mistakes.count, "no mistake %zu: %s", index, text);
    ck_assert_msg(strstr(mistakes.texts[index], text) != NULL, "mistake %zu is: %s\nnot: %s", index,
                  mistakes.texts[index], text);
}

/* The text has this one mistake. */
static void expect_only(const char *text, const char *mistake)
{
    ck_assert_msg(!read_text(text), "no mistake in: %s", text);
    expect_mistake(0, mistake);
    ck_assert_msg(mistakes.count == 1, "also: %s",
                  mistakes.count > 1 ? mistakes.texts[1] : "nothing");
}

static const struct conf_node *child(const struct conf_node *block, size_t index)
{
    const struct conf_node *node = block->children;
    while (node != NULL && index-- > 0) {
        node = node->next;
    }
    ck_assert_ptr_nonnull(node);
    return node;
}

static const struct conf_node *top(size_t index)
{
    return child(&tree.root, index);
}

static void expect_setting(const struct conf_node *node, const char *name, const char *value,
                           unsigned line)
{
    ck_assert_int_eq(node->kind, CONF_SETTING);
    ck_assert_str_eq(node->name.ptr, name);
    ck_assert(!node->is_list);
    ck_assert_uint_eq(node->value_count, 1);
    ck_assert_str_eq(node->values[0].text.ptr, value);
    ck_assert_uint_eq(node->values[0].text.len, strlen(value));
    ck_assert_uint_eq(node->place.line, line);
    ck_assert_str_eq(node->place.file, "t.conf");
}

/* ---- what is right ---- */

UNIT_TEST(settings_share_a_line)
{
    read_well("header_timeout = 10s   body_timeout=30s\nname = \"a b\" # end\n");
    expect_setting(top(0), "header_timeout", "10s", 1);
    ck_assert(!top(0)->values[0].quoted);
    expect_setting(top(1), "body_timeout", "30s", 1);
    expect_setting(top(2), "name", "a b", 2);
    ck_assert(top(2)->values[0].quoted);
    ck_assert_ptr_null(top(2)->next);
}

UNIT_TEST(blocks_nest)
{
    read_well("pool \"api\" {\n  balance \"rr\" {}\n"
              "  server \"a\" { url = \"http://127.0.0.1:1\"  weight = 1 } server \"b\" {\n}\n}\n"
              "tls{x=1}");
    const struct conf_node *pool = top(0);
    ck_assert_int_eq(pool->kind, CONF_BLOCK);
    ck_assert_str_eq(pool->name.ptr, "pool");
    ck_assert_str_eq(pool->title.text.ptr, "api");
    ck_assert_ptr_null(child(pool, 0)->children);
    expect_setting(child(child(pool, 1), 0), "url", "http://127.0.0.1:1", 3);
    expect_setting(child(child(pool, 1), 1), "weight", "1", 3);
    ck_assert_str_eq(child(pool, 2)->title.text.ptr, "b");
    ck_assert_ptr_null(top(1)->title.text.ptr);
    expect_setting(child(top(1), 0), "x", "1", 6);
}

UNIT_TEST(lists)
{
    read_well("a = {1, \"two, three\" , 4}\nb = {}\nc = {\n  x,\n  y, # comment\n}\n");
    ck_assert(top(0)->is_list);
    ck_assert_uint_eq(top(0)->value_count, 3);
    ck_assert_str_eq(top(0)->values[1].text.ptr, "two, three");
    ck_assert(top(0)->values[1].quoted);
    ck_assert_uint_eq(top(1)->value_count, 0);
    ck_assert(top(1)->is_list);
    ck_assert_uint_eq(top(2)->value_count, 2);
    ck_assert_uint_eq(top(2)->values[1].place.line, 5);
}

UNIT_TEST(comments_begin_where_a_token_could)
{
    read_well("# one\n// two\n/* three\n * a = \"} */ a = http://h/x#y // four\n"
              "b = \"# // /* no */\"/**/c = d/*e");
    expect_setting(top(0), "a", "http://h/x#y", 4);
    expect_setting(top(1), "b", "# // /* no */", 5);
    expect_setting(top(2), "c", "d/*e", 5);
}

UNIT_TEST(escapes)
{
    read_well("a = \"tab\\t quote\\\" back\\\\slash line\\n cr\\r \\${WEIR_SET}\"");
    expect_setting(top(0), "a", "tab\t quote\" back\\slash line\n cr\r ${WEIR_SET}", 1);
}

UNIT_TEST(variables)
{
    read_well("a = ${WEIR_SET}\nb = \"<${WEIR_SET}>\"\nc = x${WEIR_UNSET:-80}y\n"
              "d = \"${WEIR_UNSET:-a b}\"\ne = \"${WEIR_EMPTY:-default}\"\nf = \"${WEIR_EMPTY}\"\n"
              "g = \"$x $ {\"\nh = \"${WEIR_UNSET:-}\"\npool \"${WEIR_SET}\" {}\n"
              "i = {${WEIR_UNSET:-1}, ${WEIR_UNSET:-2}}");
    expect_setting(top(0), "a", "from outside", 1);
    ck_assert(!top(0)->values[0].quoted);
    expect_setting(top(1), "b", "<from outside>", 2);
    expect_setting(top(2), "c", "x80y", 3);
    expect_setting(top(3), "d", "a b", 4);
    expect_setting(top(4), "e", "default", 5);
    expect_setting(top(5), "f", "", 6);
    expect_setting(top(6), "g", "$x $ {", 7);
    expect_setting(top(7), "h", "", 8);
    ck_assert_str_eq(top(8)->title.text.ptr, "from outside");
    ck_assert_str_eq(top(9)->values[1].text.ptr, "2");
}

UNIT_TEST(byte_order_mark_and_line_ends)
{
    read_well("\xef\xbb\xbf"
              "a = 1\r\n\r\nb = \"x\"\r\n");
    expect_setting(top(0), "a", "1", 1);
    expect_setting(top(1), "b", "x", 3);
    read_well("");
    ck_assert_ptr_null(tree.root.children);
    read_well("\xef\xbb\xbf");
    ck_assert_ptr_null(tree.root.children);
}

UNIT_TEST(texts_may_be_long)
{
    size_t len = 300000;
    char *text = calloc(1, len + 10);

    memcpy(text, "a = \"", 5);
    memset(text + 5, 'x', len);
    text[len + 5] = '"';
    read_well(text);
    ck_assert_uint_eq(top(0)->values[0].text.len, len);
    free(text);
}

/* ---- what is wrong ---- */

UNIT_TEST(each_mistake_has_its_line_and_its_advice)
{
    static const struct {
        const char *text;
        const char *mistake;
    } cases[] = {
        {"\n\na = \"x\nb = 1\n", "t.conf:3: the string that begins here is not ended"},
        {"a = 1\n/* x\ny\n", "t.conf:2: the comment that begins here is not ended; `*/`"},
        {"a = 1\npool \"x\" {\n b = 1\n",
         "t.conf:2: the block `pool` that begins here is not ended"},
        {"a = {1,\n2\n", "t.conf:1: the list `a` that begins here is not ended; `}` is missing"},
        {"a = {1, 2\nb = 3\n", "t.conf:1: the list `a` that begins here is not ended"},
        {"a = {\"1\", \"2\"\nserver \"b\" { c = 1 }\n", "t.conf:1: the list `a` that begins"},
        {"a = 1 }\nb = 2\n", "t.conf:1: `}` closes nothing"},
        {"a =\nb = 2\n", "t.conf:1: the value of `a` is missing"},
        {"a = 1\nb = ", "t.conf:2: the value of `b` is missing"},
        {"x { a = }", "t.conf:1: the value of `a` is missing"},
        {"workers 2\n",
         "t.conf:1: `=` is missing between `workers` and its value; write workers = 2"},
        {"user \"weir\"\n", "t.conf:1: after `user \"weir\"` a block must begin"},
        {"pool api {\n}\n",
         "t.conf:1: the title of a block stands in quotes; write pool \"api\" {"},
        {"\nworkers\n\nuser = x\n", "t.conf:2: `workers` stands alone"},
        {"= 3\nb = 1\n", "t.conf:1: a name is missing before `=`"},
        {"{ a = 1 }\nb = 1\n", "t.conf:1: a name is missing before `{`"},
        {"a = 1, b = 2\n",
         "t.conf:1: `,` cannot stand here; settings are separated by white space"},
        {"a = 1;\n", "t.conf:1: `;` cannot stand here"},
        {"\"a\" b = 1\n", "t.conf:1: the name of a setting or block must stand here, not `a`"},
        {"9a b = 1\n", "t.conf:1: the name of a setting or block must stand here, not `9a`"},
        {"a = {1 2}\n", "t.conf:1: a comma is missing before `2`"},
        {"a = {1,,2}\n", "t.conf:1: a value of the list `a` must stand here, not `,`"},
        {"a = {1, {2}}\n", "t.conf:1: a list cannot stand in a list"},
        {"a = 'x'\n", "t.conf:1: 'x': strings stand in double quotes"},
        {"a = \"\\d\"\n", "t.conf:1: after a backslash stands one of"},
        {"\na = ${WEIR_UNSET}\n",
         "t.conf:2: the environment variable `WEIR_UNSET` is not set; set it, "
         "or write ${WEIR_UNSET:-default}"},
        {"a = \"${WEIR_UNSET\"\n",
         "t.conf:1: the variable that begins here with `${` is not ended"},
        {"a = \"${WEIR SET}\"\n", "t.conf:1: `${WEIR SET}` is not a variable"},
        {"a = \"${}\"\n", "t.conf:1: `${}` is not a variable"},
        {"a = 1\ninclude x\n", "t.conf:2: a file's path in quotes must follow"},
        {"include \"/no/such/file\"\n", "t.conf:1: cannot open /no/such/file: No such file"},
        {"include \"/tmp\"\n", "t.conf:1: cannot open /tmp: it is a folder; a file must be named"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        if (strcmp(cases[i].text, "a = 1\ninclude x\n") == 0) {
            /* The word that follows is a mistake of its own. */
            ck_assert(!read_text(cases[i].text));
            expect_mistake(0, cases[i].mistake);
            continue;
        }
        expect_only(cases[i].text, cases[i].mistake);
    }
}

UNIT_TEST(reading_goes_on_after_mistakes)
{
    ck_assert(!read_text("a = \"x\nb 2\npool \"p\" {\n  c =\n  d = {1 2}\n  e = 5\n}\nf = 6\n"));
    ck_assert_uint_eq(mistakes.count, 4);
    expect_mistake(0, "t.conf:1: ");
    expect_mistake(1, "t.conf:2: ");
    expect_mistake(2, "t.conf:4: ");
    expect_mistake(3, "t.conf:5: ");
    ck_assert(top(0)->values[0].bad);
    ck_assert(top(1)->values[0].bad); /* b is there, so that nobody calls it missing */
    ck_assert(child(top(2), 0)->values[0].bad);
    ck_assert_uint_eq(child(top(2), 1)->value_count, 2);
    expect_setting(child(top(2), 2), "e", "5", 6);
    expect_setting(top(3), "f", "6", 8);
}

UNIT_TEST(an_unclosed_list_does_not_swallow_what_follows)
{
    ck_assert(!read_text("a = {1, 2,\nb = 3\nserver \"x\" { c = 4 }\n"));
    ck_assert_uint_eq(mistakes.count, 1);
    ck_assert_uint_eq(top(0)->value_count, 2);
    expect_setting(top(1), "b", "3", 2);
    expect_setting(child(top(2), 0), "c", "4", 3);
}

/* One brace or quote too few or too many is one mistake, at the place where it is. */
UNIT_TEST(a_missing_brace_is_one_mistake)
{
    static const struct {
        const char *text, *mistake;
    } rows[] = {
        {"a {\n  b = 1\nc {\n  d = 2\n}\n", "t.conf:1: the block `a`"},
        {"a {\n  b {\n    c = 1\n  d = 2\n}\ne = 3\n", "t.conf:2: the block `b`"},
        {"a {\n  b {\n    c = 1\n}\nd {\n}\n", "t.conf:2: the block `b`"},
        {"a {\n  b \"x\" { c = 1\n  b \"y\" { c = 2 }\n}\n", "t.conf:2: the block `b`"},
        {"a {\n  b = {1, 2\n}\n", "t.conf:2: the list `b`"},
        {"a {\n  b = {1, 2\n  c = 1\n}\n", "t.conf:2: the list `b`"},
        {"a {\n  b = 1\n}}\nc = 2\n", "t.conf:3: `}` closes nothing"},
        {"a {\n  b { c = 1 } }\n  d = 2\n}\ne { f = 1 }\n", "t.conf:4: `}` closes nothing"},
        {"a {\n  tls  certificate \"x\" { c = 1 }\n  }\n}\n", "t.conf:2: "},
        {"a {\n  tls \n  certificate { c = 1 }\n  }\n}\n", "t.conf:2: "},
        {"a {\n  b = \"/x\", \"/y\"}\n  c = 1\n}\n", "t.conf:2: "},
        {"a \"x\"\n  b = 1\n}\nc = 2\n", "t.conf:1: after `a \"x\"` a block must begin"},
        {"a {\n  b = \"x }\n", "t.conf:2: the string"},
        {"a {\n  b = {\"x, \"y\"}\n  c = 1\n}\n", "t.conf:2: "},
        {"a \"x {\n  b = 1\n}\n", "t.conf:1: the string"},
        {"a { /* b\n}\n", "t.conf:1: the comment"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        mistakes_free(&mistakes);
        ck_assert_msg(!read_text(rows[i].text), "%s", rows[i].text);
        ck_assert_msg(mistakes.count == 1, "%s: %zu mistakes: %s; %s", rows[i].text, mistakes.count,
                      mistakes.texts[0], mistakes.count > 1 ? mistakes.texts[1] : "");
        expect_mistake(0, rows[i].mistake);
    }
}

UNIT_TEST(depth_is_bounded)
{
    char text[1024] = "";

    for (int i = 0; i < 40; i++) {
        strcat(text, "a {");
    }
    for (int i = 0; i < 40; i++) {
        strcat(text, "}");
    }
    expect_only(text, "t.conf:1: blocks stand in blocks more than 32 deep here");
    text[0] = '\0';
    for (int i = 0; i < 200; i++) {
        strcat(text, "a{");
    }
    ck_assert(!read_text(text));
}

UNIT_TEST(a_zero_byte_is_no_text)
{
    static const char text[] = "a = 1\nb = \0x\n";
    ck_assert(!conf_read_text(&tree, &arena, "t.conf", text, sizeof(text) - 1, &mistakes));
    expect_mistake(0, "t.conf:2: a zero byte stands here");
}

/* Nothing that is cut off anywhere, or has any byte changed, may do more than be a mistake. */
UNIT_TEST(mangled_text_is_survived)
{
    static const char text[] = "pool \"a\" { x = {1, \"b\\n${V:-d}\"} /* c */ y = ${V:-z} } // e\n"
                               "include \"/no/file\" w = http://h";
    static const char bytes[] = "\"{}=,$\\\n/*#; a\xff";
    char copy[sizeof(text)];

    for (size_t len = 0; len < sizeof(text); len++) {
        mistakes_free(&mistakes);
        conf_read_text(&tree, &arena, "t.conf", text, len, &mistakes);
    }
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        for (size_t j = 0; j < sizeof(bytes) - 1; j++) {
            memcpy(copy, text, sizeof(text));
            copy[i] = bytes[j];
            mistakes_free(&mistakes);
            conf_read_text(&tree, &arena, "t.conf", copy, sizeof(text) - 1, &mistakes);
        }
        arena_reset(&arena);
    }
}

UNIT_FIXTURE(set_up, tear_down);
