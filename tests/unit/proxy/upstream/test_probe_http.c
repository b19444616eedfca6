/* SPDX-License-Identifier: MIT */
/* probe_http.c: a module's text becomes an exchange, and the answer text again. */
#include "proxy/upstream/probe_http.h"

#include "../../http/h2_peer.h"
#include "runner.h"

#include <stdlib.h>

#include "base/base.h"

#define ASKED "GET /h?a HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX-A: b\r\n\r\n"

static struct loop *loop;
static struct batch batch;
static struct h2_peer peer;
static struct notes *notes; /* the answer whenever it grows, `.` at its end */
static struct probe_answer *answer;
static struct probe_http *http;
static const char *why;
static char leaves_at; /* ends at the first event (`a`), or only at the end (`e`) */

static void on_answer(void *arg, bool whole)
{
    ck_assert_ptr_eq(arg, notes);
    notes->len = 0;
    notes_add_bytes(notes, answer->text, answer->len);
    notes_add(notes, whole ? "." : "");
    if (whole || leaves_at == 'a') {
        probe_http_end(&http);
    }
}

static void on_failed(void *arg, const struct conn *conn, const char *reason)
{
    ck_assert_ptr_eq(arg, notes);
    notes_add(notes, "!%s%s", reason, conn != NULL && conn->error != CONN_OK ? "!" : "");
    probe_http_end(&http);
}

static const struct probe_http_events events = {.on_answer = on_answer, .on_failed = on_failed};

static void set_up(void)
{
    loop = loop_new(0);
    batch = (struct batch){0};
    notes = base_zalloc(sizeof(*notes));
    answer = base_zalloc(sizeof(*answer));
    http = NULL;
    leaves_at = 'e';
}

static void tear_down(void)
{
    probe_http_end(&http);
    peer_end(&peer);
    run_turns(loop, 2);
    loop_free(&loop);
    free(notes);
    free(answer);
}

static void ask(const char *request)
{
    const struct http_limits limits = {.head = 2048, .fields = 20, .target = 1};
    int fds[2];

    tcp_pair(fds);
    peer_begin(&peer, loop, fds[0], false);
    http = probe_http_begin(conn_accept(loop, fds[1], NULL, NULL, NULL), &batch, &limits,
                            str_from(request), answer, &events, notes, &why);
}

static void expect(const char *wanted)
{
    wait_notes(loop, notes, wanted);
}

UNIT_TEST(answers_are_told_as_text)
{
    ask(ASKED);
    wait_peer(&peer, "HEAD 1 GET /h?a. ");
    peer_settings(&peer, 0, 0);
    peer_head(&peer, 1, false, ":status=103 link=x");
    peer_head(&peer, 1, false, ":status=200 content-length=4 a=b");
    expect("HTTP/1.1 200 OK\r\na: b\r\nContent-Length: 4\r\n\r\n");
    peer_data(&peer, 1, false, "we");
    expect("HTTP/1.1 200 OK\r\na: b\r\nContent-Length: 4\r\n\r\nwe");
    peer_data(&peer, 1, true, "ll");
    expect("HTTP/1.1 200 OK\r\na: b\r\nContent-Length: 4\r\n\r\nwell.");
    ck_assert_ptr_null(http);
}

UNIT_TEST(content_and_trailers)
{
    ask("POST /a HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nContent-Length: 3\r\n\r\nabc");
    wait_peer(&peer, "HEAD 1 POST /a DATA 1 abc. ");
    peer_settings(&peer, 0, 0);
    peer_head(&peer, 1, false, ":status=200");
    peer_data(&peer, 1, false, "0123456789abcdef");
    peer_head(&peer, 1, true, "grpc-status=0 x=y");
    expect("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n0123456789abcdef\r\n0\r\n"
           "grpc-status: 0\r\nx: y\r\n\r\n.");
}

UNIT_TEST(a_head_alone)
{
    ask(ASKED);
    wait_peer(&peer, "HEAD 1 GET /h?a. ");
    peer_settings(&peer, 0, 0);
    peer_head(&peer, 1, true, ":status=200 grpc-status=12");
    expect("HTTP/1.1 200 OK\r\ngrpc-status: 12\r\nContent-Length: 0\r\n\r\n.");
}

/* What is longer fills the text, and no more is kept. */
UNIT_TEST(long_answers_are_cut)
{
    char text[4097];
    memset(text, 'x', 4096);
    text[4096] = '\0';
    ask(ASKED);
    wait_peer(&peer, "HEAD 1 GET /h?a. ");
    peer_settings(&peer, 0, 0);
    peer_head(&peer, 1, false, ":status=200");
    for (unsigned i = 0; i < 6; i++) {
        peer_data(&peer, 1, i == 5, text);
    }
    while (http != NULL) {
        run_turns(loop, 1);
    }
    ck_assert_uint_eq(answer->len, PROBE_ANSWER_MAX);
}

/* It may end at any event, or between them. */
UNIT_LOOP_TEST(it_ends_at_any_time, 4)
{
    leaves_at = _i == 3 ? 'a' : 'e';
    ask(ASKED);
    if (_i == 0) {
        probe_http_end(&http);
    }
    if (_i > 0) {
        wait_peer(&peer, "HEAD 1 GET /h?a. ");
        peer_settings(&peer, 0, 0);
    }
    if (_i > 1) {
        peer_head(&peer, 1, false, ":status=200");
        expect("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        ck_assert((http == NULL) == (_i == 3));
    }
    probe_http_end(&http);
    run_until_true(loop, &peer.end.ended);
}

UNIT_TEST(failures_have_words)
{
    ask(ASKED);
    wait_peer(&peer, "HEAD 1 GET /h?a. ");
    peer_settings(&peer, 0, 0);
    peer_rst(&peer, 1, NGHTTP2_REFUSED_STREAM);
    expect("!closed without an answer");
    ck_assert_ptr_null(http);
}

UNIT_TEST(a_bad_answer_fails)
{
    ask(ASKED);
    wait_peer(&peer, "HEAD 1 GET /h?a. ");
    peer_settings(&peer, 0, 0);
    peer_head(&peer, 1, false, ":status=204 content-length=x");
    while (http != NULL) {
        run_turns(loop, 1);
    }
    ck_assert_ptr_nonnull(strstr(notes->text, "!"));
}

UNIT_LOOP_TEST(requests_of_another_kind, 4)
{
    static const char *const requests[] = {
        "PING\r\n", "GET / HTTP/1.1\r\n", "POST / HTTP/1.1\r\nHost: h\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"};

    ask(requests[_i]);
    ck_assert_ptr_null(http);
    ck_assert_ptr_nonnull(why);
    run_until_true(loop, &peer.end.ended);
}

UNIT_FIXTURE(set_up, tear_down);
