/* SPDX-License-Identifier: MIT */
/*
 * An access log in JSON (module access_log) as a trace: when requests came, of whom, which server
 * had them, what it took and what became of them.
 */
#include "sim.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* One line, as far as it counts. */
struct entry {
    uint64_t at; /* since 1970 */
    uint64_t line;
    uint32_t client;
    uint32_t server; /* of `reader.names` */
    struct sample sample;
};

struct names {
    char **items;
    size_t count;
};

struct reader {
    const char *path, *pool;
    char *seen_pool;
    struct entry *entries;
    size_t count;
    struct names servers;
    uint32_t *table; /* of clients, by hash: number + 1; their texts are in `clients` */
    size_t table_size;
    struct names clients;
};

static const char *text_of(const cJSON *line, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(line, name);
    return cJSON_IsString(item) ? item->valuestring : "";
}

static double number_of(const cJSON *line, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(line, name);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

static uint64_t ns_of(const cJSON *line, const char *name)
{
    double ms = number_of(line, name);
    return ms > 0 && ms < 1e12 ? (uint64_t)(ms * 1e6 + 0.5) : 0;
}

static size_t name_add(struct names *names, const char *name)
{
    names->items = need(realloc(names->items, (names->count + 1) * sizeof(*names->items)));
    names->items[names->count] = need(strdup(name));
    return names->count++;
}

static void names_free(struct names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        free(names->items[i]);
    }
    free(names->items);
}

static uint32_t server_of(struct reader *reader, const char *name)
{
    for (size_t i = 0; i < reader->servers.count; i++) {
        if (strcmp(reader->servers.items[i], name) == 0) {
            return (uint32_t)i;
        }
    }
    return (uint32_t)name_add(&reader->servers, name);
}

