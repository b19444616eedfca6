/* SPDX-License-Identifier: MIT */
/* The chain of filters behind a body, with filters and a client's half of the test's own. */
#include "proxy/stream/chain.h"

#include <stdlib.h>

#include "metered.h"
#include "proxy/plan/use.h"
#include "runner.h"

#define FILTERS 9

/* What a filter does with its input. */
enum habit {
    COPIES,
    MARKS,   /* copies, with its letter before each piece */
    GATHERS, /* gives all at the end */
    WAITS,   /* takes one byte a call while `waits` */
    STUCK,   /* takes nothing, and makes nothing */
    FAILS,
    LIES,  /* says that it took more than there was */
    FLOODS /* makes 1 MiB of each piece, and does not listen */
};

struct fake {
    enum habit habit;
    char letter;
    bool waits;
    char gathered[64];
    size_t gathered_len;
    unsigned flushes, ends, closes;
};

/* The client's half. */
struct client {
    struct down down;
    char *out;
    size_t out_len, waiting;
    unsigned pieces, trailers;
    char order[16]; /* d: data, t: a trailer, e: the end */
};

static struct loop *loop;
static struct batch batch;
static struct arena arena;
static struct client client;
static struct fake fakes[FILTERS];
static struct module module;
static struct metered metered;
static struct use use;
static struct instance filters[FILTERS];
static struct chain *chain;
static unsigned ended, failed;

static size_t chain_host_write(struct weir_transform *transform, const void *data, size_t len)
{
    return chain_write(transform, data, len);
}

static const struct weir_host host = {.transform_write = chain_host_write};

static void note(char what)
{
    size_t len = strlen(client.order);
    if (len + 1 < sizeof(client.order) && (len == 0 || client.order[len - 1] != what)) {
        client.order[len] = what;
    }
}

static void down_data(struct down *down, const char *data, size_t len)
{
    (void)down;
    client.out = realloc(client.out, client.out_len + len + 1);
    memcpy(client.out + client.out_len, data, len);
    client.out_len += len;
    client.out[client.out_len] = '\0';
    client.pieces++;
    note('d');
}

static void down_trailer(struct down *down, struct weir_str name, struct weir_str value)
{
    (void)down;
    ck_assert(str_equal(name, STR("name")) && str_equal(value, STR("value")));
    client.trailers++;
    note('t');
}

static size_t down_waiting(struct down *down)
{
    (void)down;
    return client.waiting;
}

static const struct down_ops down_ops = {
    .data = down_data,
    .trailer = down_trailer,
    .waiting = down_waiting,
};

static void on_end(void *owner)
{
    ck_assert_ptr_eq(owner, &client);
    ended++;
    note('e');
}

static void on_failed(void *owner)
{
    ck_assert_ptr_eq(owner, &client);
    failed++;
}

static enum weir_status on_response_data(struct weir_context *ctx, void *instance, void *state,
                                         struct weir_transform *transform, const void *data,
                                         size_t len, enum weir_flow flow, size_t *used)
{
    struct fake *fake = instance;
    (void)ctx;
    ck_assert_ptr_eq(state, fake);
    fake->flushes += flow == WEIR_FLOW_FLUSH;
    fake->ends += flow == WEIR_FLOW_END;
    switch (fake->habit) {
    case FAILS: return WEIR_INVALID;
    case LIES: *used = len + 1; return WEIR_DECLINED;
    case STUCK: *used = 0; return WEIR_DECLINED;
    case WAITS:
        if (fake->waits && len > 0) {
            transform->host->transform_write(transform, data, 1);
            *used = 1;
            return WEIR_DECLINED;
        }
        break;
    case GATHERS:
        memcpy(fake->gathered + fake->gathered_len, data != NULL ? data : "", len);
        fake->gathered_len += len;
        if (flow == WEIR_FLOW_END) {
            transform->host->transform_write(transform, fake->gathered, fake->gathered_len);
        }
        return WEIR_OK;
    case FLOODS: {
        static const char much[1 << 20];
        transform->host->transform_write(transform, much, len > 0 ? sizeof(much) : 0);
        return WEIR_OK;
    }
    case MARKS:
        if (len > 0) {
            transform->host->transform_write(transform, &fake->letter, 1);
        }
        break;
    case COPIES: break;
    }
    transform->host->transform_write(transform, data, len);
    return WEIR_OK;
}

