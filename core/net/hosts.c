/* SPDX-License-Identifier: MIT */
/*
 * Lines of hosts(5): an address, names, a comment. See hosts.h.
 */
#include "net/hosts.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <weir/text.h>

#include "base/file_open.h"
#include "base/table.h"

struct host {
    struct table_named by_name;
    struct list all; /* hosts.all */
    char *name;      /* in lower case, without a dot at its end */
    struct address *addresses;
    size_t count;
};

struct hosts {
    char *path;
    struct file_mark mark;
    struct table names;
    struct list all;
};

struct file_mark file_mark_of(const char *path)
{
    struct stat about;

    if (stat(path, &about) != 0) {
        return (struct file_mark){0};
    }
    return (struct file_mark){about.st_dev, about.st_ino, about.st_size, about.st_mtim};
}

bool file_mark_equal(const struct file_mark *a, const struct file_mark *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

/* The name as stored, in `out`; false: too long for a name. */
static bool fold(struct weir_str name, char out[256])
{
    if (name.len > 0 && name.ptr[name.len - 1] == '.') {
        name.len--;
    }
    if (name.len == 0 || name.len > 255) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        out[i] = weir_lower(name.ptr[i]);
    }
    out[name.len] = '\0';
    return true;
}

static struct host *find(const struct hosts *hosts, const char *name)
{
    struct table_named *found = table_find(&hosts->names, str_from(name));
    return found != NULL ? container_of(found, struct host, by_name) : NULL;
}

static void add(struct hosts *hosts, struct weir_str text, const struct address *address)
{
    char name[256];

    if (!fold(text, name)) {
        return;
    }
    struct host *host = find(hosts, name);
    if (host == NULL) {
        host = base_zalloc(sizeof(*host));
        host->name = base_strdup(name);
        table_add_named(&hosts->names, &host->by_name, str_from(host->name));
        list_push_back(&hosts->all, &host->all);
    }
    host->addresses = base_realloc(host->addresses, (host->count + 1) * sizeof(*host->addresses));
    host->addresses[host->count++] = *address;
}

/* The next word of the line, up to a comment; empty: there is none. */
static struct weir_str word(const char **line)
{
    const char *at = *line + strspn(*line, " \t\r\n");
    size_t len = strcspn(at, " \t\r\n#");
    *line = at + len;
    return (struct weir_str){at, len};
}

static void read_line(struct hosts *hosts, const char *line)
{
    struct address address;
    struct weir_str first = word(&line);

    if (first.len == 0 || !address_from_host(&address, first, 0)) {
        return;
    }
    for (struct weir_str name = word(&line); name.len > 0; name = word(&line)) {
        add(hosts, name, &address);
    }
}

static void forget(struct hosts *hosts)
{
    list_each(link, &hosts->all)
    {
        struct host *host = container_of(link, struct host, all);
        table_remove(&host->by_name.link);
        free(host->addresses);
        free(host->name);
        free(host);
    }
    list_init(&hosts->all);
}

/* RFC 6761 section 6.3: always there, whatever the file says. */
static void add_localhost(struct hosts *hosts)
{
    if (find(hosts, "localhost") == NULL) {
        read_line(hosts, "127.0.0.1 localhost");
        read_line(hosts, "::1 localhost");
    }
}

void hosts_look(struct hosts *hosts)
{
    struct file_mark mark = file_mark_of(hosts->path);
    char *line = NULL;
    size_t size = 0;

    if (file_mark_equal(&mark, &hosts->mark)) {
        return;
    }
    const char *why;
    int fd = file_open(hosts->path, &why);
    FILE *file = fd != -1 ? fdopen(fd, "r") : NULL;
    if (file == NULL && fd != -1) {
        close(fd);
    }
    if (file == NULL && mark.inode != 0) {
        return; /* what was read stays; the next look tries again */
    }
    forget(hosts);
    while (file != NULL && getline(&line, &size, file) != -1) {
        read_line(hosts, line);
    }
    if (file != NULL) {
        fclose(file);
    }
    free(line);
    hosts->mark = mark;
    add_localhost(hosts);
}

const struct address *hosts_find(const struct hosts *hosts, struct weir_str name, size_t *count)
{
    char folded[256];

    if (!fold(name, folded)) {
        return NULL;
    }
    const struct host *host = find(hosts, folded);
    size_t len = strlen(folded);
    if (host == NULL && len > 10 && strcmp(folded + len - 10, ".localhost") == 0) {
        host = find(hosts, "localhost");
    }
    *count = host != NULL ? host->count : 0;
    return host != NULL ? host->addresses : NULL;
}

struct hosts *hosts_new(const char *path)
{
    struct hosts *hosts = base_zalloc(sizeof(*hosts));

    hosts->path = base_strdup(path);
    list_init(&hosts->all);
    add_localhost(hosts);
    return hosts;
}

void hosts_free(struct hosts **hosts)
{
    struct hosts *h = *hosts;

    if (h == NULL) {
        return;
    }
    *hosts = NULL;
    forget(h);
    table_end(&h->names);
    free(h->path);
    free(h);
}
