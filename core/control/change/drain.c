/* SPDX-License-Identifier: MIT */
/*
 * The end of drains: a server that is quiet or whose deadline has passed is removed, or takes no
 * more sessions.
 */
#include "base/log.h"
#include "control/api/find.h"
#include "control/api/totals.h"
#include "control/change/change.h"
#include "control/change/server_part.h"

/* Sessions count as over when no request came for this long. */
#define SESSION_QUIET_SECONDS 60.0

static bool is_quiet(const struct pool_plan *plan, const struct server *server, uint64_t now_ns)
{
    if (__atomic_load_n(&server->in_flight, __ATOMIC_SEQ_CST) > 0) {
        return false;
    }
    pthread_mutex_lock((pthread_mutex_t *)(uintptr_t)&server->lock);
    double drained_s = (double)(loop_wall_ms() - server->admin_since_ms) / 1000;
    pthread_mutex_unlock((pthread_mutex_t *)(uintptr_t)&server->lock);
    return plan->sticky == NULL || server->admin == ADMIN_MAINTENANCE ||
           (drained_s > SESSION_QUIET_SECONDS &&
            (double)(now_ns - server->quiet_since_ns) / NS_PER_SECOND > SESSION_QUIET_SECONDS);
}

/* Since when no request has ended on a server that drains. */
static void watch(struct server *server, uint64_t now_ns)
{
    uint64_t requests = totals_requests(TOTALS_OF(server));

    if (requests != server->quiet_requests || server->quiet_since_ns == 0) {
        server->quiet_requests = requests;
        server->quiet_since_ns = now_ns;
    }
}

static void watch_all(const struct plan *plan, uint64_t now_ns)
{
    for (size_t i = 0; plan != NULL && i < plan->pool_count; i++) {
        for (size_t k = 0; plan->pools[i].sticky != NULL && k < plan->pools[i].server_count; k++) {
            if (plan->pools[i].servers[k]->admin == ADMIN_DRAIN) {
                watch(plan->pools[i].servers[k], now_ns);
            }
        }
    }
}

/* Changes the server's entry. */
static void begin(struct changes *changes, const char *key, cJSON *entry)
{
    struct change *change = change_new(changes, NULL);
    change->key = base_strdup(key);
    change->entry = entry;
    change_begin(change);
}

static void server_leaves(struct changes *changes, const char *key, const struct found *found,
                          bool drained)
{
    log_write(WEIR_LOG_NOTICE, "weir", "server \"%s\" is removed: %s", key,
              drained ? "it is drained" : "its time to drain is over");
    begin(changes, key, overlay_without(changes->overlay, key, found->settings));
}

static void drain_ends(struct changes *changes, const char *key)
{
    cJSON *entry = overlay_copy(changes->overlay, key);

    json_put(entry, "state", cJSON_CreateString("maintenance"));
    json_put(entry, "drain_deadline", NULL);
    log_write(WEIR_LOG_NOTICE, "weir",
              "server \"%s\": its time to drain is over; it takes no sessions any more", key);
    begin(changes, key, entry);
}

bool drain_upkeep(struct changes *changes)
{
    double now_ms = (double)loop_wall_ms();
    uint64_t now_ns = loop_now_ns(changes->plane.self->loop);
    const struct generation *current = changes->plane.runtime->current;
    const cJSON *entry = NULL;

    watch_all(current != NULL ? current->plan : NULL, now_ns);
    cJSON_ArrayForEach(entry, changes->overlay->entries)
    {
        const cJSON *deadline = json_get(entry, "drain_deadline");
        bool over = cJSON_IsNumber(deadline) && deadline->valuedouble <= now_ms;
        bool leaving = overlay_is_leaving(entry);
        if (!leaving && !over) {
            continue;
        }
        struct found found = find_by_key(changes->plane.runtime->current, entry->string);
        if (found.server == NULL) {
            continue;
        }
        bool quiet = leaving && is_quiet(found.plan, found.server, now_ns);
        if (leaving && (quiet || over)) {
            server_leaves(changes, entry->string, &found, quiet);
            return true;
        }
        if (!leaving) {
            drain_ends(changes, entry->string);
            return true;
        }
    }
    return false;
}
