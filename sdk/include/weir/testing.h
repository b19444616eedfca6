/* SPDX-License-Identifier: MIT */
/*
 * The fake host: runs a module inside a test program, without Weir, sockets or threads. Link with
 * `pkg-config --cflags --libs weir-testing` (libweir-testing.a) and the module's own sources.
 *
 *     struct weir_test *host = weir_test_new(weir_module_entry());
 *     struct weir_test_block *block = weir_test_conf(host, "cookie = \"id\"  ttl = 1h");
 *     ck_assert_msg(block != NULL, "%s", weir_test_mistakes(host));
 *     struct weir_test_instance *sticky = weir_test_create(host, WEIR_TEST_STICKY, block);
 *     ...
 *     ck_assert(weir_test_free(&host));
 *
 * It holds a module to its contract. What breaks it is a *problem*: a bad index, an illegal field,
 * a reply that is cut, changed options, a timer or file that outlives its instance. Problems are
 * printed to standard error when they happen, and make weir_test_free return false. A test that
 * uses this header wrongly (NULL, freed or foreign objects) is aborted with a message.
 *
 * Owner: the host owns all that it makes, and weir_test_free frees what is left; every other free
 * here is there to test it at a chosen moment. Strings that are given are copied; strings that come
 * out are NUL-ended, and live as long as the object they were asked of, unless said otherwise.
 * Thread: the one that makes a host drives it. Modules may call weir_post, weir_log and
 * weir_file_write from others, as in Weir; any other service there is a problem.
 * No test framework is needed.
 */
#ifndef WEIR_TESTING_H
#define WEIR_TESTING_H

#include <weir/weir.h>

WEIR_BEGIN_DECLS

#if defined(__GNUC__)
#define WEIR_TEST_CHECKED __attribute__((warn_unused_result))
#else
#define WEIR_TEST_CHECKED
#endif

struct weir_test;
struct weir_test_block;
struct weir_test_instance;
struct weir_test_pool;

/* ---- the host ---- */

/** Whether Weir would take the descriptor: ABI, sizes, name, mandatory hooks, option tables.
 * false: the reason, as the operator would read it, is in `error` (NUL-ended, cut to
 * error_size). */
bool weir_test_validate(const struct weir_module *module, char *error, size_t error_size);

/** Validates and loads (`load`) a module. NULL: refused; the reason is on standard error. Time
 * begins at 1000 s, wall-clock time at 2026-01-01T00:00:00Z; one worker, number 0. */
struct weir_test *weir_test_new(const struct weir_module *module);

/** Destroys instances (newest first), frees configurations, stops the worker, looks for what the
 * module left behind, and frees the host. Sets *host to NULL. false: there were problems, now or
 * before. */
bool weir_test_free(struct weir_test **host) WEIR_TEST_CHECKED;

/** Problems so far. */
size_t weir_test_problem_count(const struct weir_test *host);

/** All problems so far, one a line; empty: none. Valid until the next problem. */
const char *weir_test_problems(const struct weir_test *host);

/** Forgets the problems so far: for a test that breaks the contract on purpose. */
void weir_test_forgive(struct weir_test *host);

/** The loop that instances created from now on live on, as weir_worker_index and
 * weir_worker_count say. index == count: the control thread. */
void weir_test_set_worker(struct weir_test *host, uint32_t index, uint32_t count);

/** Begins the sequence of weir_random anew. The same seed gives the same bytes. */
void weir_test_seed(struct weir_test *host, uint64_t seed);

/** Lets the allocation after the next `skip` ones fail, once: of a request's memory, a timer, a
 * post or a file. */
void weir_test_fail_alloc(struct weir_test *host, size_t skip);

/** Lets weir_secret fail (or work again). */
void weir_test_fail_secret(struct weir_test *host, bool fail);

/* ---- for programs that judge modules; of all hosts of the process ---- */

/** Which hook of a module runs. Names are static text, as in the headers. */
struct weir_test_watch {
    const char *volatile hook;                   /**< NULL: none */
    const char *volatile last;                   /**< the one that began last */
    void (*problem)(const char *text);           /**< hears of each when it happens; NULL: nobody */
    void (*call)(const char *hook, bool begins); /**< at begin and end of each; NULL: nobody */
};

