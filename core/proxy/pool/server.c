/* SPDX-License-Identifier: MIT */
/*
 * Servers and their live state. See server.h.
 */
#include "proxy/pool/server.h"

#include <stdio.h>
#include <stdlib.h>

#include "net/loop.h"

const char *server_health_word(enum server_health health)
{
    static const char *const words[] = {"unknown", "up", "down"};
    return words[health];
}

const char *server_admin_word(enum server_admin admin)
{
    static const char *const words[] = {"ready", "drain", "maintenance"};
    return words[admin];
}

/* FNV-1a with SplitMix64's final mix, so that ids suit open addressing directly. */
static uint64_t hash_bytes(uint64_t hash, struct weir_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        hash = (hash ^ (uint8_t)text.ptr[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

weir_server_id server_id_of(struct weir_str pool, struct weir_str name)
{
    uint64_t hash = hash_bytes(UINT64_C(0xcbf29ce484222325), pool);
    hash = hash_bytes(hash, (struct weir_str){"", 1}); /* the NUL: "a","bc" is not "ab","c" */
    hash = hash_bytes(hash, name);
    hash = (hash ^ (hash >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    hash = (hash ^ (hash >> 27)) * UINT64_C(0x94d049bb133111eb);
    hash ^= hash >> 31;
    return hash != WEIR_NO_SERVER ? hash : 1;
}

/* The URL's slices point into its text: rebase them to the copy. */
static struct weir_url url_copy(const struct weir_url *url)
{
    struct weir_url copy = *url;
    copy.text.ptr = base_strndup(url->text.ptr, url->text.len);
    struct weir_str *parts[] = {&copy.scheme, &copy.host, &copy.path};
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        if (parts[i]->len > 0) {
            ASSERT(parts[i]->ptr >= url->text.ptr && parts[i]->ptr < url->text.ptr + url->text.len);
            parts[i]->ptr = copy.text.ptr + (parts[i]->ptr - url->text.ptr);
        }
    }
    return copy;
}

/* In the form of a Host field (RFC 9110 section 7.2): brackets for IPv6, no default port. */
static char *make_authority(const struct weir_url *url, struct weir_str host)
{
    char text[300];
    bool six = host.len > 0 && memchr(host.ptr, ':', host.len) != NULL;
    unsigned usual = url->tls ? 443 : 80;

    if (host.len == 0) {
        host = STR("localhost"); /* a Unix socket */
    }
    int len =
        snprintf(text, sizeof(text), "%s%.*s%s", six ? "[" : "", STR_ARGS(host), six ? "]" : "");
    if (url->port != 0 && url->port != usual && len > 0 && (size_t)len < sizeof(text)) {
        snprintf(text + len, sizeof(text) - (size_t)len, ":%u", url->port);
    }
    return base_strndup(text, strlen(text));
}

/* ---- all that live ---- */

/* An entry whose count is 0 waits for the lock to be freed: it is not found. */
static struct {
    pthread_mutex_t lock;
    struct table table; /* struct server.living */
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t living_hash(struct weir_str pool, struct weir_str name)
{
    return table_hash_more(table_hash(pool), name);
}

static void living_add(struct server *server)
{
    pthread_mutex_lock(&all.lock);
    table_add(&all.table, &server->living,
              living_hash(str_from(server->pool_name), str_from(server->name)));
    pthread_mutex_unlock(&all.lock);
}

static void living_remove(struct server *server)
{
    pthread_mutex_lock(&all.lock);
    table_remove(&server->living);
    pthread_mutex_unlock(&all.lock);
}

static bool ref_if_living(struct server *server)
{
    unsigned refs = server->refs;
    while (refs > 0) {
        if (atomic_compare_exchange_weak(&server->refs, &refs, refs + 1)) {
            return true;
        }
    }
    return false;
}

struct server *server_find(struct weir_str pool, struct weir_str name, const struct weir_url *url,
                           struct weir_str dns_name)
{
    struct server *found = NULL;

    pthread_mutex_lock(&all.lock);
    for (struct table_link *link = table_first(&all.table, living_hash(pool, name));
         link != NULL && found == NULL; link = table_next(link)) {
        struct server *server = container_of(link, struct server, living);
        if (str_equal(str_from(server->pool_name), pool) &&
            str_equal(str_from(server->name), name) && str_equal(server->url.text, url->text) &&
            str_equal(str_from(server->dns_name), dns_name) && ref_if_living(server)) {
            found = server;
        }
    }
    pthread_mutex_unlock(&all.lock);
    return found;
}

/* ---- life ---- */

struct server *server_new(struct weir_str pool, struct weir_str name, const struct weir_url *url,
                          unsigned loops)
{
    struct server *server = base_zalloc_lines(sizeof(*server));
    struct server_local *locals = base_zalloc_lines(sizeof(*locals) * loops);

    server->refs = 1;
    server->id = server_id_of(pool, name);
    server->pool_name = base_strndup(pool.ptr, pool.len);
    server->name = base_strndup(name.ptr, name.len);
    server->url = url_copy(url);
    server->authority = make_authority(&server->url, server->url.host);
    server->loops = loops;
    if (server->url.tls) {
        server->tls_name = base_strndup(server->url.host.ptr, server->url.host.len);
    }
    server->locals = locals;
    server->weight = 1;
    server->share = SERVER_SHARE_ONE;
    server->effective = WEIR_WEIGHT_ONE;
    list_init(&server->waiters);
    pthread_mutex_init(&server->lock, NULL);
    snprintf(server->reason, sizeof(server->reason), "not probed yet");
    server->health_since_ms = server->admin_since_ms = loop_wall_ms();
    for (unsigned i = 0; i < loops; i++) {
        spares_init(&server->locals[i].spares);
        list_init(&server->locals[i].connecting);
        server->locals[i].server = server;
        server->locals[i].candidate = UINT32_MAX;
    }
    if (server->url.scheme.len == 4 && memcmp(server->url.scheme.ptr, "unix", 4) == 0) {
        address_from_unix(&server->address, server->url.path);
    } else {
        server->named = !address_from_host(&server->address, server->url.host, server->url.port);
    }
    server->no_address = server->named;
    living_add(server);
    return server;
}

void server_set_dns_name(struct server *server, struct weir_str name)
{
    free(server->dns_name);
    free(server->authority);
    server->dns_name = base_strndup(name.ptr, name.len);
    server->authority = make_authority(&server->url, name);
    if (server->url.tls) {
        free(server->tls_name);
        server->tls_name = base_strndup(name.ptr, name.len);
    }
}

struct server *server_ref(struct server *server)
{
    atomic_fetch_add(&server->refs, 1);
    return server;
}

void server_unref(struct server **server)
{
    struct server *s = *server;
    *server = NULL;
    unsigned before = atomic_fetch_sub(&s->refs, 1);
    ASSERT(before > 0);
    if (before > 1) {
        return;
    }
    living_remove(s);
    ASSERT(list_empty(&s->waiters));
    for (unsigned i = 0; i < s->loops; i++) {
        ASSERT(list_empty(&s->locals[i].spares.list) && s->locals[i].notes == NULL);
        SSL_SESSION_free(s->locals[i].tls_session);
        sessions_free(s->locals[i].sessions);
    }
    pthread_mutex_destroy(&s->lock);
    free((char *)(uintptr_t)s->url.text.ptr);
    free(s->tls_name);
    free(s->dns_name);
    free(s->authority);
    free(s->probes);
    free(s->pool_name);
    free(s->name);
    free(s->locals);
    free(s);
}

bool server_set_health(struct server *server, enum server_health health, const char *reason)
{
    bool changed = server->health != health;
    pthread_mutex_lock(&server->lock);
    snprintf(server->reason, sizeof(server->reason), "%s", reason);
    if (changed) {
        server->health_since_ms = loop_wall_ms();
    }
    pthread_mutex_unlock(&server->lock);
    server->back = server->back || (health == HEALTH_UP &&
                                    (server->awaiting_probe || server->health == HEALTH_DOWN));
    server->health = health;
    if (health != HEALTH_UNKNOWN) {
        changed = server_end_wait(server) || changed;
    }
    return changed;
}

bool server_end_wait(struct server *server)
{
    return atomic_exchange(&server->awaiting_probe, 0) != 0;
}

static bool server_set_effective(struct server *server)
{
    uint64_t effective =
        (uint64_t)server->weight * WEIR_WEIGHT_ONE * server->share / SERVER_SHARE_ONE;
    uint32_t value = server->weight > 0 && effective == 0 ? 1 : (uint32_t)effective;
    bool changed = server->effective != value;
    server->effective = value;
    return changed;
}

bool server_set_weight(struct server *server, uint32_t weight)
{
    server->weight = weight;
    return server_set_effective(server);
}

bool server_set_share(struct server *server, uint32_t share)
{
    server->share = share;
    return server_set_effective(server);
}

void server_set_ejected(struct server *server, uint64_t end_ns, uint64_t until_ms,
                        const char *reason)
{
    pthread_mutex_lock(&server->lock);
    snprintf(server->eject_reason, sizeof(server->eject_reason), "%s", reason);
    pthread_mutex_unlock(&server->lock);
    server->eject_end_ns = end_ns;
    server->ejected_until_ms = until_ms;
    server->ejected = end_ns != 0;
}

void server_reason(struct server *server, char *out, size_t size)
{
    pthread_mutex_lock(&server->lock);
    snprintf(out, size, "%s",
             server->no_address                ? "its host name has no known address"
             : server->eject_reason[0] != '\0' ? server->eject_reason
                                               : server->reason);
    pthread_mutex_unlock(&server->lock);
}

bool server_set_admin(struct server *server, enum server_admin admin)
{
    bool changed = server->admin != admin;
    if (changed) {
        pthread_mutex_lock(&server->lock);
        server->admin_since_ms = loop_wall_ms();
        pthread_mutex_unlock(&server->lock);
        server->back = server->back || admin == ADMIN_READY;
        server->admin = admin;
    }
    return changed;
}

void server_note_probe(struct server *server, bool good, uint64_t took_ns, const char *reason)
{
    pthread_mutex_lock(&server->lock);
    if (server->probes == NULL) {
        server->probes = base_zalloc(sizeof(*server->probes) * PROBE_RECORDS);
    }
    struct probe_record *record = &server->probes[server->probes_seen++ % PROBE_RECORDS];
    record->at_ms = loop_wall_ms();
    record->took_us = (uint32_t)(took_ns / 1000);
    record->good = good;
    snprintf(record->reason, sizeof(record->reason), "%s", reason);
    pthread_mutex_unlock(&server->lock);
}

size_t server_probes(struct server *server, struct probe_record records[PROBE_RECORDS])
{
    pthread_mutex_lock(&server->lock);
    uint64_t seen = server->probes_seen;
    size_t count = seen < PROBE_RECORDS ? (size_t)seen : PROBE_RECORDS;
    for (size_t i = 0; i < count; i++) {
        records[i] = server->probes[(seen - count + i) % PROBE_RECORDS];
    }
    pthread_mutex_unlock(&server->lock);
    return count;
}

bool server_set_address(struct server *server, const struct address *address)
{
    bool placeless = address->len == 0;
    bool changed = placeless != (server->no_address != 0);

    pthread_mutex_lock(&server->lock);
    server->address = *address;
    pthread_mutex_unlock(&server->lock);
    server->address_epoch++;
    server->no_address = placeless;
    return changed;
}

bool server_get_address(struct server *server, struct address *address)
{
    pthread_mutex_lock(&server->lock);
    *address = server->address;
    pthread_mutex_unlock(&server->lock);
    return address->len > 0;
}