static size_t place_of(const struct reader *reader, const char *name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    size_t mask = reader->table_size - 1;

    for (const char *c = name; *c != '\0'; c++) {
        hash = (hash ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
    }
    size_t place = (size_t)(hash ^ hash >> 32) & mask;
    while (reader->table[place] != 0 &&
           strcmp(reader->clients.items[reader->table[place] - 1], name) != 0) {
        place = (place + 1) & mask;
    }
    return place;
}

static uint32_t client_of(struct reader *reader, const char *name)
{
    if (reader->table_size == 0 || reader->clients.count * 2 >= reader->table_size) {
        free(reader->table);
        reader->table_size = reader->table_size > 0 ? 2 * reader->table_size : 1024;
        reader->table = need(calloc(reader->table_size, sizeof(*reader->table)));
        for (size_t i = 0; i < reader->clients.count; i++) {
            reader->table[place_of(reader, reader->clients.items[i])] = (uint32_t)i + 1;
        }
    }
    size_t place = place_of(reader, name);
    if (reader->table[place] == 0) {
        reader->table[place] = (uint32_t)name_add(&reader->clients, name) + 1;
    }
    return reader->table[place] - 1;
}

/* 2026-11-24T08:30:00.123Z */
static bool read_time(const char *text, uint64_t *ns)
{
    struct tm tm = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    char *end;
    double part = 0;

    if (rest == NULL) {
        return false;
    }
    if (*rest == '.') {
        part = strtod(rest, &end);
        rest = end;
    }
    *ns = (uint64_t)timegm(&tm) * NS_PER_SECOND + (uint64_t)(part * 1e9 + 0.5);
    return strcmp(rest, "Z") == 0;
}

static enum weir_outcome outcome_of(const char *name)
{
    static const char *const names[] = {
        [WEIR_OUTCOME_SUCCESS] = "success",   [WEIR_OUTCOME_ERROR] = "error",
        [WEIR_OUTCOME_FAILED] = "failed",     [WEIR_OUTCOME_TIMEOUT] = "timeout",
        [WEIR_OUTCOME_CANCELED] = "canceled",
    };
    for (int i = WEIR_OUTCOME_SUCCESS; i < WEIR_OUTCOME_CANCELED; i++) {
        if (strcmp(name, names[i]) == 0) {
            return (enum weir_outcome)i;
        }
    }
    return WEIR_OUTCOME_CANCELED;
}

/* What the server did: the answer began so long after the request got there, and was whole so much
 * later. Of one without an answer all the time was the server's. */
static struct sample sample_of(const cJSON *line)
{
    struct sample sample = {
        .status = (uint32_t)number_of(line, "status"),
        .outcome = outcome_of(text_of(line, "outcome")),
        .first_byte = ns_of(line, "first_byte_ms"),
    };
    uint64_t total = ns_of(line, "total_ms"), queued = ns_of(line, "queue_ms");

    sample.total = total > queued ? total - queued : 0;
    if (sample.first_byte == 0) { /* the status is Weir's own */
        sample.first_byte = sample.total;
        sample.status =
            sample.outcome == WEIR_OUTCOME_FAILED || sample.outcome == WEIR_OUTCOME_TIMEOUT
                ? 0
                : sample.status;
    }
    sample.total = sample.total > sample.first_byte ? sample.total : sample.first_byte;
    return sample;
}

static bool refuse(const struct reader *reader, uint64_t number, const char *what)
{
    fprintf(stderr, "weirsim: %s:%llu: %s\n", reader->path, (unsigned long long)number, what);
    return false;
}

static bool take_line(struct reader *reader, const char *text, uint64_t number)
{
    cJSON *line = cJSON_Parse(text);
    struct entry entry = {.line = number};
    const char *pool = text_of(line, "pool");
    bool good = cJSON_IsObject(line) && read_time(text_of(line, "time"), &entry.at);

    if (!good) {
        cJSON_Delete(line);
        return refuse(reader, number,
                      "no line of an access log in JSON, which begins with "
                      "{\"time\":\"2026-");
    }
    entry.sample = sample_of(line);
    bool counts = text_of(line, "server")[0] != '\0' &&
                  entry.sample.outcome != WEIR_OUTCOME_CANCELED && entry.sample.status != 101 &&
                  (reader->pool == NULL || strcmp(pool, reader->pool) == 0);
    if (counts && reader->seen_pool == NULL) {
        reader->seen_pool = need(strdup(pool));
    }
    if (counts && strcmp(reader->seen_pool, pool) != 0) {
        cJSON_Delete(line);
        return refuse(reader, number, "there are several pools: name one by --pool");
    }
    if (counts) {
        if ((reader->count & (reader->count + 1)) == 0 || reader->count == 0) {
            reader->entries =
                need(realloc(reader->entries, 2 * (reader->count + 1) * sizeof(*reader->entries)));
        }
        entry.client = client_of(reader, text_of(line, "client"));
        entry.server = server_of(reader, text_of(line, "server"));
        reader->entries[reader->count++] = entry;
    }
    cJSON_Delete(line);
    return true;
}

static int by_time(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return x->at != y->at ? (x->at < y->at ? -1 : 1) : x->line < y->line ? -1 : 1;
}

/* The trace's server of that number in the scenario; `scenario->server_count`: it has none. */
static uint32_t model_of(const struct scenario *scenario, const char *name)
{
    uint32_t i = 0;
    while (i < scenario->server_count &&
           (strcmp(scenario->servers[i].name, name) != 0 || scenario->servers[i].timed)) {
        i++;
    }
    return i;
}

/* `limit`: so many of the first requests; 0: all. */
static void fill(struct reader *reader, struct scenario *scenario, size_t limit)
{
    bool own = scenario->server_count == 0;
    uint32_t *models = need(calloc(reader->servers.count, sizeof(*models)));
    size_t *counts;

    reader->count = limit > 0 && limit < reader->count ? limit : reader->count;

    if (own) {
        for (size_t i = 0; i < reader->servers.count; i++) {
            char text[128];
            snprintf(text, sizeof(text), "name=%.50s", reader->servers.items[i]);
            (void)!read_servers(text, &scenario->servers, &scenario->server_count);
        }
    }
    for (size_t i = 0; i < reader->servers.count; i++) {
        char name[64];
        snprintf(name, sizeof(name), "%.50s", reader->servers.items[i]);
        models[i] = own ? (uint32_t)i : model_of(scenario, name);
    }
    counts = need(calloc(scenario->server_count + 1, sizeof(*counts))); /* the last: of none */
    for (size_t i = 0; i < reader->count; i++) {
        counts[models[reader->entries[i].server]]++;
    }
    for (uint32_t i = 0; i < scenario->server_count; i++) {
        scenario->servers[i].samples =
            need(calloc(counts[i] + 1, sizeof(*scenario->servers[i].samples)));
    }
    free(counts);
    scenario->arrivals = need(calloc(reader->count, sizeof(*scenario->arrivals)));
    scenario->requests = reader->count;
    scenario->clients = (uint32_t)reader->clients.count;
    for (size_t i = 0; i < reader->count; i++) {
        struct entry *entry = &reader->entries[i];
        uint32_t model = models[entry->server];
        entry->sample.at = entry->at - reader->entries[0].at;
        scenario->arrivals[i] =
            (struct arrival){.at = entry->sample.at, .client = entry->client, .sample = -1};
        if (model < scenario->server_count) {
            struct server_model *server = &scenario->servers[model];
            scenario->arrivals[i].server = model;
            scenario->arrivals[i].sample = (int32_t)server->sample_count;
            server->samples[server->sample_count++] = entry->sample;
        }
    }
    free(models);
}

bool read_trace(const char *path, const char *pool, size_t limit, struct scenario *scenario)
{
    struct reader reader = {.path = path, .pool = pool};
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
    char *line = NULL;
    size_t room = 0;
    bool good = true;

    if (file == NULL) {
        fprintf(stderr, "weirsim: %s: %s\n", path, strerror(errno));
        return false;
    }
    for (uint64_t number = 1; good && getline(&line, &room, file) > 0; number++) {
        good = line[0] == '\n' || take_line(&reader, line, number);
    }
    if (file != stdin) {
        fclose(file);
    }
    if (good && reader.count == 0) {
        fprintf(stderr, "weirsim: %s: no request there has been at a server%s%s\n", path,
                pool != NULL ? " of pool " : "", pool != NULL ? pool : "");
        good = false;
    }
    if (good) {
        qsort(reader.entries, reader.count, sizeof(*reader.entries), by_time);
        fill(&reader, scenario, limit);
    }
    names_free(&reader.servers);
    names_free(&reader.clients);
    free(reader.seen_pool);
    free(reader.table);
    free(reader.entries);
    free(line);
    return good;
}