/** Keeps `*watch` up to date from now on, which may lie in memory that processes share; NULL: no
 * more. */
void weir_test_watch_hooks(struct weir_test_watch *watch);

/** Whether what is lent to modules for a time (candidates, slots, requests, pieces of bodies, ...)
 * lies from now on in pages of its own, which are closed when that is over: any use of it after
 * that, or behind its end, is a SIGSEGV, with a sanitizer and without. Strings of requests and
 * responses are copies, closed when the hook that asked for them returns. Slow. */
void weir_test_guard(bool on);

/** What the memory was in which such a fault came; NULL: it was not lent. Safe in a signal
 * handler. */
const char *weir_test_lent(const void *address);

/* ---- configuration ---- */

/** Makes a pool known to weir_check_pool. */
weir_pool_ref weir_test_add_pool(struct weir_test *host, const char *name);

/** Name of a pool or route; NULL: no such ref. */
const char *weir_test_pool_name(const struct weir_test *host, weir_pool_ref pool);
const char *weir_test_route_name(const struct weir_test *host, weir_route_ref route);

/** Routes that the module made known by weir_check_route, of all configurations. Two of one name
 * in one block are a mistake, as in Weir. */
size_t weir_test_route_count(const struct weir_test *host);

/** The listener around blocks of handlers and filters of a listener, from now on: its addresses,
 * ended by NULL. At first "public" on 127.0.0.1:8080, without TLS. */
void weir_test_set_listener(struct weir_test *host, const char *const *addresses, bool tls);

/** Name that weir_pool_name gives in configurations made from now on for a pool; "pool" at
 * first. */
void weir_test_set_pool_name(struct weir_test *host, const char *name);

/** Folder that weir_state_dir gives in configurations made from now on; "/var/lib/weir" at
 * first. */
void weir_test_set_state_dir(struct weir_test *host, const char *path);

/**
 * Parses `text`, the inside of one block in the language of weir.conf, by the module's option
 * table, and runs conf_create. The block is the one that the module's kind stands in: the module
 * block for a router or logger, a pool's for balancer, sticky, health and filter, a listener's for
 * a handler. For another, use weir_test_conf_in. NULL: refused, and weir_test_mistakes says why.
 *
 * Blocks other than the module's start from what the latest module block said; where there was
 * none, an empty one is made first, as in Weir, where nothing runs without it.
 */
struct weir_test_block *weir_test_conf(struct weir_test *host, const char *text) WEIR_TEST_CHECKED;
struct weir_test_block *weir_test_conf_in(struct weir_test *host, enum weir_option_context context,
                                          const char *text) WEIR_TEST_CHECKED;

/** Mistakes of the last configuration, one a line: `conf:LINE: what is wrong`; empty: none. Valid
 * until the next configuration. */
const char *weir_test_mistakes(const struct weir_test *host);

/** The option struct, and what conf_create prepared. */
const void *weir_test_block_conf(const struct weir_test_block *block);
void *weir_test_block_prepared(const struct weir_test_block *block);

/** Runs conf_free. Its instances must be destroyed before. Sets *block to NULL. */
void weir_test_block_free(struct weir_test_block **block);

/* ---- instances ---- */

enum weir_test_kind {
    WEIR_TEST_ROUTER,
    WEIR_TEST_BALANCER,
    WEIR_TEST_STICKY,
    WEIR_TEST_HEALTH,
    WEIR_TEST_FILTER,
    WEIR_TEST_HANDLER,
    WEIR_TEST_LOGGER,
    WEIR_TEST_STORE,
    WEIR_TEST_CONTROL,
};

/** Makes an instance of that kind; before the first one on a loop, worker_start runs. NULL:
 * create or worker_start failed. A module without that kind aborts. */
struct weir_test_instance *weir_test_create(struct weir_test *host, enum weir_test_kind kind,
                                            struct weir_test_block *block) WEIR_TEST_CHECKED;

/** Runs what was posted, then destroy; a timer or open file that is left is a problem, and so is an
 * on_assign without its on_complete. Sets *instance to NULL. */
void weir_test_destroy(struct weir_test_instance **instance);

