/* SPDX-License-Identifier: MIT */
/* What all visitors know together: the goods, the shop's processes, and the counts. */
#define _GNU_SOURCE /* strcasestr */
#include "visitors.h"

#include <stdarg.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { COMPLAINTS_TOLD = 20 };

/* A process that is silent for this long after a cart was lost counts as gone. Any process that
 * lives is heard of far sooner, by another visitor. */
static const uint64_t gone_ns = UINT64_C(1000000000);

uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

size_t world_process(struct world *world, const struct response *response)
{
    const char *name = response_header(response, "X-Served-By");
    const char *instance = response_header(response, "X-Shop-Instance");
    name = name != NULL && *name != '\0' ? name : "(none)";
    instance = instance != NULL ? instance : "";
    size_t i = 0;
    while (i < world->process_count &&
           (strncmp(world->processes[i].name, name, sizeof world->processes[i].name - 1) != 0 ||
            strncmp(world->processes[i].instance, instance,
                    sizeof world->processes[i].instance - 1) != 0)) {
        i++;
    }
    if (i < world->process_count) {
        return i;
    }
    /* A shop whose processes die and come back this often is told of as its latest one. */
    i = i < PROCESS_LIMIT ? world->process_count++ : PROCESS_LIMIT - 1;
    struct process *process = &world->processes[i];
    memset(process, 0, sizeof *process);
    snprintf(process->name, sizeof process->name, "%s", name);
    snprintf(process->instance, sizeof process->instance, "%s", instance);
    return i;
}

static struct server_row *row_of(struct world *world, size_t process)
{
    size_t i = 0;
    while (i < world->row_count &&
           strcmp(world->rows[i].name, world->processes[process].name) != 0) {
        i++;
    }
    if (i == PROCESS_LIMIT) {
        return &world->rows[PROCESS_LIMIT -
                            1]; /* the table has an end: the last row takes the rest */
    }
    if (i == world->row_count) {
        world->row_count++;
        memcpy(world->rows[i].name, world->processes[process].name, sizeof world->rows[i].name);
    }
    return &world->rows[i];
}

void world_count(struct world *world, size_t process, uint64_t began_ns, uint64_t time_ns,
                 size_t bytes)
{
    struct server_row *row = row_of(world, process);
    struct process *by = &world->processes[process];
    world->requests++;
    world->second_requests++;
    histogram_add(&world->second_times, time_ns);
    row->requests++;
    row->second_requests++;
    row->bytes += bytes;
    histogram_add(&row->times, time_ns);
    if (by->lost_pending > 0 && began_ns > by->lost_first_ns) {
        fprintf(stderr, "%s lives, yet %llu cart(s) that it keeps were asked for elsewhere\n",
                by->name, (unsigned long long)by->lost_pending);
        world->failed += by->lost_pending;
        world->carts_lost_alive += by->lost_pending;
        row->failed += by->lost_pending;
        by->lost_pending = 0;
    }
}

void world_fail(struct world *world, size_t process, unsigned visitor, const char *what,
                const char *why)
{
    world->failed++;
    row_of(world, process)->failed++;
    if (world->complaints++ < COMPLAINTS_TOLD) {
        fprintf(stderr, "visitor %u: %s: %s (served by %s)%s\n", visitor, what, why,
                world->processes[process].name,
                world->complaints == COMPLAINTS_TOLD ? "; more are counted, not told" : "");
    }
}

void world_lose_cart(struct world *world, size_t process)
{
    struct process *keeper = &world->processes[process];
    if (keeper->lost_pending++ == 0) {
        keeper->lost_first_ns = now_ns();
    }
}

void world_settle(struct world *world)
{
    for (size_t i = 0; i < world->process_count; i++) {
        struct process *process = &world->processes[i];
        if (process->lost_pending == 0) {
            continue;
        }
        if (now_ns() - process->lost_first_ns >= gone_ns) {
            world->carts_lost += process->lost_pending;
        } else {
            fprintf(stderr, "%s: too late to tell whether it is gone: %llu lost cart(s) fail\n",
                    process->name, (unsigned long long)process->lost_pending);
            world->failed += process->lost_pending;
            world->carts_lost_alive += process->lost_pending;
            row_of(world, i)->failed += process->lost_pending;
        }
        process->lost_pending = 0;
    }
}

const struct good *world_good(const struct world *world, unsigned id)
{
    for (size_t i = 0; i < world->good_count; i++) {
        if (world->goods[i].id == id) {
            return &world->goods[i];
        }
    }
    return NULL;
}

size_t world_count_goods(const struct world *world, const char *category, const char *word)
{
    size_t count = 0;
    for (size_t i = 0; i < world->good_count; i++) {
        const struct good *good = &world->goods[i];
        count +=
            (*category == '\0' || strcmp(good->category, category) == 0) &&
            (strcasestr(good->name, word) != NULL || strcasestr(good->category, word) != NULL ||
             strcasestr(good->about, word) != NULL);
    }
    return count;
}
