/* SPDX-License-Identifier: MIT */
/* Both halves of a stream, scripted. See script.h. */
#include "script.h"

#include <stdarg.h>
#include <stdio.h>

struct stage stage;
static struct stream_home home;
static struct batch batch;

/* What both halves and the record were told, in order. */
static char transcript[1024];

static void __attribute__((format(printf, 1, 2))) note(const char *format, ...)
{
    size_t len = strlen(transcript);
    va_list args;
    va_start(args, format);
    if (len > 0 && len + 2 < sizeof(transcript)) {
        memcpy(transcript + len, "; ", 3);
        len += 2;
    }
    vsnprintf(transcript + len, sizeof(transcript) - len, format, args);
    va_end(args);
}

void expect(const char *text)
{
    ck_assert_str_eq(transcript, text);
    transcript[0] = '\0';
}

const char *told(void)
{
    return transcript;
}

void skip(void)
{
    transcript[0] = '\0';
}

void settle(void)
{
    while (loop_settle(stage.loop)) {
        continue;
    }
}

/* ---- the client's half ---- */

static struct {
    struct downstream downstream; /* its peer's text stands behind it */
    char peer[16];
    struct down downs[SCRIPT_STREAMS];
} client;

static unsigned current;
struct exchange *exchange;
struct stream *stream;
size_t client_waiting;
bool client_gone;

static void down_interim(struct down *down, const struct http_response_head *head)
{
    (void)down;
    note("interim %u", head->status);
}

static void down_head(struct down *down, const struct http_response_head *head, bool tunnel)
{
    down->exchange->response_begun = true;
    note("%s %u", tunnel ? "tunnel" : "answer", head->status);
}

static void down_data(struct down *down, const char *data, size_t len)
{
    (void)down;
    if (len > 0 && data[0] != '<') { /* pages of errors are another test's */
        note("data %.*s", (int)len, data);
    }
}

static void down_trailer(struct down *down, struct weir_str name, struct weir_str value)
{
    (void)down;
    note("trailer %.*s=%.*s", STR_ARGS(name), STR_ARGS(value));
}

static void down_end(struct down *down)
{
    down->exchange->response_whole = true;
    note("end");
}

static void down_reset(struct down *down)
{
    (void)down;
    note("reset");
}

static void down_pause(struct down *down)
{
    (void)down;
    note("hold");
}

static void down_resume(struct down *down)
{
    (void)down;
    note("go on");
}

static bool down_look(struct down *down)
{
    (void)down;
    for (unsigned i = 0; client_gone && i < SCRIPT_STREAMS; i++) {
        if (client.downs[i].exchange != NULL) {
            stream_down_events.on_gone(client.downs[i].exchange, DOWN_GONE_CLOSED);
        }
    }
    return !client_gone;
}

static size_t down_waiting(struct down *down)
{
    return down->exchange == exchange ? client_waiting : 0;
}

static const struct down_codec down_codec = {.version = HTTP_1_1};

static const struct down_ops down_ops = {
    .interim = down_interim,
    .head = down_head,
    .data = down_data,
    .trailer = down_trailer,
    .end = down_end,
    .reset = down_reset,
    .pause = down_pause,
    .resume = down_resume,
    .look = down_look,
    .waiting = down_waiting,
};

/* ---- servers' halves: connections numbered in their order ---- */

static struct fake_server connections[4];
static unsigned connection_count;
/* Who waits for the connection that is being made. */
static struct connect_waiter *connecting[SCRIPT_STREAMS];
static unsigned connecting_count;
enum conn_error connect_error;
uint32_t connect_room;

static struct fake_server *server_of(struct up *up)
{
    return container_of(up->connection, struct fake_server, c);
}

static unsigned number_of(struct up *up)
{
    return (unsigned)(server_of(up) - connections);
}

static bool up_head(struct up *up, const struct http_extra *extra, size_t extra_count)
{
    ck_assert_uint_gt(extra_count, 0);
    ck_assert(str_equal(extra[0].name, STR("X-Forwarded-For")));
    note("%u: %.*s %.*s", number_of(up), STR_ARGS(up->exchange->request.method_name),
         STR_ARGS(up->exchange->request.path));
    return true;
}