/** The module's own pointer, and the instance's context. */
void *weir_test_instance_data(const struct weir_test_instance *instance);
struct weir_context *weir_test_instance_context(struct weir_test_instance *instance);

/* ---- time and loop ---- */

/** One turn of the loop at the present time: posts, ends of replies, due timers. */
void weir_test_run(struct weir_test *host);

/** Lets `ns` pass, turn by turn: each timer fires at its time, in order. */
void weir_test_advance(struct weir_test *host, uint64_t ns);

uint64_t weir_test_now_ns(const struct weir_test *host);

/** Lets the wall clock jump; it goes on with weir_test_advance. */
void weir_test_set_wall_ms(struct weir_test *host, uint64_t wall_ms);

/** Timers that exist, and those of them that are set. */
size_t weir_test_timer_count(const struct weir_test *host);
size_t weir_test_timer_set_count(const struct weir_test *host);

/* ---- log and files ---- */

/** Lines that the module logged; a line that is out of range is NULL. `level` may be NULL. */
size_t weir_test_log_count(const struct weir_test *host);
const char *weir_test_log_line(const struct weir_test *host, size_t index,
                               enum weir_log_level *level);

/** Whether a line of that level contains `text`. */
bool weir_test_logged(const struct weir_test *host, enum weir_log_level level, const char *text);

/** What was written to the file of that path, in memory; NULL: it was never opened. Valid until
 * the next write to it. `len` may be NULL. */
const char *weir_test_file(const struct weir_test *host, const char *path, size_t *len);

/** How often the file is open now. */
size_t weir_test_file_open_count(const struct weir_test *host, const char *path);

/** Lets weir_file_open fail, or weir_file_write drop (as for a full disk), or both work again. */
void weir_test_fail_files(struct weir_test *host, bool open, bool write);

/* ---- requests and responses ---- */

/** A request as if from 192.0.2.1:40000 over plain HTTP/1.1 on the listener "public", for the host
 * `www.example`. `target` is /path?query; its path is taken as normalised. Owner: the host. */
struct weir_request *weir_test_request(struct weir_test *host, const char *method,
                                       const char *target);

/** Adds a field, as if the client had sent it. */
void weir_test_request_add(struct weir_request *req, const char *name, const char *value);

/** Sets any of the strings; WEIR_REQUEST_HOST and _AUTHORITY are apart, as is the field Host. */
void weir_test_request_set_str(struct weir_request *req, enum weir_request_str which,
                               const char *value);
void weir_test_request_set_peer(struct weir_request *req, const char *address, uint16_t port);

/** Comes by a Unix socket from that process; NULL: by TCP. */
void weir_test_request_set_credentials(struct weir_request *req,
                                       const struct weir_credentials *credentials);

/** TLS or not; sets scheme and TLS version as well. */
void weir_test_request_set_tls(struct weir_request *req, bool tls);

/** The first field of that name, as it is now; NULL: none. Valid until the field changes. */
const char *weir_test_request_header(const struct weir_request *req, const char *name);

/** Ends the request: a handler that has not ended it hears of it (aborted). Sets *req to NULL. */
void weir_test_request_free(struct weir_request **req);

/** The response to `req`, freed with it; NULL fields. A second call replaces the first. */
struct weir_response *weir_test_response(struct weir_request *req, uint32_t status);
void weir_test_response_add(struct weir_response *resp, const char *name, const char *value);

/** Field number `nth` (0: the first) of that name; NULL: none. Valid until the field changes. */
const char *weir_test_response_header(const struct weir_response *resp, const char *name,
                                      size_t nth);

/** What the module answered. */
struct weir_test_reply {
    uint32_t status; /**< 0: not begun */
    bool ended;
    bool aborted;
    int64_t content_length; /**< -1: not known */
    const char *body;       /**< what was written so far, ended by NUL */
    size_t body_len;
};

/** The reply so far; its body is valid until the next write. */
struct weir_test_reply weir_test_reply_of(const struct weir_request *req);
const char *weir_test_reply_header(const struct weir_request *req, const char *name);

/** Lets the client read nothing (written bytes wait) or everything. After a client that read
 * nothing, weir_test_writable lets it read all that waits, and tells the handler. */
