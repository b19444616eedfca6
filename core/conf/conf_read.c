/* SPDX-License-Identifier: MIT */
/*
 * Files: the main one, conf.d beside it, and what they include.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file_open.h"
#include "conf/conf.h"
#include "conf/conf_parse.h"
#include "conf/conf_path.h"

#define FILE_SIZE_MAX ((size_t)16 << 20)

/* A file that has been read or is being read. In the arena. */
struct seen_file {
    const struct seen_file *next;
    dev_t device;
    ino_t inode;
    struct place asked; /* where it is named */
    bool open;
};

struct reader {
    struct conf_tree *tree;
    struct mistakes *mistakes;
    const struct seen_file *seen;
};

static struct conf_node **read_file(struct reader *reader, const char *path, struct place asked,
                                    struct conf_node **tail, unsigned depth);

static void remember_file(struct conf_tree *tree, const char *path, struct weir_str text)
{
    const char **grown = arena_alloc(tree->arena, (tree->file_count + 1) * sizeof(*grown));
    struct weir_str *texts = arena_alloc(tree->arena, (tree->file_count + 1) * sizeof(*texts));
    if (grown == NULL || texts == NULL) {
        return;
    }
    if (tree->file_count > 0) {
        memcpy(grown, tree->files, tree->file_count * sizeof(*grown));
        memcpy(texts, tree->texts, tree->file_count * sizeof(*texts));
    }
    texts[tree->file_count] = arena_copy(tree->arena, text);
    grown[tree->file_count++] = path;
    tree->files = grown;
    tree->texts = texts;
}

/* ---- include ---- */

static struct conf_node **include(struct conf_parser *parser, const struct conf_token *path,
                                  struct conf_node **tail, unsigned depth)
{
    struct reader *reader = parser->arg;
    struct place place = {parser->lexer.file, path->line};

    if (depth > CONF_DEPTH_MAX) {
        mistakes_add(reader->mistakes, place, "files are included more than %u deep here",
                     CONF_DEPTH_MAX);
        return tail;
    }
    struct weir_str full = conf_path_beside(reader->tree->arena, place.file, path->text);
    if (full.ptr == NULL) {
        mistakes_add(reader->mistakes, place, "there is no memory left to include a file");
        return tail;
    }
    struct conf_include *included = arena_zalloc(reader->tree->arena, sizeof(*included));
    if (included != NULL) {
        *included = (struct conf_include){place,
                                          arena_copy(reader->tree->arena, path->text),
                                          full.ptr,
                                          {path->from, path->to},
                                          reader->tree->includes};
        reader->tree->includes = included;
    }
    return read_file(reader, full.ptr, place, tail, depth);
}

static struct conf_node **parse_text(struct reader *reader, const char *name, const char *text,
                                     size_t len, struct conf_node **tail, unsigned depth)
{
    const char *zero = len > 0 ? memchr(text, '\0', len) : NULL;
    struct conf_parser parser = {.include = include, .arg = reader};

    if (zero != NULL) {
        unsigned line = 1;
        for (const char *p = text; p < zero; p++) {
            line += *p == '\n';
        }
        mistakes_add(reader->mistakes, (struct place){name, line},
                     "a zero byte stands here; a configuration is a text file");
        return tail;
    }
    conf_lex_init(&parser.lexer, name, text, len, reader->tree->arena, reader->mistakes);
    tail = conf_parse_source(&parser, tail, depth);
    reader->tree->broken = reader->tree->broken || parser.broken || parser.lexer.cut;
    conf_lex_free(&parser.lexer);
    return tail;
}

/* Records the file; NULL: it must not be read, which is reported. */
static struct seen_file *check_file(struct reader *reader, int fd, const char *path,
                                    struct place asked)
{
    struct stat status;

    if (fstat(fd, &status) == -1) {
        mistakes_add(reader->mistakes, asked, "cannot read %s: %s", path, strerror(errno));
        return NULL;
    }
    for (const struct seen_file *other = reader->seen; other != NULL; other = other->next) {
        if (other->device != status.st_dev || other->inode != status.st_ino) {
            continue;
        }
        if (other->open) {
            mistakes_add(reader->mistakes, asked,
                         "%s includes itself, directly or by another file; take this include away",
                         path);
        } else if (other->asked.line > 0) {
            mistakes_add(reader->mistakes, asked, "%s was read already, named in %s:%u", path,
                         other->asked.file, other->asked.line);
        } else {
            mistakes_add(reader->mistakes, asked, "%s was read already", path);
        }
        return NULL;
    }
    struct seen_file *file = arena_zalloc(reader->tree->arena, sizeof(*file));
    if (file == NULL) {
        mistakes_add(reader->mistakes, asked, "there is no memory left to read %s", path);
        return NULL;
    }
    *file = (struct seen_file){reader->seen, status.st_dev, status.st_ino, asked, true};
    reader->seen = file;
    return file;
}

