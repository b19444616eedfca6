/* SPDX-License-Identifier: MIT */
/*
 * Streams with both halves scripted: codecs of a client and servers that record their calls, and
 * functions that play events. There is no socket.
 */
#ifndef WEIR_TESTS_UNIT_PROXY_STREAM_SCRIPT_H
#define WEIR_TESTS_UNIT_PROXY_STREAM_SCRIPT_H

#include "../pool/pool_stage.h"
#include "proxy/stream/stream.h"

/* How many exchanges a client's connection, and one to a server, can have. */
#define SCRIPT_STREAMS 3

/* A connection to a server, and its halves of exchanges. */
struct fake_server {
    struct up ups[SCRIPT_STREAMS];
    struct up_conn c;
    struct conn conn;
    size_t waiting; /* bytes that its socket has not taken */
    uint64_t taken; /* changes when it takes something */
    bool dead;      /* as it turns out when it is used */
};

extern struct stage stage; /* the pool, with servers s0 to s4 */
extern struct listener_local listener_local;
extern struct listener_plan listener;
extern struct listener_settings listener_settings;

/* The request that is looked at, of those on the client's connection; and what is to come of it. */
extern struct exchange *exchange;
extern struct stream *stream;
extern size_t client_waiting;                 /* bytes that the client's socket has not taken */
extern bool client_gone;                      /* as looking at it tells */
extern struct weir_route_result route_result; /* what the router says */
extern enum weir_status route_status;
extern struct module router_module;
extern struct metered metered;        /* the router */
extern enum conn_error connect_error; /* that connecting fails with at once */
extern uint32_t connect_room;         /* that the last connection was expected to have */

void script_begin(void);
/* The request ends, if it has not; nothing may be left of it. */
void script_end(void);

/* The calls to both halves since the last query, in order, separated by "; ". */
void expect(const char *text);
void expect_reason(enum reason reason);
const char *told(void);
/* Forgets that. */
void skip(void);

/* Looks at another one of the client's requests, which may not have begun: 0 at first. */
void turn_to(unsigned number);
/* Requests of the client; one whose body is still to come. */
void open_stream(const char *method);
void request(const char *method);
void request_with_body(const char *method);
void body(const char *text);
void request_end(void);
/* The client's codec is through with it. */
void close_stream(bool complete);
/* All requests meet a filter that answers 403. */
void refuse_all(void);

/* The connection that is being made is open, or is not to be had. */
struct fake_server *connected(void);
struct fake_server *connected_with_room(uint32_t room);
void not_connected(enum conn_error error);
/* It is open, and others have it. */
void no_room(void);
/* An idle connection to the first server, which has served before. */
struct fake_server *idle_connection(void);

/* What the server says. */
void respond(unsigned status);
void respond_whole(unsigned status);
/* The exchange fails, or all that run on the connection. */
void break_off(enum up_failure why);
void break_all(struct fake_server *server, enum up_failure why);

/* Time passes, and messages between loops. */
void pass(uint64_t ns);
void settle(void);
uint64_t server_requests(unsigned number);

#endif
