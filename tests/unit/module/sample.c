/* SPDX-License-Identifier: MIT */
/*
 * A module with many faces: the environment variable WEIR_SAMPLE says which descriptor it shows, so
 * that one file on disk, under different names, is every module that test_module.c needs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/weir.h>

#if defined(SAMPLE_UNDEFINED)
/* Defined nowhere: built to fail when it is loaded. */
extern uint32_t sample_symbol_that_is_nowhere(void);
#endif

static uint32_t pick(struct weir_context *ctx, void *instance, const struct weir_pick *given)
{
    (void)instance;
    (void)given;
    weir_count(ctx, 0, 1);
#if defined(SAMPLE_UNDEFINED)
    return sample_symbol_that_is_nowhere();
#else
    return 7;
#endif
}

static void destroy(struct weir_context *ctx, void *instance)
{
    (void)ctx;
    (void)instance;
}

static void on_assign(struct weir_context *ctx, void *instance, uint32_t index)
{
    (void)ctx;
    (void)instance;
    (void)index;
}

/* Counts itself in the environment. */
static enum weir_status load(struct weir_context *ctx)
{
    const char *before = getenv("WEIR_SAMPLE_LOADED");
    char text[16];

    snprintf(text, sizeof(text), "%d", (before != NULL ? atoi(before) : 0) + 1);
    setenv("WEIR_SAMPLE_LOADED", text, 1);
    weir_log(ctx, WEIR_LOG_INFO, "loaded at %d", weir_now_ns(ctx) > 0);
    return WEIR_OK;
}

static enum weir_status load_fails(struct weir_context *ctx)
{
    (void)ctx;
    return WEIR_NO_MEMORY;
}

static void on_response(struct weir_context *ctx, void *instance, struct weir_request *req,
                        struct weir_response *resp)
{
    (void)ctx;
    (void)instance;
    (void)req;
    (void)resp;
}

struct conf {
    int64_t factor;
};

static const struct weir_option rows[] = {
    WEIR_OPTION(struct conf, factor, INTEGER, "2", WEIR_CONTEXT_MODULE, 0, "A number."),
};
static const struct weir_options options = WEIR_OPTIONS(struct conf, rows);
static const struct weir_options narrow_options = {
    sizeof(struct weir_options), sizeof(struct weir_option), 4, 1, rows, WEIR_NO_TITLE,
};

static const struct weir_balancer balancer = {
    .size = sizeof(struct weir_balancer), .destroy = destroy, .pick = pick};
static const struct weir_balancer no_pick = {.size = sizeof(struct weir_balancer)};
/* As an older module has it: what comes after pick is not there, and not read. */
static const struct weir_balancer short_balancer = {
    .size = offsetof(struct weir_balancer, on_assign),
    .pick = pick,
    .on_assign = on_assign,
};
/* Ends before pick. */
static const struct weir_balancer cut_balancer = {.size = offsetof(struct weir_balancer, pick),
                                                  .pick = pick};
static const struct weir_balancer big_slots = {
    .size = sizeof(struct weir_balancer), .pick = pick, .slot_size = WEIR_SLOT_SIZE_MAX + 1};
static const struct weir_balancer two_ways = {
    .size = sizeof(struct weir_balancer), .pick = pick, .flags = WEIR_BALANCER_TURNS};
static const struct weir_filter filter = {.size = sizeof(struct weir_filter),
                                          .on_response = on_response};
static const struct weir_filter empty_filter = {.size = sizeof(struct weir_filter)};

static const struct weir_metric metric_rows[] = {
    {"picks", WEIR_COUNTER, "Times it was asked."},
    {"held", WEIR_GAUGE, "What it holds."},
    {"picks", WEIR_GAUGE, "One too many."},
};
static const struct weir_metrics metrics = {sizeof(metrics), 2, metric_rows};
static const struct weir_metrics twin_metrics = {sizeof(twin_metrics), 3, metric_rows};

/* What all share; `...` overrides. */
#define DESCRIPTOR(name_, ...)                                                            \
    {                                                                                     \
        .size = sizeof(struct weir_module), .abi_major = WEIR_ABI_MAJOR,                  \
        .abi_minor = WEIR_ABI_MINOR, .name = name_, .version = "1.2.3", .license = "MIT", \
        .summary = "A sample.", __VA_ARGS__                                               \
    }

static const struct weir_module descriptors[] = {
    DESCRIPTOR("balance_sample", .options = &options, .load = load, .balancer = &balancer,
               .filter = &filter, .metrics = &metrics),
    DESCRIPTOR("twin_metrics", .balancer = &balancer, .metrics = &twin_metrics),
    DESCRIPTOR("wrong_name_inside", .balancer = &balancer),
    DESCRIPTOR("no_kind", .load = load),
    DESCRIPTOR("no_pick", .balancer = &no_pick),
    DESCRIPTOR("cut_table", .balancer = &cut_balancer),
    DESCRIPTOR("big_slots", .balancer = &big_slots),
    DESCRIPTOR("two_ways", .balancer = &two_ways),
    DESCRIPTOR("short_table", .balancer = &short_balancer),
    DESCRIPTOR("empty_filter", .filter = &empty_filter),
    DESCRIPTOR("load_fails", .load = load_fails, .balancer = &balancer),
    DESCRIPTOR("bad_options", .options = &narrow_options, .balancer = &balancer),
    {.size = 8, .abi_major = WEIR_ABI_MAJOR, .name = "tiny"},
    {.size = 4, .abi_major = WEIR_ABI_MAJOR, .name = "four_bytes"},
    {.size = sizeof(struct weir_module),
     .abi_major = WEIR_ABI_MAJOR + 1,
     .abi_minor = 3,
     .name = "other_major"},
    {.size = sizeof(struct weir_module),
     .abi_major = WEIR_ABI_MAJOR,
     .abi_minor = WEIR_ABI_MINOR + 1,
     .name = "newer_minor"},
    {.size = sizeof(struct weir_module),
     .abi_major = WEIR_ABI_MAJOR,
     .name = "no_version",
     .balancer = &balancer},
    {.size = offsetof(struct weir_module, handler),
     .abi_major = WEIR_ABI_MAJOR,
     .name = "older",
     .version = "0.9",
     .filter = &filter,
     .handler = (const struct weir_handler *)(const void *)&filter},
};

#if !defined(SAMPLE_NO_ENTRY)
WEIR_EXPORT const struct weir_module *weir_module_entry(void);
WEIR_EXPORT const struct weir_module *weir_module_entry(void)
{
    const char *name = getenv("WEIR_SAMPLE");

    for (size_t i = 0; name != NULL && i < sizeof(descriptors) / sizeof(descriptors[0]); i++) {
        if (strcmp(descriptors[i].name, name) == 0) {
            return &descriptors[i];
        }
    }
    return NULL;
}
#else
WEIR_EXPORT const struct weir_module *not_the_entry(void);
WEIR_EXPORT const struct weir_module *not_the_entry(void)
{
    return descriptors;
}
#endif