void weir_test_reply_hold(struct weir_request *req, bool hold);

/* ---- router ---- */

/** Asks the router. `*out` is prepared as in Weir, and checked after WEIR_OK: neither a known
 * pool nor a legal status is a problem. The request then knows its pool and route. */
enum weir_status weir_test_route(struct weir_test_instance *router, struct weir_request *req,
                                 struct weir_route_result *out);

/** What a router told of one of its rules. */
struct weir_test_rule {
    enum weir_rule_verdict verdict;
    const char *name;
    const char *why;
    weir_route_ref route;
};

/** Asks the router where the request goes, and then for its rules, of which `limit` are shown.
 * Returns what `route` said. Problems: a winner where `route` declined, none or two where it did
 * not, a winner of another route than `route` gave, no name or reason. A router without the hook
 * tells nothing. */
enum weir_status weir_test_explain(struct weir_test_instance *router, struct weir_request *req,
                                   uint32_t limit);

/** The rules that the last weir_test_explain told, and how many it left out. Valid until the next
 * one; out of range: NULL. */
size_t weir_test_rule_count(const struct weir_test *host);
const struct weir_test_rule *weir_test_rule_at(const struct weir_test *host, size_t index);
uint32_t weir_test_rules_left_out(const struct weir_test *host);

/* ---- balancer ---- */

/** A pool of servers for balancers; several (one a worker) may share it, as they share its
 * in-flight counts. Servers are numbered 0, 1, ... in the order of adding, for ever: unlike a
 * candidate's index, a number does not change when others go. */
struct weir_test_pool *weir_test_pool_new(struct weir_test *host);

/** Adds a server of that weight (1, 2, ...). Balancers hear of it by weir_test_pool_tell. */
uint32_t weir_test_server_add(struct weir_test_pool *pool, const char *name, uint32_t weight);

/** In or out of the candidates (healthy, enabled), from the next weir_test_pool_tell. */
void weir_test_server_set_candidate(struct weir_test_pool *pool, uint32_t server, bool candidate);

/** Effective weight times WEIR_WEIGHT_ONE, from the next weir_test_pool_tell; full_weight stays
 * what weir_test_server_add said. */
void weir_test_server_set_weight(struct weir_test_pool *pool, uint32_t server, uint32_t weight);

/** How many requests it may have at once, 0: any number. Picks respect it at once; candidates show
 * it from the next weir_test_pool_tell. */
void weir_test_server_set_limit(struct weir_test_pool *pool, uint32_t server, uint32_t limit);

/** Whether a pick may choose it, where it is under its limit (well, not yet tried), at once. */
void weir_test_server_set_usable(struct weir_test_pool *pool, uint32_t server, bool usable);
void weir_test_server_set_in_flight(struct weir_test_pool *pool, uint32_t server, uint32_t count);
void weir_test_server_set_latency(struct weir_test_pool *pool, uint32_t server,
                                  uint32_t latency_us);
uint32_t weir_test_server_in_flight(const struct weir_test_pool *pool, uint32_t server);
weir_server_id weir_test_server_id(const struct weir_test_pool *pool, uint32_t server);

/** Gives the pool to a balancer (on_members) and keeps telling it. */
enum weir_status weir_test_pool_join(struct weir_test_pool *pool,
                                     struct weir_test_instance *balancer);

/** on_members for every balancer of the pool. The array moves each time, its stride is larger
 * than struct weir_candidate, and the order of candidates is that of their numbers. The first
 * status that is not WEIR_OK. */
enum weir_status weir_test_pool_tell(struct weir_test_pool *pool);

/** One choice: the server's number, or WEIR_PICK_NONE. An index that is out of range or not
 * usable is a problem, and so is WEIR_PICK_NONE where a candidate is usable. `req` may be NULL:
 * one is made. */
uint32_t weir_test_pick(struct weir_test_instance *balancer, struct weir_request *req);
/** The same for retry number `attempt`. */
uint32_t weir_test_pick_again(struct weir_test_instance *balancer, struct weir_request *req,
                              uint32_t attempt);

/** What a pick would choose; changes nothing. */
uint32_t weir_test_would_pick(struct weir_test_instance *balancer, struct weir_request *req);

