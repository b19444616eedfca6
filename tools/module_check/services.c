/* SPDX-License-Identifier: MIT */
/*
 * The contract of kinds that have one instance: health, store, control.
 */
#include "check.h"

#include <stdio.h>
#include <string.h>

/* ---- health ---- */

/* What servers answer to probes: whole, odd, cut and no HTTP at all. */
static size_t random_answer(struct life *life, char *out, size_t size)
{
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 503 Down\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ndown\r\n0\r\n\r\n",
        "HTTP/1.1 204 \r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\nok",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "SSH-2.0-none\r\n",
        "\r\n\r\n",
        "",
    };
    uint64_t *random = &life->random;
    const char *answer = answers[random_below(random, COUNT(answers))];
    size_t len = strlen(answer);

    memcpy(out, answer, len);
    if (chance(random, 20) && len > 0) {
        len = random_below(random, (uint32_t)len);
    }
    for (uint32_t i = chance(random, 20) ? 1 + random_below(random, 5) : 0; i > 0 && len > 0; i--) {
        out[random_below(random, (uint32_t)len)] = (char)random_below(random, 256);
    }
    if (chance(random, 5)) {
        memset(out + len, 'x', size - len);
        len = size;
    }
    return len;
}

static void probe(struct life *life, struct weir_test_instance *health)
{
    static char answer[20000];
    static const char *const authorities[] = {"127.0.0.1:80", "[::1]:8443", "backend.example:1"};
    uint64_t *random = &life->random;
    struct weir_probe_target target =
        weir_test_target(authorities[random_below(random, COUNT(authorities))], chance(random, 50));

    target.http = chance(random, 20) ? 2 : 1;
    (void)weir_test_probe(health, &target, NULL);
    size_t len = random_answer(life, answer, sizeof(answer));
    (void)weir_test_judge(health, &target, answer, len, random_below(random, 50),
                          chance(random, 70), NULL);
}

static void outcomes(struct life *life, struct weir_test_instance *health)
{
    uint64_t *random = &life->random;
    struct weir_outcome_run runs[8];
    uint32_t count = 1 + random_below(random, COUNT(runs));

    for (uint32_t i = 0; i < count; i++) {
        runs[i] = (struct weir_outcome_run){random_below(random, WEIR_OUTCOME_CANCELED),
                                            1 + random_below(random, 20)};
    }
    weir_test_refuse_ejections(life->host, chance(random, 30));
    weir_test_outcomes(health, 1 + random_below(random, 5), runs, count);
}

void live_health(struct life *life)
{
    struct weir_health table = {0};
    struct weir_test_instance *health = make_instance(life, life->block);
    uint32_t size = life->module->health->size;

    memcpy(&table, life->module->health, size < sizeof(table) ? size : sizeof(table));
    for (uint32_t i = 0; health != NULL && i < life->steps; i++) {
        maybe_fail(life);
        if (table.request != NULL && (table.on_outcomes == NULL || chance(&life->random, 50))) {
            probe(life, health);
        } else {
            outcomes(life, health);
        }
        weir_test_advance(life->host, random_next(&life->random) & ((UINT64_C(1) << 35) - 1));
        if (chance(&life->random, 3)) {
            weir_test_destroy(&health);
            health = make_instance(life, life->block);
        }
    }
    if (health != NULL) {
        weir_test_destroy(&health);
    }
}

/* ---- store: beside a table that is right ---- */

#define KEYS 12u

struct shelf {
    bool there[KEYS];
    uint32_t value[KEYS];
};

struct visit {
    const struct shelf *shelf;
    int last; /* key that was visited; -1: none */
    size_t count;
    bool reverse, wrong;
};

static bool visit(void *arg, struct weir_str key, struct weir_str value)
{
    struct visit *at = arg;
    char expected[32];
    int index = key.len == 3 ? key.ptr[2] - 'a' : -1;

    at->count++;
    if (index < 0 || index >= (int)KEYS || !at->shelf->there[index] ||
        (at->last >= 0 && (at->reverse ? index >= at->last : index <= at->last))) {
        at->wrong = true;
        return false;
    }
    snprintf(expected, sizeof(expected), "value %u", at->shelf->value[index]);
    at->wrong |= value.len != strlen(expected) || memcmp(value.ptr, expected, value.len) != 0;
    at->last = index;
    return true;
}

