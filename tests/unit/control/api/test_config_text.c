/* SPDX-License-Identifier: MIT */
/* config_text.c: edits leave everything else as it was, at the places that the reader notes. */
#include "runner.h"

#include <stdlib.h>

#include "control/api/config_text.h"

static struct arena arena;
static struct conf_tree tree;

static void read_text(const char *text)
{
    struct mistakes mistakes = {0};
    arena_init(&arena, NULL, 0);
    ck_assert(conf_read_text(&tree, &arena, "f", text, strlen(text), &mistakes));
}

/* The child of that name and title, NULL: none; the first one from `node` on. */
static const struct conf_node *find(const struct conf_node *node, const char *name,
                                    const char *title)
{
    while (!str_equal(node->name, str_from(name)) ||
           (title != NULL && !str_equal(node->title.text, str_from(title)))) {
        node = node->next;
        ck_assert_ptr_nonnull(node);
    }
    return node;
}

static const char text[] = "\xef\xbb\xbf# server \"b\" { }\n"
                           "pool \"p\" {\n"
                           "  server \"a\" { url = \"http://a:1/}\" }  # one\n"
                           "  server \"b\" {\n"
                           "    url = \"http://b:1\"  /* } */\n"
                           "  }\n"
                           "  key = \"hunter2\"  keys = {\"x\", \"y\"}\n"
                           "} pool \"q\" { server \"a\" { key = 1 } server \"b\" { key = 2 } }\n";

/* What stands where the tree says that the block is. */
static void check_block(const char *pool, const char *server, const char *expected)
{
    const struct conf_node *node = find(tree.root.children, "pool", pool);
    if (server != NULL) {
        node = find(node->children, "server", server);
    }
    struct weir_str found = {text + node->span.from, node->span.to - node->span.from};
    ck_assert(str_equal(found, str_from(expected)));
}

UNIT_TEST(blocks_are_found_by_place)
{
    read_text(text);
    check_block("p", "a", "server \"a\" { url = \"http://a:1/}\" }");
    check_block("p", "b", "server \"b\" {\n    url = \"http://b:1\"  /* } */\n  }");
    check_block("q", NULL, "pool \"q\" { server \"a\" { key = 1 } server \"b\" { key = 2 } }");
    check_block("q", "a", "server \"a\" { key = 1 }");
    check_block("q", "b", "server \"b\" { key = 2 }");
    arena_reset(&arena);
}

UNIT_TEST(secrets_are_masked)
{
    struct config_text edit;

    read_text(text);
    const struct conf_node *p = find(tree.root.children, "pool", "p");
    const struct conf_node *q = find(tree.root.children, "pool", "q");
    config_text_init(&edit, str_from(text));
    config_text_mask(&edit, find(find(q->children, "server", "b")->children, "key", NULL));
    config_text_mask(&edit, find(p->children, "key", NULL));
    config_text_mask(&edit, find(p->children, "keys", NULL));
    char *out = config_text_end(&edit);
    ck_assert_ptr_null(strstr(out, "hunter2"));
    ck_assert_ptr_nonnull(strstr(out, "  key = \"***\"  keys = \"***\"\n} pool"));
    ck_assert_ptr_nonnull(strstr(out, "\"a\" { key = 1 } server \"b\" { key = \"***\" } }\n"));
    free(out);
    arena_reset(&arena);
}

UNIT_TEST(values_are_set)
{
    static const char from[] = "ca = \"../ca\"  # ca = \"no\"\n"
                               "bind = { # \"no\"\n"
                               "  \"a\", \"b\" /* , */, unix:c }\n"
                               "a { x = 1 } b { x = ${HOME} }\n";
    struct config_text edit;

    read_text(from);
    const struct conf_node *first = tree.root.children;
    const struct conf_node *list = find(first, "bind", NULL);
    config_text_init(&edit, str_from(from));
    config_text_set(&edit, find(first, "b", NULL)->children->values[0].span, STR("X"));
    config_text_set(&edit, find(first, "ca", NULL)->values[0].span, STR("/$a\"b"));
    config_text_set(&edit, list->values[1].span, STR("B"));
    config_text_set(&edit, list->values[2].span, STR("unix:/c"));
    char *out = config_text_end(&edit);
    ck_assert_str_eq(out, "ca = \"/\\$a\\\"b\"  # ca = \"no\"\n"
                          "bind = { # \"no\"\n"
                          "  \"a\", \"B\" /* , */, \"unix:/c\" }\n"
                          "a { x = 1 } b { x = \"X\" }\n");
    free(out);
    arena_reset(&arena);
}
