/* SPDX-License-Identifier: MIT */
/*
 * Watches what becomes of the visitors' requests and takes out, for a time, a server that fails
 * them: so many failures in a row, or too large a share of the requests of a window. Who is taken
 * out again soon after stays out longer each time.
 *
 * Outcomes of all workers, the ejection itself, and how many of a pool may be out at once are the
 * host's.
 */
#include <weir/weir.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- options ---- */

struct conf {
    int64_t failures;        /* in a row; 0: off */
    double share;            /* of the window's requests; 0: off */
    int64_t volume;          /* requests that the window must have for `share` to mean something */
    uint64_t window;         /* ns */
    uint64_t eject_time;     /* ns; the first time */
    uint64_t max_eject_time; /* ns */
    bool errors;             /* whole responses of status 500 and above are failures */
};

#define CONTEXTS (WEIR_CONTEXT_MODULE | WEIR_CONTEXT_POOL)
#define RELOAD   WEIR_OPTION_RELOADABLE

static const struct weir_option rows[] = {
    WEIR_OPTION_RANGE(struct conf, failures, INTEGER, "5", "0", "10000", CONTEXTS, RELOAD,
                      "Failures in a row that take a server out; 0: off."),
    WEIR_OPTION_RANGE(
        struct conf, share, PERCENTAGE, "50%", "0%", "100%", CONTEXTS, RELOAD,
        "Share of the window's requests that take a server out when they fail; 0%: off."),
    WEIR_OPTION_RANGE(struct conf, volume, INTEGER, "20", "1", "1000000", CONTEXTS, RELOAD,
                      "Requests that the window must have before their share means something."),
    WEIR_OPTION_RANGE(struct conf, window, DURATION, "10s", "100ms", "1h", CONTEXTS, RELOAD,
                      "Time that `share` and `volume` look back."),
    WEIR_OPTION_RANGE(
        struct conf, eject_time, DURATION, "30s", "10ms", "1d", CONTEXTS, RELOAD,
        "How long a server is out the first time; twice as long each time that follows "
        "soon."),
    WEIR_OPTION_RANGE(struct conf, max_eject_time, DURATION, "5m", "10ms", "1d", CONTEXTS, RELOAD,
                      "How long a server is out at most."),
    WEIR_OPTION(struct conf, errors, BOOLEAN, "on", CONTEXTS, RELOAD,
                "Whether responses of status 500 and above are failures, too."),
};

static const struct weir_options options = WEIR_OPTIONS(struct conf, rows);

/* ---- what is known of a server ---- */

/* A window slides in this many steps. */
#define BUCKETS 10

struct bucket {
    uint32_t good, bad;
};

struct watched {
    weir_server_id id; /* WEIR_NO_SERVER: a free slot */
    uint64_t seen_ns;
    uint64_t out_until_ns;
    uint32_t row;                   /* failures since the last success */
    uint32_t level;                 /* how often it was ejected lately */
    uint64_t bucket_ns;             /* length of a bucket */
    uint64_t newest;                /* number of the newest bucket: time divided by its length */
    struct bucket buckets[BUCKETS]; /* by number; those of the window up to `newest` */
};

/* Slots of a pool, and how many of them a server may be in: beyond that, who was not seen for
 * longest is forgotten. Memory that nobody is in costs none, it is never touched. */
#define SLOTS 16384
#define REACH 32

/* What is known of one pool's servers. It outlives the configuration: a reload forgives nobody. */
struct known {
    struct watched slots[SLOTS];
};

/* Of its layout. */
#define KNOWN_NAME "servers 1"

struct passive {
    const struct conf *conf;
    struct known *known;
};

static struct watched *watched_of(struct known *known, weir_server_id id, uint64_t now_ns)
{
    struct watched *found = NULL;

    for (size_t i = 0; i < REACH; i++) {
        struct watched *slot = &known->slots[((size_t)id + i) % SLOTS];
        if (slot->id == id) {
            found = slot;
            break;
        }
        if (found == NULL || slot->seen_ns < found->seen_ns) {
            found = slot; /* free slots first: they were never seen */
        }
    }
    if (found->id != id) {
        *found = (struct watched){.id = id};
    }
    found->seen_ns = now_ns;
    return found;
}

/* ---- the window ---- */

/* Buckets that have left the window, or are of another length, go. */
static void window_advance(const struct conf *conf, struct watched *watched, uint64_t now_ns)
{
    uint64_t bucket_ns = conf->window / BUCKETS;
    uint64_t number = now_ns / bucket_ns;

    if (watched->bucket_ns != bucket_ns || number - watched->newest >= BUCKETS) {
        memset(watched->buckets, 0, sizeof(watched->buckets));
    } else {
        for (uint64_t i = watched->newest + 1; i <= number; i++) {
            watched->buckets[i % BUCKETS] = (struct bucket){0, 0};
        }
    }
    watched->bucket_ns = bucket_ns;
    watched->newest = number;
}

static uint32_t add_up(uint32_t a, uint32_t b)
{
    return b < UINT32_MAX - a ? a + b : UINT32_MAX;
}

static void window_add(struct watched *watched, uint32_t good, uint32_t bad)
{
    struct bucket *bucket = &watched->buckets[watched->newest % BUCKETS];

    bucket->good = add_up(bucket->good, good);
    bucket->bad = add_up(bucket->bad, bad);
}

static void window_sum(const struct watched *watched, uint64_t *total, uint64_t *bad)
{
    *total = *bad = 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        const struct bucket *bucket = &watched->buckets[i];
        *total += (uint64_t)bucket->good + bucket->bad;
        *bad += bucket->bad;
    }
}