static void up_data(struct up *up, const char *data, size_t len)
{
    note("%u: data %.*s", number_of(up), (int)len, data);
}

static void up_trailer(struct up *up, struct weir_str name, struct weir_str value)
{
    note("%u: trailer %.*s=%.*s", number_of(up), STR_ARGS(name), STR_ARGS(value));
}

static void up_end(struct up *up)
{
    note("%u: end", number_of(up));
}

static void up_pause(struct up *up)
{
    note("%u: hold", number_of(up));
}

static void up_resume(struct up *up)
{
    note("%u: go on", number_of(up));
}

static size_t up_waiting(struct up *up)
{
    return server_of(up)->waiting;
}

static uint64_t up_taken_mark(struct up *up)
{
    return server_of(up)->taken;
}

static void up_let_go(struct up *up)
{
    struct fake_server *server = server_of(up);
    up->exchange->up = NULL;
    up->exchange = NULL;
    server->c.running--;
    server->c.room++;
}

static void up_release(struct up *up)
{
    note("%u: left", number_of(up));
    up_let_go(up);
}

static const struct up_ops up_ops = {
    .head = up_head,
    .data = up_data,
    .trailer = up_trailer,
    .end = up_end,
    .pause = up_pause,
    .resume = up_resume,
    .waiting = up_waiting,
    .taken_mark = up_taken_mark,
    .release = up_release,
};

static bool codec_use(struct up_conn *c, struct exchange *of, bool probe)
{
    struct fake_server *server = container_of(c, struct fake_server, c);
    (void)probe;
    if (server->dead) {
        spares_remove(&stage.servers[0]->locals[0].spares, c);
        return false;
    }
    c->room--;
    c->running++;
    c->served++;
    struct up *up = server->ups;
    while (up->exchange != NULL) {
        up++;
    }
    up->exchange = of;
    of->up = up;
    return true;
}

static const struct up_codec codec = {.size = sizeof(struct up_conn), .room = 1, .use = codec_use};

static struct fake_server *server_new_connection(void)
{
    ck_assert_uint_lt(connection_count, ARRAY_COUNT(connections));
    struct fake_server *server = &connections[connection_count++];
    *server = (struct fake_server){
        .c = {.codec = &codec,
              .conn = &server->conn,
              .room = 1,
              .user = &stage.servers[0]->locals[0]},
        .conn = {.fd = -1, .loop = stage.loop},
    };
    for (unsigned i = 0; i < SCRIPT_STREAMS; i++) {
        server->ups[i] = (struct up){.ops = &up_ops, .connection = &server->c};
    }
    return server;
}

static enum conn_error connect_scripted(struct list *under_way, struct loop *loop,
                                        const struct connect_to *to, struct connect_waiter *waiter)
{
    const struct server_local *mine = to->user;
    (void)under_way;
    (void)loop;
    note("connect %s", mine->server->name);
    connect_room = to->room;
    if (connect_error != CONN_OK) {
        return connect_error;
    }
    connecting[connecting_count++] = waiter;
    return CONN_OK;
}

static bool drop_idle(struct stream_home *of)
{
    (void)of;
    return false;
}

/* ---- what surrounds them ---- */

struct listener_local listener_local;
struct listener_plan listener;
struct listener_settings listener_settings;
static struct down_home down_home;

struct weir_route_result route_result;
enum weir_status route_status;

static enum weir_status on_route(struct weir_context *ctx, void *instance, struct weir_request *req,
                                 struct weir_route_result *out)
{
    (void)ctx;
    (void)instance;
    ck_assert_ptr_eq(req, &stream->request_handle);
    out->pool = route_result.pool;
    out->status = route_result.status;
    out->location = route_result.location;
    return route_status;
}

static enum weir_status on_filter(struct weir_context *ctx, void *instance,
                                  struct weir_request *req)
{
    (void)ctx;
    (void)instance;
    stream_reply_refusal(req, 403, NULL, 0);
    return WEIR_DONE;
}