/** How often it was asked whether a candidate is usable, so far: what picks cost. */
uint64_t weir_test_question_count(const struct weir_test_instance *balancer);

/** `to`, which has no pool yet, takes over the pool of `from`, as when a reload exchanges a
 * module or changes its options: what `from` has learnt passes over, and then `to` hears of its
 * members. Of two hosts, the two may be of two modules. How many states `to` refused. */
uint32_t weir_test_take_over(struct weir_test_instance *from, struct weir_test_instance *to);

/** How a server ranks for a request, as the host or the balancer says. `*out` is prepared as in
 * Weir, and checked after WEIR_OK: a number that is not finite, or a text that has no end, is a
 * problem. WEIR_DECLINED: the server is no candidate, or the balancer has no hook or number.
 * `req` may be NULL: one is made. */
enum weir_status weir_test_score(struct weir_test_instance *balancer, struct weir_request *req,
                                 uint32_t server, struct weir_score *out);

/** The server gets a request: in-flight goes up, then on_assign. */
void weir_test_assign(struct weir_test_instance *balancer, uint32_t server);

/** The server begins to answer a request that it has: on_head, where the balancer has it. Of `how`
 * count status (0: 200), first_byte_ns (0: 1) and retry_after_ns. Without an assign, aborts. */
void weir_test_head(struct weir_test_instance *balancer, uint32_t server,
                    const struct weir_feedback *how);

/** A request ends: in-flight goes down, then on_complete. With a first_byte_ns, on_head comes
 * before, unless weir_test_head has told of one that is not completed yet. Without an assign,
 * aborts. */
void weir_test_complete(struct weir_test_instance *balancer, uint32_t server,
                        enum weir_outcome outcome, uint64_t first_byte_ns, uint64_t total_ns);

/** The same: of `how` count outcome, status (0: what goes with the outcome), first_byte_ns,
 * total_ns and retry_after_ns. */
void weir_test_complete_as(struct weir_test_instance *balancer, uint32_t server,
                           const struct weir_feedback *how);

/** Picks and assigns; the number, or WEIR_PICK_NONE. */
uint32_t weir_test_send(struct weir_test_instance *balancer);

/** Sends `requests` one after the other, each ended before the next, and adds to counts[server]
 * how many each got. `count`: length of `counts`. The number that was sent. */
uint32_t weir_test_spread(struct weir_test_instance *balancer, uint32_t requests, uint32_t *counts,
                          uint32_t count);

/** Sends `requests` that all stay; end them by weir_test_complete or weir_test_complete_all. */
uint32_t weir_test_fill(struct weir_test_instance *balancer, uint32_t requests, uint32_t *counts,
                        uint32_t count);

/** Ends, with success, all that the balancer has assigned. */
void weir_test_complete_all(struct weir_test_instance *balancer);

/* ---- sticky ---- */

weir_server_id weir_test_lookup(struct weir_test_instance *sticky, struct weir_request *req);
/** What weir_request_session called the request's session last; 0: nothing. */
uint64_t weir_test_session(const struct weir_request *req);
void weir_test_sticky_response(struct weir_test_instance *sticky, struct weir_request *req,
                               struct weir_response *resp, weir_server_id server, bool known);

/* ---- health ---- */

/** A target named "server", at `authority`, on a connection of HTTP/1. */
struct weir_probe_target weir_test_target(const char *authority, bool tls);

/** The bytes of a probe; NUL-ended. NULL: the module asked for more room than Weir gives (8 KiB).
 * Valid until the next probe. */
const char *weir_test_probe(struct weir_test_instance *health,
                            const struct weir_probe_target *target, size_t *len);

/** Lets a response come in steps of `step` bytes (0: all at once), then, where `eof`, its end.
 * The verdict, which stays WEIR_VERDICT_MORE where the module wants more. `*reason`: what it
 * wrote, valid until the next; may be NULL. A verdict without reason is a problem. */
enum weir_verdict weir_test_judge(struct weir_test_instance *health,
                                  const struct weir_probe_target *target, const char *data,
                                  size_t len, size_t step, bool eof, const char **reason);

/** What became of requests to a server: `count` that ended in one way, or several runs; at the
 * present time, from worker 0. A module that does not listen aborts. */
