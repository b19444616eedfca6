/* SPDX-License-Identifier: MIT */
/*
 * Slowing down: failed logins make those after them wait, longer each time; requests of one caller
 * come from a bucket. Tables of fixed size in shared memory; what was quiet for longest makes
 * place. Keys are 64-bit hashes under a random key. Control thread.
 */
#ifndef ADMIN_THROTTLE_H
#define ADMIN_THROTTLE_H

#include <weir/host.h>

#define THROTTLE_SLOTS 1024

struct throttle_entry {
    uint64_t key; /* 0: free */
    uint64_t until_ns;
    uint64_t seen_ns;
    uint32_t failures;
};

struct bucket {
    uint64_t key; /* 0: free */
    uint64_t seen_ns;
    double tokens;
};

/* In shared memory. */
struct throttle {
    uint8_t secret[32];
    bool keyed;
    struct throttle_entry logins[THROTTLE_SLOTS];
    struct bucket buckets[THROTTLE_SLOTS];
};

/* How long the next login from that address, or as that name, has to wait; 0: it may come now. */
uint64_t throttle_login_wait_ns(struct throttle *throttle, struct weir_context *ctx,
                                struct weir_str address, struct weir_str name);
/* Records an attempt. A success forgets the failures of both. */
void throttle_login(struct throttle *throttle, struct weir_context *ctx, struct weir_str address,
                    struct weir_str name, bool good);

/* Takes one of the caller's requests, `rate` a second (0: no limit), twice as many at once;
 * false: none is left. */
bool throttle_take(struct throttle *throttle, struct weir_context *ctx, struct weir_str caller,
                   double rate);

#endif