static void commit(struct life *life, struct weir_test_instance *store, struct shelf *shelf)
{
    struct weir_store_change changes[5] = {{0}};
    char keys[COUNT(changes)][4], values[COUNT(changes)][32], error[512];
    struct shelf next = *shelf;
    size_t count = 1 + random_below(&life->random, COUNT(changes));

    for (size_t i = 0; i < count; i++) {
        uint32_t key = random_below(&life->random, KEYS);
        next.there[key] = chance(&life->random, 70);
        next.value[key] = random_below(&life->random, 100000);
        snprintf(keys[i], sizeof(keys[i]), "k:%c", (char)('a' + key));
        snprintf(values[i], sizeof(values[i]), "value %u", next.value[key]);
        changes[i] = (struct weir_store_change){
            .size = sizeof(changes[i]),
            .remove = !next.there[key],
            .space = {"check", 5},
            .key = {keys[i], 3},
            .value = {values[i], strlen(values[i])},
        };
    }
    if (weir_test_store_commit(store, changes, count, error, sizeof(error)) == WEIR_OK) {
        *shelf = next;
    } else {
        tell("commit", "WEIR_OK, in a folder that can be written", "a commit failed: %s", error);
    }
}

static void scan(struct life *life, struct weir_test_instance *store, const struct shelf *shelf)
{
    struct visit at = {.shelf = shelf, .last = -1, .reverse = chance(&life->random, 50)};
    size_t limit = chance(&life->random, 50) ? 1 + random_below(&life->random, KEYS) : 0, there = 0;

    for (size_t i = 0; i < KEYS; i++) {
        there += shelf->there[i] ? 1 : 0;
    }
    size_t wanted = limit > 0 && limit < there ? limit : there;
    enum weir_status status =
        weir_test_store_scan(store, "check", "", at.reverse, limit, visit, &at);
    if (status != WEIR_OK || at.wrong || at.count != wanted) {
        tell("scan", "what was committed, in the order of keys, at most `limit` of it",
             "a scan gave %zu entries of %zu%s", at.count, wanted,
             at.wrong ? ", and not what was committed in the order of keys" : "");
    }
}

/* It begins with what an earlier one has left. */
static struct weir_test_instance *open_store(struct life *life)
{
    struct weir_test_instance *store = make_instance(life, life->block);
    char text[512];

    if (store != NULL && weir_test_store_open(store, text, sizeof(text)) != WEIR_OK) {
        tell("open", "WEIR_OK, in a folder that can be written", "the store did not open: %s",
             text);
        weir_test_destroy(&store);
    }
    return store;
}

void live_store(struct life *life)
{
    struct weir_test_instance *store = open_store(life);
    struct shelf shelf = {0};

    if (store != NULL) { /* an earlier life may have left something */
        struct weir_store_change changes[KEYS];
        static const char keys[KEYS][4] = {"k:a", "k:b", "k:c", "k:d", "k:e", "k:f",
                                           "k:g", "k:h", "k:i", "k:j", "k:k", "k:l"};
        char error[512];
        for (size_t i = 0; i < KEYS; i++) {
            changes[i] = (struct weir_store_change){.size = sizeof(changes[i]),
                                                    .remove = true,
                                                    .space = {"check", 5},
                                                    .key = {keys[i], 3}};
        }
        (void)weir_test_store_commit(store, changes, KEYS, error, sizeof(error));
    }
    for (uint32_t i = 0; store != NULL && i < life->steps / 20; i++) {
        commit(life, store, &shelf);
        scan(life, store, &shelf);
        if (chance(&life->random, 10)) { /* it is durable */
            weir_test_destroy(&store);
            store = open_store(life);
        }
    }
    if (store != NULL) {
        weir_test_destroy(&store);
    }
}

/* ---- control ---- */

#define ARGUMENTS_MAX 40u