void weir_test_outcome(struct weir_test_instance *health, weir_server_id server,
                       enum weir_outcome outcome, uint32_t count);
void weir_test_outcomes(struct weir_test_instance *health, weir_server_id server,
                        const struct weir_outcome_run *runs, uint32_t count);

/** What the module asked for by weir_health_eject, and got. */
struct weir_test_ejection {
    weir_server_id server;
    uint64_t duration_ns;
    const char *reason; /**< valid until the next ejection */
};

/** How often it did; the last one. Without one, all is zero. An empty reason is a problem. */
size_t weir_test_ejection_count(const struct weir_test *host);
struct weir_test_ejection weir_test_last_ejection(const struct weir_test *host);

/** Lets Weir refuse ejections (too many are out), or allow them again. */
void weir_test_refuse_ejections(struct weir_test *host, bool refuse);

/* ---- filter ---- */

/** WEIR_DONE without a whole reply, or a reply without WEIR_DONE, is a problem. */
enum weir_status weir_test_filter_request(struct weir_test_instance *filter,
                                          struct weir_request *req);
void weir_test_filter_response(struct weir_test_instance *filter, struct weir_request *req,
                               struct weir_response *resp);
/** A dry run; WEIR_DECLINED: the filter has no `explain`. A reply within it is a problem. */
enum weir_status weir_test_filter_explain(struct weir_test_instance *filter,
                                          struct weir_request *req,
                                          struct weir_filter_verdict *verdict);

/** What weir_response_content_length says; -1 (not known) at first. */
void weir_test_response_set_length(struct weir_response *resp, int64_t content_length);

/** Whether the filter has said that it transforms the body. */
bool weir_test_transformed(const struct weir_response *resp);

/** A piece of the body comes to the filter that transforms it; what it says. What it declines is
 * kept, as in Weir. Declining without having taken or written anything is a problem. */
enum weir_status weir_test_filter_data(struct weir_response *resp, const void *data, size_t len,
                                       enum weir_flow flow);

/** Lets the client read nothing (what the filter writes waits), or everything: then the filter
 * gets what it declined; what it says of that. */
enum weir_status weir_test_filter_hold(struct weir_response *resp, bool hold);

/** What the filter has written so far, ended by NUL. Valid until it writes more. `len` may be
 * NULL. */
const char *weir_test_filter_output(const struct weir_response *resp, size_t *len);

/* ---- handler ---- */

/** Gives the head, then the body in two pieces (or its end alone), then one turn of the loop. */
enum weir_status weir_test_handle(struct weir_test_instance *handler, struct weir_request *req,
                                  const void *body, size_t len);

/** Step by step: the head alone, and one piece of the body. */
enum weir_status weir_test_handle_head(struct weir_test_instance *handler,
                                       struct weir_request *req);
void weir_test_handle_data(struct weir_test_instance *handler, struct weir_request *req,
                           const void *data, size_t len, bool end);

/** The client reads all that waits; on_writable. */
void weir_test_writable(struct weir_test_instance *handler, struct weir_request *req);

/** The client goes away; on_end (aborted). */
void weir_test_client_gone(struct weir_test_instance *handler, struct weir_request *req);

/** The generation is replaced, or Weir stops: on_drain. */
void weir_test_drain(struct weir_test_instance *handler);

/** Whether on_end has been called. */
bool weir_test_request_over(const struct weir_request *req);

/* ---- logger ---- */

/** A record of a success: status 200, 100 bytes in, 1000 out, 5 ms. Change what matters. */
struct weir_record weir_test_record(struct weir_test *host);

/** The request has ended. `resp` may be NULL. */
void weir_test_log_request(struct weir_test_instance *logger, struct weir_request *req,
                           struct weir_response *resp, const struct weir_record *record);

/* ---- store ---- */

/** The three hooks. A failure without a text is a problem; `text` and `error` are emptied first. */
enum weir_status weir_test_store_open(struct weir_test_instance *store, char *text, size_t size);
enum weir_status weir_test_store_commit(struct weir_test_instance *store,
                                        const struct weir_store_change *changes, size_t count,
                                        char *error, size_t size);