static void on_response_close(struct weir_context *ctx, void *instance, void *state)
{
    struct fake *fake = instance;
    (void)ctx;
    ck_assert_ptr_eq(state, fake);
    fake->closes++;
}

static const struct weir_filter ops = {
    .size = sizeof(ops),
    .on_response_data = on_response_data,
    .on_response_close = on_response_close,
};

static void set_up(void)
{
    const struct chain_sink sink = {&client.down, on_end, on_failed, &client};
    client = (struct client){.down = {.ops = &down_ops}};
    memset(fakes, 0, sizeof(fakes));
    memset(&module, 0, sizeof(module));
    module.descriptor.filter = &ops;
    use.module = &module;
    metered_begin(&metered, &module);
    for (unsigned i = 0; i < FILTERS; i++) {
        fakes[i].letter = (char)('a' + i);
        filters[i].use = &use;
        filters[i].data = &fakes[i];
        filters[i].context.base.host = &host;
        metered_context(&metered, &filters[i].context);
    }
    ended = failed = 0;
    loop = loop_new(0);
    arena_init(&arena, NULL, 0);
    chain = chain_new(loop, &batch, &arena, &sink);
    ck_assert_ptr_nonnull(chain);
}

static void tear_down(void)
{
    chain_close(&chain);
    ck_assert_ptr_null(chain);
    metered_end(&metered);
    arena_reset(&arena);
    loop_free(&loop);
    free(client.out);
}

/* One filter more, with its habit. */
static void add(unsigned index, enum habit habit)
{
    fakes[index].habit = habit;
    ck_assert(chain_add(chain, &filters[index], &fakes[index]));
}

static void give(const char *text)
{
    chain_data(chain, text, strlen(text));
}

/* The end of a turn. */
static void turn(void)
{
    while (loop_settle(loop)) {}
}

static void expect_out(const char *text)
{
    ck_assert_str_eq(client.out != NULL ? client.out : "", text);
}

UNIT_TEST(gathers_until_the_end_of_the_turn)
{
    add(0, COPIES);
    give("one");
    give(" two");
    expect_out("");
    turn();
    expect_out("one two");
    ck_assert_uint_eq(client.pieces, 1);
    ck_assert_uint_eq(fakes[0].flushes, 1);
    chain_end(chain);
    ck_assert_uint_eq(ended, 1);
    give("late"); /* nothing comes behind the end */
    chain_end(chain);
    turn();
    expect_out("one two");
    ck_assert_uint_eq(ended, 1);
    chain_close(&chain);
    ck_assert_uint_eq(fakes[0].closes, 1);
}

UNIT_TEST(flushes_no_oftener_than_it_may)
{
    add(0, COPIES);
    give("a");
    turn();
    expect_out("a");
    give("b");
    turn();
    expect_out("a"); /* waits for its time */
    loop->now_ns_ += NS_PER_SECOND;
    loop->now_fresh = true;
    chain_end(chain);
    expect_out("ab");
}

UNIT_TEST(nearer_to_the_server_comes_first)
{
    add(0, MARKS);
    add(1, MARKS);
    give("x");
    chain_end(chain);
    expect_out("babx"); /* the second one gets a letter, then the text */
    ck_assert_uint_eq(fakes[0].ends + fakes[1].ends, 2);
}