/* ---- judging ---- */

/* Twice as long as the last time for each that is not yet forgotten: a server that has been back
 * for `eject_time` is forgiven one. */
static uint64_t eject_time(const struct conf *conf, struct watched *watched, uint64_t now_ns)
{
    uint64_t back_ns = watched->out_until_ns > 0 ? now_ns - watched->out_until_ns : 0;
    uint64_t forgiven = back_ns / conf->eject_time;
    uint64_t time = conf->eject_time;

    watched->level = forgiven < watched->level ? watched->level - (uint32_t)forgiven : 0;
    for (uint32_t i = 0; i < watched->level && time < conf->max_eject_time; i++) {
        time *= 2;
    }
    return time < conf->max_eject_time ? time : conf->max_eject_time;
}

static void eject(struct weir_context *ctx, const struct passive *self, struct watched *watched,
                  const char *reason)
{
    uint64_t now_ns = weir_now_ns(ctx);
    uint64_t time = eject_time(self->conf, watched, now_ns);

    if (weir_health_eject(ctx, watched->id, time, reason) != WEIR_OK) {
        return; /* too many are ejected: its next failure tries again */
    }
    *watched = (struct watched){.id = watched->id,
                                .seen_ns = now_ns,
                                .level = watched->level + 1,
                                .out_until_ns = now_ns + time};
}

static bool is_failure(const struct conf *conf, uint32_t outcome)
{
    return outcome == WEIR_OUTCOME_FAILED || outcome == WEIR_OUTCOME_TIMEOUT ||
           (outcome == WEIR_OUTCOME_ERROR && conf->errors);
}

/* Adds what has come; says the longest row of failures in it. */
static uint32_t take_in(const struct conf *conf, struct watched *watched, uint64_t now_ns,
                        const struct weir_outcomes *outcomes)
{
    uint32_t longest = 0;

    window_advance(conf, watched, now_ns);
    for (uint32_t i = 0; i < outcomes->run_count; i++) {
        const struct weir_outcome_run *run = &outcomes->runs[i];
        bool bad = is_failure(conf, run->outcome);
        watched->row = bad ? add_up(watched->row, run->count) : 0;
        longest = watched->row > longest ? watched->row : longest;
        window_add(watched, bad ? 0 : run->count, bad ? run->count : 0);
    }
    return longest;
}

static void on_outcomes(struct weir_context *ctx, void *instance,
                        const struct weir_outcomes *outcomes)
{
    struct passive *self = instance;
    const struct conf *conf = self->conf;
    uint64_t now_ns = weir_now_ns(ctx);
    struct watched *watched = watched_of(self->known, outcomes->id, now_ns);
    uint64_t total = 0;
    uint64_t bad = 0;
    char reason[96];

    if (now_ns < watched->out_until_ns) {
        return; /* outcomes of an ejected server: sent before */
    }
    uint32_t row = take_in(conf, watched, now_ns, outcomes);
    if (conf->failures > 0 && row >= conf->failures) {
        snprintf(reason, sizeof(reason), "%" PRIu32 " failure%s", row, row > 1 ? "s in a row" : "");
        eject(ctx, self, watched, reason);
        return;
    }
    window_sum(watched, &total, &bad);
    if (conf->share > 0 && bad > 0 && total >= (uint64_t)conf->volume &&
        (double)bad >= conf->share * (double)total) {
        snprintf(reason, sizeof(reason), "%" PRIu64 " of %" PRIu64 " requests failed within %g s",
                 bad, total, (double)conf->window / 1e9);
        eject(ctx, self, watched, reason);
    }
}

/* ---- configuration ---- */

static enum weir_status conf_create(struct weir_context *ctx, struct weir_check *check,
                                    const void *conf_struct, void **prepared)
{
    const struct conf *conf = conf_struct;
    struct weir_str place = weir_block_name(ctx);
    char name[512];

    if (conf->failures == 0 && !(conf->share > 0)) {
        weir_check_error(ctx, check, &conf->failures,
                         "failures and share are both 0, so nothing would ever be noticed; set at "
                         "least one, as in failures = 5");
    }
    if (conf->max_eject_time < conf->eject_time) {
        weir_check_error(ctx, check, &conf->max_eject_time,
                         "max_eject_time is shorter than eject_time; write %" PRIu64 "ms or more",
                         conf->eject_time / 1000000);
    }
    snprintf(name, sizeof(name), KNOWN_NAME " %.*s", (int)place.len, place.ptr);
    *prepared = weir_shared(ctx, name, sizeof(struct known));
    return WEIR_OK;
}

/* ---- the instance ---- */

static enum weir_status create(struct weir_context *ctx, const void *conf, void *prepared,
                               void **instance)
{
    struct passive *self = calloc(1, sizeof(*self));
    (void)ctx;

    if (self == NULL) {
        return WEIR_NO_MEMORY;
    }
    *self = (struct passive){conf, prepared};
    *instance = self;
    return WEIR_OK;
}

static void destroy(struct weir_context *ctx, void *instance)
{
    (void)ctx;
    free(instance);
}

static const struct weir_health health = {
    .size = sizeof(struct weir_health),
    .create = create,
    .destroy = destroy,
    .on_outcomes = on_outcomes,
};

WEIR_DEFINE_MODULE("health_passive", "1.0", "MIT",
                   "Takes servers out for a time that fail the visitors' requests",
                   .options = &options, .conf_create = conf_create, .health = &health);