/* Reads an opened file. */
static struct conf_node **read_opened(struct reader *reader, int fd, const char *path,
                                      struct place asked, struct conf_node **tail, unsigned depth)
{
    struct seen_file *file = check_file(reader, fd, path, asked);
    size_t len = 0;

    if (file == NULL) {
        return tail;
    }
    char *text = file_read(fd, FILE_SIZE_MAX, &len);
    if (text == NULL) {
        mistakes_add(reader->mistakes, asked, "cannot read %s: %s", path,
                     errno == EFBIG ? "it has more than 16 MiB" : strerror(errno));
        return tail;
    }
    remember_file(reader->tree, path, (struct weir_str){text, len});
    tail = parse_text(reader, path, text, len, tail, depth);
    file->open = false;
    free(text);
    return tail;
}

/* `path` is in the arena: places point to it. `asked` is where the file is named. */
static struct conf_node **read_file(struct reader *reader, const char *path, struct place asked,
                                    struct conf_node **tail, unsigned depth)
{
    const char *why;
    int fd = file_open(path, &why);

    if (fd == -1) {
        mistakes_add(reader->mistakes, asked, "cannot open %s: %s", path, why);
        reader->tree->broken = true; /* its contents would be reported as missing */
        return tail;
    }
    tail = read_opened(reader, fd, path, asked, tail, depth);
    close(fd);
    return tail;
}

/* ---- conf.d ---- */

static int is_conf_file(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    return entry->d_name[0] != '.' && len > 5 && strcmp(entry->d_name + len - 5, ".conf") == 0;
}

/* Lexical by bytes, whatever the locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void read_folder(struct reader *reader, const char *main_file, struct conf_node **tail)
{
    struct arena *arena = reader->tree->arena;
    struct weir_str folder = conf_path_beside(arena, main_file, STR("conf.d"));
    struct dirent **entries = NULL;
    int count = folder.ptr != NULL ? scandir(folder.ptr, &entries, is_conf_file, by_name) : -1;

    if (count == -1) {
        if (errno != ENOENT) {
            mistakes_add(reader->mistakes, (struct place){folder.ptr, 0},
                         "the folder cannot be read: %s", strerror(errno));
        }
        return;
    }
    for (int i = 0; i < count; i++) {
        struct weir_str path = arena_printf(arena, "%s/%s", folder.ptr, entries[i]->d_name);
        if (path.ptr != NULL) {
            tail = read_file(reader, path.ptr, (struct place){path.ptr, 0}, tail, 0);
        }
        free(entries[i]);
    }
    free(entries);
}

/* ---- entries ---- */

static struct reader begin(struct conf_tree *tree, struct arena *arena, const char *name,
                           struct mistakes *mistakes)
{
    *tree = (struct conf_tree){.arena = arena};
    tree->root.kind = CONF_BLOCK;
    tree->root.name = STR("");
    tree->root.place = (struct place){name, 0};
    return (struct reader){.tree = tree, .mistakes = mistakes};
}

bool conf_read(struct conf_tree *tree, struct arena *arena, const char *path,
               struct mistakes *mistakes)
{
    size_t before = mistakes->count;
    struct weir_str full = conf_path_absolute(arena, path);

    if (full.ptr == NULL) {
        full = STR("weir.conf");
    }
    struct reader reader = begin(tree, arena, full.ptr, mistakes);
    struct conf_node **tail =
        read_file(&reader, full.ptr, tree->root.place, &tree->root.children, 0);
    if (tree->file_count > 0) {
        read_folder(&reader, full.ptr, tail);
    }
    return mistakes->count == before;
}

bool conf_read_text(struct conf_tree *tree, struct arena *arena, const char *name, const char *text,
                    size_t len, struct mistakes *mistakes)
{
    size_t before = mistakes->count;
    struct weir_str kept = arena_copy(arena, str_from(name));
    struct reader reader = begin(tree, arena, kept.ptr, mistakes);

    parse_text(&reader, kept.ptr, text, len, &tree->root.children, 0);
    return mistakes->count == before;
}