UNIT_TEST(trailers_stand_behind_what_was_kept_back)
{
    add(0, GATHERS);
    give("body");
    chain_trailer(chain, STR("name"), STR("value"));
    ck_assert_uint_eq(client.trailers, 0);
    chain_end(chain);
    expect_out("body");
    ck_assert_str_eq(client.order, "dte");
}

UNIT_TEST(what_is_large_is_not_copied_together)
{
    static char large[40000];
    memset(large, 'x', sizeof(large));
    add(0, COPIES);
    give("y");
    chain_data(chain, large, sizeof(large));
    ck_assert_uint_eq(client.pieces, 2);
    ck_assert_uint_eq(client.out_len, 1 + sizeof(large));
}

UNIT_TEST(a_slow_client_stops_a_filter_that_waits)
{
    add(0, COPIES);
    add(1, WAITS);
    fakes[1].waits = true;
    client.waiting = 100000;
    give("abcd");
    ck_assert(chain_blocked(chain));
    ck_assert_uint_ge(chain_waiting(chain), 3);
    give("ef"); /* kept behind what it left */
    chain_end(chain);
    ck_assert(!chain_drained(chain)); /* as slow as before */
    ck_assert_uint_eq(ended, 0);
    client.waiting = 0;
    fakes[1].waits = false;
    ck_assert(chain_drained(chain));
    expect_out("abcdef");
    ck_assert_uint_eq(ended, 1);
    ck_assert_uint_eq(fakes[1].ends, 1);
}

UNIT_TEST(a_filter_that_waits_takes_piece_by_piece)
{
    add(0, WAITS);
    fakes[0].waits = true;
    give("abc");
    ck_assert(chain_blocked(chain));
    ck_assert_uint_eq(chain_waiting(chain), 3); /* one of them behind it */
    ck_assert(chain_drained(chain));
    chain_end(chain);
    expect_out("abc");
    ck_assert_uint_eq(failed, 0);
}

static const enum habit faulty[] = {FAILS, LIES};

UNIT_LOOP_TEST(a_failed_filter_breaks_the_response, ARRAY_COUNT(faulty))
{
    add(0, COPIES);
    add(1, faulty[_i]);
    give("x");
    chain_end(chain);
    turn();
    expect_out("");
    ck_assert_uint_eq(failed, 1);
    ck_assert_uint_eq(ended, 0);
    ck_assert_uint_eq(metered_strikes(&metered), 1);
    ck_assert(!chain_blocked(chain));
    ck_assert_uint_eq(chain_waiting(chain), 0);
    chain_close(&chain);
    ck_assert_uint_eq(fakes[0].closes + fakes[1].closes, 2);
}

UNIT_TEST(a_filter_that_never_goes_on_breaks_it)
{
    add(0, STUCK);
    give("x");
    ck_assert(chain_blocked(chain));
    ck_assert_uint_eq(failed, 0); /* it may have waited for the client */
    chain_drained(chain);
    ck_assert_uint_eq(failed, 1);
}

UNIT_TEST(a_filter_that_does_not_listen_breaks_it)
{
    add(0, FLOODS);
    add(1, STUCK);
    for (unsigned i = 0; i < 4; i++) {
        give("x");
    }
    ck_assert_uint_eq(failed, 0);
    give("x");
    ck_assert_uint_eq(failed, 1);
}

UNIT_TEST(nothing_goes_out_of_one_that_was_stopped)
{
    add(0, COPIES);
    give("x");
    chain_stop(chain);
    turn();
    give("y");
    chain_end(chain);
    expect_out("");
    ck_assert_uint_eq(ended + failed, 0);
}

UNIT_TEST(filters_are_bounded_and_differ)
{
    add(0, COPIES);
    ck_assert(!chain_add(chain, &filters[0], &fakes[0]));
    for (unsigned i = 1; i < 8; i++) {
        add(i, COPIES);
    }
    ck_assert(!chain_add(chain, &filters[8], &fakes[8]));
    give("x");
    chain_end(chain);
    expect_out("x");
}

UNIT_FIXTURE(set_up, tear_down);