enum weir_status weir_test_store_scan(struct weir_test_instance *store, const char *space,
                                      const char *from, bool reverse, size_t limit,
                                      weir_store_visit_fn visit, void *arg);

/* ---- control: what handlers ask of the core ---- */

/** What weir_control_call answers for that method and path (without query), from now on; copied.
 * Calls that no script fits get 404. Answers come on the next turn of the loop. */
void weir_test_script_answer(struct weir_test *host, const char *method, const char *path,
                             const struct weir_control_answer *answer);

/** Lets answers wait; `false` gives those that wait at once. */
void weir_test_control_hold(struct weir_test *host, bool hold);

/** Calls that the module has made, oldest first; NULL: out of range. A call without role or
 * author is a problem. */
size_t weir_test_control_count(struct weir_test *host);
const struct weir_control_request *weir_test_control_call(struct weir_test *host, size_t index);

/** Gives an event to all who subscribe, at once. */
void weir_test_event(struct weir_test *host, uint64_t id, const char *name, const char *data);

/** Who subscribes now, and from where the newest of them began. One that is left at the end is a
 * problem. */
size_t weir_test_subscription_count(struct weir_test *host);
uint64_t weir_test_subscription_last_id(struct weir_test *host);

/** Somebody whom the core knows, by any of token, password and one-time link (NULL: not by
 * that). */
void weir_test_person(struct weir_test *host, const char *author, enum weir_role role,
                      const char *token, const char *password, const char *link);
/** WEIR_ROLE_NONE: is gone. */
void weir_test_person_set_role(struct weir_test *host, const char *author, enum weir_role role);
/** Another token instead of the one that there is; NULL: none. */
void weir_test_person_set_token(struct weir_test *host, const char *author, const char *token);

/** A row for weir_stats_visit, after those before it. Copied, but not what it points to. Reasons
 * are 1 connect_refused, 2 response_timeout, 3 client_gone. */
void weir_test_stats_add(struct weir_test *host, const struct weir_stats_row *row);
void weir_test_stats_clear(struct weir_test *host);

/** The value of the module's own metric. A gauge that is not zero when the host is freed is a
 * problem. A name that the module lacks aborts. */
int64_t weir_test_metric(const struct weir_test *host, const char *name);

/** A row of another module for weir_stats_metrics, after those before it. Copied, but not what it
 * points to. */
void weir_test_metric_add(struct weir_test *host, const struct weir_metric_row *row);

/** A row for weir_stats_modules, after those before it. Copied, but not what it points to. Since
 * 1.5. */
void weir_test_module_add(struct weir_test *host, const struct weir_module_row *row);

/* ---- control: operations of the module ---- */

/** What came of an operation. Texts are NULL where there is none; they live as long as the host. */
struct weir_test_answer {
    uint32_t status; /**< 0: there is no answer yet */
    const char *body, *etag, *location;
    const char *problem; /**< its detail; of several, the last */
    const char *pointer; /**< of that */
};

/** Runs the operation of that name as an administrator called `test`, and the loop until nothing
 * is left to do. `arguments` are names and values in turn, ended by NULL: numbers as decimals,
 * booleans as 0 and 1, durations in milliseconds. They are not checked. A name that the module
 * does not have aborts. */
const struct weir_test_answer *weir_test_operation(struct weir_test_instance *control,
                                                   const char *name, const char *const *arguments);

/** What is kept under a key of the module's space; NULL: nothing. The hook `take` is told of what
 * is set. */
const char *weir_test_kept(const struct weir_test *host, const char *key);
void weir_test_keep(struct weir_test_instance *control, const char *key, const char *value);

/** The last change that was made; texts are NULL where they were empty. `gone`: what a removal
 * removed. */
struct weir_test_change {
    const char *target, *before, *after, *key, *part, *gone;
};
const struct weir_test_change *weir_test_last_change(struct weir_test *host);
/** Takes the last change back. NULL: it is; else why the module refuses. */
const char *weir_test_undo(struct weir_test_instance *control);
/** Changes are refused with that error from now on; NULL: they are not. Static. */
void weir_test_refuse_changes(struct weir_test *host, const char *error);

WEIR_END_DECLS

#endif
