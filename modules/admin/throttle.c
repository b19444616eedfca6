/* SPDX-License-Identifier: MIT */
/*
 * Slowing down. See throttle.h.
 */
#include "throttle.h"

#include <string.h>

#define SECOND_NS UINT64_C(1000000000)

/* Free failures: people mistype. */
#define FREE_FAILURES 4
/* The longest waits. A name's is short, so that strangers cannot lock its owner out. */
#define ADDRESS_WAIT_NS (15 * 60 * SECOND_NS)
#define NAME_WAIT_NS    (30 * SECOND_NS)
/* After that long without a failure all are forgotten. */
#define FORGET_NS (60 * 60 * SECOND_NS)

static uint64_t key_of(struct throttle *throttle, struct weir_context *ctx, char kind,
                       struct weir_str text)
{
    uint8_t digest[32];
    char bytes[257];
    uint64_t key;

    if (!throttle->keyed) {
        weir_random(ctx, throttle->secret, sizeof(throttle->secret));
        throttle->keyed = true;
    }
    size_t len = text.len < sizeof(bytes) - 1 ? text.len : sizeof(bytes) - 1;
    bytes[0] = kind;
    if (len > 0) {
        memcpy(bytes + 1, text.ptr, len);
    }
    weir_hmac_sha256(ctx, throttle->secret, sizeof(throttle->secret), bytes, len + 1, digest);
    memcpy(&key, digest, sizeof(key));
    return key != 0 ? key : 1;
}

/* An IPv6 client has a /64 to choose addresses from: its first four groups count. */
static struct weir_str network_of(struct weir_str address)
{
    size_t groups = 0;
    for (size_t i = 0; i < address.len; i++) {
        if (address.ptr[i] == ':' && ++groups == 4) {
            return (struct weir_str){address.ptr, i};
        }
        if (address.ptr[i] == ':' && i > 0 && address.ptr[i - 1] == ':') {
            return (struct weir_str){address.ptr, i}; /* what is left of `::` */
        }
    }
    return address;
}

/* ---- logins ---- */

/* The entry of a key; NULL: it has none, and `make` is false. */
static struct throttle_entry *find_login(struct throttle *throttle, uint64_t key, uint64_t now_ns,
                                         bool make)
{
    struct throttle_entry *oldest = &throttle->logins[0];
    for (size_t i = 0; i < THROTTLE_SLOTS; i++) {
        struct throttle_entry *entry = &throttle->logins[i];
        if (entry->key == key && now_ns - entry->seen_ns < FORGET_NS) {
            return entry;
        }
        if (entry->key == 0 || entry->seen_ns < oldest->seen_ns) {
            oldest = entry;
        }
    }
    if (!make) {
        return NULL;
    }
    *oldest = (struct throttle_entry){.key = key, .seen_ns = now_ns};
    return oldest;
}

static uint64_t wait_of(const struct throttle_entry *entry, uint64_t now_ns)
{
    return entry != NULL && entry->until_ns > now_ns ? entry->until_ns - now_ns : 0;
}

uint64_t throttle_login_wait_ns(struct throttle *throttle, struct weir_context *ctx,
                                struct weir_str address, struct weir_str name)
{
    uint64_t now_ns = weir_now_ns(ctx);
    uint64_t by_address = key_of(throttle, ctx, 'a', network_of(address));
    uint64_t wait = wait_of(find_login(throttle, by_address, now_ns, false), now_ns);

    if (name.len > 0) {
        uint64_t by_name = key_of(throttle, ctx, 'n', name);
        uint64_t other = wait_of(find_login(throttle, by_name, now_ns, false), now_ns);
        wait = other > wait ? other : wait;
    }
    return wait;
}

static void note_failure(struct throttle *throttle, uint64_t key, uint64_t now_ns,
                         uint64_t longest_ns)
{
    struct throttle_entry *entry = find_login(throttle, key, now_ns, true);
    entry->seen_ns = now_ns;
    entry->failures++;
    if (entry->failures > FREE_FAILURES) {
        uint32_t doublings = entry->failures - FREE_FAILURES - 1;
        uint64_t wait = doublings < 20 ? SECOND_NS << doublings : longest_ns;
        entry->until_ns = now_ns + (wait < longest_ns ? wait : longest_ns);
    }
}

void throttle_login(struct throttle *throttle, struct weir_context *ctx, struct weir_str address,
                    struct weir_str name, bool good)
{
    uint64_t now_ns = weir_now_ns(ctx);
    uint64_t keys[2] = {key_of(throttle, ctx, 'a', network_of(address)),
                        key_of(throttle, ctx, 'n', name)};

    for (size_t i = 0; i < (name.len > 0 ? 2 : 1); i++) {
        if (!good) {
            note_failure(throttle, keys[i], now_ns, i == 0 ? ADDRESS_WAIT_NS : NAME_WAIT_NS);
            continue;
        }
        struct throttle_entry *entry = find_login(throttle, keys[i], now_ns, false);
        if (entry != NULL) {
            *entry = (struct throttle_entry){.key = 0};
        }
    }
}

/* ---- requests ---- */

bool throttle_take(struct throttle *throttle, struct weir_context *ctx, struct weir_str caller,
                   double rate)
{
    if (rate <= 0) {
        return true;
    }
    uint64_t now_ns = weir_now_ns(ctx), key = key_of(throttle, ctx, 'c', caller);
    struct bucket *bucket = &throttle->buckets[0];
    for (size_t i = 0; i < THROTTLE_SLOTS && bucket->key != key; i++) {
        struct bucket *other = &throttle->buckets[i];
        if (other->key == key || other->key == 0 || other->seen_ns < bucket->seen_ns) {
            bucket = other;
        }
    }
    if (bucket->key != key) {
        *bucket = (struct bucket){key, now_ns, 2 * rate};
    }
    bucket->tokens += rate * (double)(now_ns - bucket->seen_ns) / (double)SECOND_NS;
    bucket->tokens = bucket->tokens < 2 * rate ? bucket->tokens : 2 * rate;
    bucket->seen_ns = now_ns;
    if (bucket->tokens < 1) {
        return false;
    }
    bucket->tokens -= 1;
    return true;
}