static const struct weir_router router = {.size = sizeof(router), .route = on_route};
static const struct weir_filter filter = {.size = sizeof(filter), .on_request = on_filter};
struct module router_module;
struct metered metered;
static struct module filter_module;
static struct instance router_instance, filter_instance;
static struct use router_use, filter_use;
static struct use *router_uses[] = {&router_use}, *filter_uses[] = {&filter_use};

void script_begin(void)
{
    stage_begin(&stage);
    stream_home_init(&home, stage.loop, &batch);
    home.connect = connect_scripted;
    home.drop_idle = drop_idle;
    memset(&client, 0, sizeof(client));
    client_waiting = 0;
    client_gone = false;
    memset(&listener_local, 0, sizeof(listener_local));
    memset(&listener, 0, sizeof(listener));
    memset(&listener_settings, 0, sizeof(listener_settings));
    memset(&router_module, 0, sizeof(router_module));
    memset(&filter_module, 0, sizeof(filter_module));
    down_home.user = &home;
    listener.owner = &stage.whole;
    listener.settings = &listener_settings;
    listener_local.home = &down_home;
    listener_local.plan = &listener;
    client.downstream.local = &listener_local;
    client.downstream.place.c.codec = &down_codec;
    client.downstream.peer_len = sizeof("192.0.2.7") - 1;
    memcpy(client.peer, "192.0.2.7", sizeof("192.0.2.7"));
    for (unsigned i = 0; i < SCRIPT_STREAMS; i++) {
        client.downs[i].ops = &down_ops;
    }
    current = 0;
    router_module.descriptor.router = &router;
    router_module.name = "router";
    router_use.module = &router_module;
    metered_begin(&metered, &router_module);
    metered_context(&metered, &router_instance.context);
    router_use.instances = &router_instance;
    filter_module.descriptor.filter = &filter;
    filter_module.name = "filter";
    filter_use.module = &filter_module;
    filter_use.instances = &filter_instance;
    route_result = (struct weir_route_result){.pool = 0};
    route_status = WEIR_OK;
    stage.whole.pools = &stage.plan;
    stage.whole.pool_count = 1;
    stage.whole.routers = (struct use_list){.items = router_uses, .count = 1};
    stage.settings.retries = 2;
    stage.settings.retry_budget = 1;
    stage.settings.queue_timeout = NS_PER_SECOND;
    stage.settings.connect_timeout = NS_PER_SECOND;
    stage.settings.response_timeout = NS_PER_SECOND;
    stage.settings.idle_timeout = NS_PER_SECOND;
    stage.settings.keepalive_timeout = NS_PER_SECOND;
    connection_count = 0;
    connecting_count = 0;
    connect_error = CONN_OK;
    transcript[0] = '\0';
    exchange = NULL;
    stream = NULL;
}

/* The client's codec is through with it. */
void close_stream(bool complete)
{
    client.downs[current].exchange = NULL;
    stream_down_events.on_close(exchange, complete);
    exchange = NULL;
    stream = NULL;
    settle();
}

void script_end(void)
{
    for (unsigned i = 0; i < SCRIPT_STREAMS; i++) {
        turn_to(i);
        if (exchange != NULL) {
            close_stream(exchange->response_whole);
        }
    }
    ck_assert(list_empty(&home.running));
    ck_assert(list_empty(&stage.pool->queue.any));
    metered_end(&metered);
    for (unsigned i = 0; i < connection_count; i++) {
        ck_assert_uint_eq(connections[i].c.running, 0);
        spares_remove(&stage.servers[0]->locals[0].spares, &connections[i].c);
    }
    stream_home_end(&home);
    stage_end(&stage); /* no place at a server is taken */
}

/* ---- the script ---- */

void refuse_all(void)
{
    listener.filters = (struct use_list){.items = filter_uses, .count = 1};
}

void turn_to(unsigned number)
{
    current = number;
    exchange = client.downs[number].exchange;
    stream = exchange != NULL ? stream_of(exchange) : NULL;
}

