/* SPDX-License-Identifier: MIT */
/* Properties of configuration: reading the language, and filling settings of each type from it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "fuzz/property.h"

#define NAME "fuzz.conf"

/* Each mistake says where: `fuzz.conf:LINE: ...` on one line. */
static void mistakes_sound(const struct mistakes *mistakes)
{
    HOLDS(mistakes->count <= 1001);
    for (size_t i = 0; i < mistakes->count && i < 1000; i++) {
        unsigned line = 0;
        int used = 0;
        const char *text = mistakes->texts[i];
        HOLDS(sscanf(text, NAME ":%u: %n", &line, &used) == 1 && used > 0);
        HOLDS(text[used] != '\0' && strchr(text, '\n') == NULL);
    }
}

static void text_sound(struct weir_str text)
{
    HOLDS(text.ptr != NULL && text.ptr[text.len] == '\0' && strlen(text.ptr) == text.len);
}

static void block_sound(const struct conf_node *block, unsigned depth)
{
    HOLDS(depth < 200);
    for (const struct conf_node *node = block->children; node != NULL; node = node->next) {
        text_sound(node->name);
        HOLDS(node->name.len > 0 && node->place.line > 0);
        if (node->kind == CONF_BLOCK) {
            if (node->title.text.ptr != NULL) {
                text_sound(node->title.text);
            }
            block_sound(node, depth + 1);
            continue;
        }
        for (size_t i = 0; i < node->value_count; i++) {
            text_sound(node->values[i].text);
        }
        HOLDS(node->is_list || node->value_count <= 1);
    }
}

/* One setting of each type, named by it. */
struct server {
    struct weir_str id;
    struct weir_url url;
    int64_t weight;
};

struct settings {
    struct weir_str string;
    int64_t integer;
    double real, percentage;
    bool boolean;
    uint64_t duration, bytes;
    struct weir_str address, network;
    int32_t word;
    struct weir_list list;
    struct weir_list servers;
};

static const char *const words[] = {"off", "accept", "require", NULL};

#define POOL WEIR_CONTEXT_POOL

static const struct weir_option server_rows[] = {
    WEIR_OPTION(struct server, url, URL, NULL, POOL, WEIR_OPTION_REQUIRED, "Where."),
    WEIR_OPTION_RANGE(struct server, weight, INTEGER, "1", "0", "1000", POOL, 0, "Share."),
};
static const struct weir_options server_options =
    WEIR_OPTIONS_TITLED(struct server, server_rows, id);

static const struct weir_option rows[] = {
    WEIR_OPTION(struct settings, string, STRING, "x", POOL, 0, "Text."),
    WEIR_OPTION_RANGE(struct settings, integer, INTEGER, "5", "-3", "100", POOL, 0, "Number."),
    WEIR_OPTION_RANGE(struct settings, real, REAL, "0.5", "0", "2", POOL, 0, "Number."),
    WEIR_OPTION_RANGE(struct settings, percentage, PERCENTAGE, "20%", "0%", "100%", POOL, 0,
                      "Share."),
    WEIR_OPTION(struct settings, boolean, BOOLEAN, "on", POOL, 0, "Switch."),
    WEIR_OPTION_RANGE(struct settings, duration, DURATION, "2s", "1ms", "1d", POOL, 0, "Time."),
    WEIR_OPTION_RANGE(struct settings, bytes, SIZE, "16k", "256", "32k", POOL, 0, "Size."),
    WEIR_OPTION(struct settings, address, ADDRESS, NULL, POOL, 0, "Where."),
    WEIR_OPTION(struct settings, network, ADDRESS, NULL, POOL, WEIR_OPTION_NETWORK, "Whence."),
    WEIR_OPTION_ENUM(struct settings, word, words, "off", POOL, 0, "Word."),
    WEIR_OPTION_LIST(struct settings, list, SIZE, "{1k, 2k}", POOL, 0, "Sizes."),
    WEIR_OPTION_BLOCK(struct settings, servers, "server", &server_options, POOL, 0, "Servers."),
};
static const struct weir_options options = WEIR_OPTIONS(struct settings, rows);

static void url_sound(const struct weir_url *url)
{
    text_sound(url->text);
    HOLDS(url->scheme.len > 0);
    HOLDS(url->port > 0 || url->host.len == 0);
    HOLDS(url->tls <= 1);
}

/* Values are in their ranges, or there is a mistake. */
static void fill(struct arena *arena, const struct conf_node *root, struct mistakes *mistakes)
{
    struct settings settings;
    const struct conf_target target = {&options, &settings};
    const struct conf_fill how = {
        .arena = arena, .places = conf_places_new(arena), .mistakes = mistakes, .context = POOL};
    memset(&settings, 0, sizeof(settings));
    size_t before = mistakes->count;
    bool ok = conf_fill_block(&how, root, &target, 1, NULL, true);
    /* What could not be read has been told of before. */
    HOLDS(ok ? mistakes->count == before : mistakes->count > 0);
    if (!ok) {
        return;
    }
    HOLDS(settings.integer >= -3 && settings.integer <= 100);
    HOLDS(settings.real >= 0 && settings.real <= 2);
    HOLDS(settings.percentage >= 0 && settings.percentage <= 1);
    HOLDS(settings.duration >= 1000000 && settings.duration <= UINT64_C(86400000000000));
    HOLDS(settings.bytes >= 256 && settings.bytes <= 32768);
    HOLDS(settings.word >= 0 && settings.word <= 2);
    const struct server *servers = settings.servers.items;
    for (size_t i = 0; i < settings.servers.count; i++) {
        HOLDS(servers[i].weight >= 0 && servers[i].weight <= 1000);
        url_sound(&servers[i].url);
    }
}

void property_conf(const uint8_t *data, size_t len)
{
    /* Files are not for a fuzzer to choose. */
    if (len > 0 && memmem(data, len, "include", 7) != NULL) {
        return;
    }
    struct arena arena;
    struct conf_tree tree;
    struct mistakes mistakes = {0};
    char *copy = property_copy(data, len);
    arena_init(&arena, NULL, 0);
    bool ok = conf_read_text(&tree, &arena, NAME, copy, len, &mistakes);
    HOLDS(ok == (mistakes.count == 0));
    free(copy);
    block_sound(&tree.root, 0);
    fill(&arena, &tree.root, &mistakes);
    mistakes_sound(&mistakes);
    mistakes_free(&mistakes);
    arena_reset(&arena);
}
