/* SPDX-License-Identifier: MIT */
/*
 * A module of every kind that does what the test says, and counts its calls: what the fake host
 * itself is tested with. One test at a time: state is file-scope, which no real module may have.
 */
#ifndef MOCK_MODULE_H
#define MOCK_MODULE_H

#include <weir/testing.h>

struct mock_rule {
    struct weir_str title;
    struct weir_str pool;
    bool strip;
    struct weir_list hosts; /* of struct weir_str */
};

struct mock_conf {
    struct weir_str name;
    uint64_t ttl_ns;
    int32_t mode;
    struct weir_list codes; /* of int64_t */
    struct weir_list rules; /* of struct mock_rule */
    struct weir_list inner; /* untitled block */
    struct weir_str key;
    struct weir_str secret;
    struct weir_str log;
};

struct mock {
    /* what hooks return, and do */
    enum weir_status load, conf_create, worker_start, create, route, on_request;
    void (*act)(struct weir_context *ctx, struct weir_request *req);
    void (*act_response)(struct weir_context *ctx, struct weir_response *resp);
    void (*check)(struct weir_context *ctx, struct weir_check *check, const struct mock_conf *conf);
    struct weir_route_result route_result;
    void (*explain)(const struct weir_rule_sink *sink);
    uint32_t (*pick)(const struct weir_pick *pick);
    enum weir_status (*score)(const struct weir_pick *pick, uint32_t index, struct weir_score *out);
    enum weir_verdict verdict;
    size_t judge_at; /* the verdict is given from this many bytes on */
    /* what was called */
    unsigned loads, conf_creates, conf_frees, worker_starts, worker_stops, creates, destroys;
    unsigned members, assigns, completes, ends, aborted_ends, data_calls, writables, drains;
    struct weir_feedback feedback;
    uint32_t member_count;
    uint32_t worker_index;
    char trace[256]; /* one letter a call */
};

extern struct mock mock;
extern const struct weir_module mock_module;

/* Forgets everything; all statuses are WEIR_OK. */
void mock_reset(void);

/* A fresh host with the mock, and the mock reset. */
struct weir_test *mock_host(void);

/* An instance of the kind, from an empty block. */
struct weir_test_instance *mock_instance(struct weir_test *host, enum weir_test_kind kind);

#endif