/* Values as the core hands them on, by the row's type and limits. */
static void argument(struct life *life, const struct weir_argument *row, char out[160])
{
    int64_t least = row->minimum, most = row->maximum > least ? row->maximum : least + 10;
    uint32_t words = 0;

    switch (row->type) {
    case WEIR_ARGUMENT_INTEGER:
    case WEIR_ARGUMENT_NUMBER:
    case WEIR_ARGUMENT_DURATION:
        snprintf(
            out, 160, "%lld",
            (long long)(least + random_below(&life->random, most - least > 1000
                                                                ? 1000
                                                                : (uint32_t)(most - least + 1))) *
                (row->type == WEIR_ARGUMENT_DURATION ? 1000 : 1));
        break;
    case WEIR_ARGUMENT_BOOLEAN: snprintf(out, 160, "%u", random_below(&life->random, 2)); break;
    case WEIR_ARGUMENT_WORD:
        while (row->words != NULL && row->words[words] != NULL) {
            words++;
        }
        snprintf(out, 160, "%s", words > 0 ? row->words[random_below(&life->random, words)] : "");
        break;
    default: {
        size_t len = least > 0 && least < 150 ? (size_t)least : 1;
        memset(out, (int)('a' + random_below(&life->random, 3)), len);
        out[len] = '\0';
        break;
    }
    }
}

static size_t add_arguments(struct life *life, const struct weir_argument *rows, const char **list,
                            char (*values)[160], size_t count)
{
    for (; rows != NULL && rows->name != NULL && count < ARGUMENTS_MAX; rows++) {
        if (rows->required || chance(&life->random, 40)) {
            argument(life, rows, values[count]);
            list[2 * count] = rows->name;
            list[2 * count + 1] = values[count];
            count++;
        }
    }
    return count;
}

/* The words in braces of its path are arguments too. */
static size_t add_path(struct life *life, const char *path, const char **list, char (*values)[160],
                       char (*names)[32])
{
    size_t count = 0;
    while (path != NULL && (path = strchr(path, '{')) != NULL && count < 2) {
        size_t len = strcspn(++path, "}");
        snprintf(names[count], 32, "%.*s", (int)len, path);
        snprintf(values[count], 160, "%c", (char)('a' + random_below(&life->random, 3)));
        list[2 * count] = names[count];
        list[2 * count + 1] = values[count];
        count++;
    }
    return count;
}

static void operate(struct life *life, struct weir_test_instance *control,
                    const struct weir_control *table)
{
    const char *list[2 * ARGUMENTS_MAX + 1] = {NULL};
    char values[ARGUMENTS_MAX][160], names[2][32];
    struct weir_operation row = {0};
    uint32_t which = random_below(&life->random, (uint32_t)table->operation_count);

    memcpy(&row, (const char *)table->operations + (size_t)which * table->operation_size,
           table->operation_size < sizeof(row) ? table->operation_size : sizeof(row));
    size_t count = add_path(life, row.path, list, values, names);
    count = add_arguments(life, row.body, list, values, count);
    count = add_arguments(life, row.query, list, values, count);
    list[2 * count] = NULL;
    weir_test_refuse_changes(life->host, chance(&life->random, 10) ? "the disk is full" : NULL);
    const struct weir_test_answer *answer = weir_test_operation(control, row.name, list);
    if (answer->status == 0) {
        tell(row.name, "an answer to each operation, at once or by weir_operation_finish",
             "the operation %s was not answered", row.name);
    }
    weir_test_refuse_changes(life->host, NULL);
    if (chance(&life->random, 30)) {
        (void)weir_test_undo(control);
    }
}

void live_control(struct life *life)
{
    struct weir_control table = {0};
    struct weir_test_instance *control = make_instance(life, life->block);
    uint32_t size = life->module->control->size;

    memcpy(&table, life->module->control, size < sizeof(table) ? size : sizeof(table));
    for (uint32_t i = 0; control != NULL && i < life->steps / 10; i++) {
        if (table.operation_count > 0) {
            operate(life, control, &table);
        }
        weir_test_advance(life->host, random_next(&life->random) & ((UINT64_C(1) << 33) - 1));
        if (chance(&life->random, 5)) {
            weir_test_destroy(&control);
            control = make_instance(life, life->block);
        }
    }
    if (control != NULL) {
        weir_test_destroy(&control);
    }
}