void open_stream(const char *method)
{
    struct down *down = &client.downs[current];
    exchange = stream_down_events.on_open(&client.downstream.place.c);
    ck_assert_ptr_nonnull(exchange);
    exchange->down = down;
    down->exchange = exchange;
    stream = stream_of(exchange);
    exchange->request.method_name = str_from(method);
    exchange->request.method = method_of(exchange->request.method_name);
    exchange->request.path = exchange->request.target = STR("/");
    exchange->request.host = exchange->request.authority = STR("example");
    exchange->request.version = HTTP_1_1;
}

void request(const char *method)
{
    open_stream(method);
    exchange->request_whole = true;
    stream_down_events.on_request(exchange);
}

/* One whose body is still to come. */
void request_with_body(const char *method)
{
    open_stream(method);
    exchange->request.body = BODY_CHUNKED;
    stream_down_events.on_request(exchange);
}

void body(const char *text)
{
    stream_down_events.on_data(exchange, text, strlen(text));
    stream_down_events.on_flushed(exchange);
}

void request_end(void)
{
    exchange->request_whole = true;
    stream_down_events.on_request_end(exchange);
}

/* Those who wait: for another one from then on. */
static unsigned take_waiters(struct connect_waiter *waiters[SCRIPT_STREAMS])
{
    unsigned count = connecting_count;
    ck_assert_uint_gt(count, 0);
    memcpy(waiters, connecting, sizeof(connecting));
    connecting_count = 0;
    return count;
}

struct fake_server *connected_with_room(uint32_t room)
{
    struct connect_waiter *waiters[SCRIPT_STREAMS];
    unsigned count = take_waiters(waiters);
    struct fake_server *server = server_new_connection();
    server->c.room = room;
    for (unsigned i = 0; i < count; i++) {
        if (server->c.room > 0) {
            waiters[i]->events->opened(waiters[i], &server->c);
        } else {
            waiters[i]->events->no_room(waiters[i]);
        }
    }
    return server;
}

struct fake_server *connected(void)
{
    return connected_with_room(1);
}

void not_connected(enum conn_error error)
{
    struct connect_waiter *waiters[SCRIPT_STREAMS];
    unsigned count = take_waiters(waiters);
    for (unsigned i = 0; i < count; i++) {
        waiters[i]->events->failed(waiters[i], error);
    }
}

void no_room(void)
{
    struct connect_waiter *waiters[SCRIPT_STREAMS];
    take_waiters(waiters);
    waiters[0]->events->no_room(waiters[0]);
}

/* An idle connection to the first server, which has served before. */
struct fake_server *idle_connection(void)
{
    struct fake_server *server = server_new_connection();
    server->c.served = 1;
    server->c.idle_since_ns = loop_now_ns(stage.loop);
    spares_settle(&stage.servers[0]->locals[0].spares, &server->c);
    return server;
}

void respond(unsigned status)
{
    exchange->response = (struct http_response_head){
        .status = (uint16_t)status, .version = HTTP_1_1, .body = BODY_CHUNKED};
    stream_up_events.on_response(exchange);
}

void respond_whole(unsigned status)
{
    respond(status);
    stream_up_events.on_data(exchange, "ok", 2);
    stream_up_events.on_response_end(exchange);
}

void break_off(enum up_failure why)
{
    up_let_go(exchange->up);
    stream_up_events.on_failed(exchange, why);
}

void break_all(struct fake_server *server, enum up_failure why)
{
    for (unsigned i = 0; i < SCRIPT_STREAMS; i++) {
        struct exchange *of = server->ups[i].exchange;
        if (of != NULL) {
            up_let_go(of->up);
            server->c.room = 0;
            stream_up_events.on_failed(of, why);
        }
    }
}

void pass(uint64_t ns)
{
    loop_now_ns(stage.loop);
    stage.loop->now_ns_ += ns;
}

void expect_reason(enum reason reason)
{
    ck_assert_uint_eq(stream->reason, reason);
}

uint64_t server_requests(unsigned number)
{
    return stage.servers[number]->locals[0].traffic.requests;
}
