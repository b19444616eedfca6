/* SPDX-License-Identifier: MIT */
/* Listening sockets, what operators are told, and accepting. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "net/acceptor.h"
#include "net/listener.h"
#include "net_help.h"
#include "runner.h"

static struct loop *loop;
static char error[512];
static char folder[64];

static void setup(void)
{
    loop = loop_new(0);
    ck_assert_ptr_nonnull(loop);
    snprintf(folder, sizeof(folder), "/tmp/weir-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void teardown(void)
{
    loop_free(&loop);
    rmdir(folder);
}

static struct address address_of(const char *text)
{
    struct address address;
    ck_assert_msg(address_parse(&address, str_from(text), error, sizeof(error)), "%s", error);
    return address;
}

static struct listen_socket *open_text(const char *text, size_t count)
{
    struct address address = address_of(text);
    error[0] = '\0';
    return listen_socket_open(&address, count, 64, 0660, error, sizeof(error));
}

static int connect_to(const struct address *address)
{
    int fd = socket(address->u.any.sa_family, SOCK_STREAM, 0);
    ck_assert_int_ne(fd, -1);
    if (connect(fd, &address->u.any, address->len) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* ---- accepting ---- */

static int accepted[64];
static size_t accepted_count;
static size_t wanted;
static struct address last_peer;
static bool pause_after_first;

static void on_connection(struct acceptor *acceptor, int fd, const struct address *peer, void *arg)
{
    ck_assert_ptr_eq(arg, accepted);
    ck_assert_uint_lt(accepted_count, ARRAY_COUNT(accepted));
    accepted[accepted_count++] = fd;
    last_peer = *peer;
    if (pause_after_first) {
        acceptor_pause(acceptor, true);
    }
}

static bool enough(void *arg)
{
    (void)arg;
    return accepted_count >= wanted;
}

static void wait_for(size_t count)
{
    wanted = count;
    run_until(loop, enough, NULL);
}

static void close_accepted(void)
{
    while (accepted_count > 0) {
        close(accepted[--accepted_count]);
    }
    pause_after_first = false;
}

UNIT_LOOP_TEST(test_accepts_on_every_socket_of_a_port, 2)
{
    enum { SOCKETS = 3, CLIENTS = 40 };
    struct acceptor *acceptors[SOCKETS];
    int clients[CLIENTS];
    struct listen_socket *listening = open_text(_i == 0 ? "127.0.0.1:0" : "[::1]:0", SOCKETS);

    ck_assert_msg(listening != NULL, "%s", error);
    ck_assert_uint_ne(address_port(&listening->address), 0);
    for (size_t i = 0; i < SOCKETS; i++) {
        acceptors[i] = acceptor_new(loop, listening->fds[i], on_connection, accepted);
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        clients[i] = connect_to(&listening->address);
        ck_assert_int_ne(clients[i], -1);
    }
    wait_for(CLIENTS);
    run_turns(loop, 2);
    ck_assert_uint_eq(accepted_count, CLIENTS);
    ck_assert(address_is_loopback(&last_peer));
    ck_assert_uint_ne(address_port(&last_peer), 0);
    for (size_t i = 0; i < CLIENTS; i++) {
        int nodelay = 0;
        socklen_t len = sizeof(nodelay);
        ck_assert_int_eq(getsockopt(accepted[i], IPPROTO_TCP, TCP_NODELAY, &nodelay, &len), 0);
        ck_assert_int_ne(nodelay, 0);
        ck_assert_int_ne(fcntl(accepted[i], F_GETFL) & O_NONBLOCK, 0);
        ck_assert_int_ne(fcntl(accepted[i], F_GETFD) & FD_CLOEXEC, 0);
        close(clients[i]);
    }
    for (size_t i = 0; i < SOCKETS; i++) {
        acceptor_free(&acceptors[i]);
    }
    close_accepted();
    listen_socket_unref(&listening);
}

UNIT_TEST(test_a_paused_acceptor_takes_none)
{
    struct listen_socket *listening = open_text("127.0.0.1:0", 1);
    struct acceptor *acceptor = acceptor_new(loop, listening->fds[0], on_connection, accepted);
    int clients[3];

    pause_after_first = true;
    for (size_t i = 0; i < 3; i++) {
        clients[i] = connect_to(&listening->address);
    }
    wait_for(1);
    run_turns(loop, 5);
    ck_assert_uint_eq(accepted_count, 1);
    pause_after_first = false;
    acceptor_pause(acceptor, false);
    wait_for(3);
    for (size_t i = 0; i < 3; i++) {
        close(clients[i]);
    }
    acceptor_free(&acceptor);
    close_accepted();
    listen_socket_unref(&listening);
}

static unsigned gate_places, gate_backs;

static bool gate(struct acceptor *acceptor, void *arg)
{
    ck_assert_ptr_eq(arg, accepted);
    if (gate_places == 0) {
        acceptor_pause(acceptor, true);
        return false;
    }
    gate_places--;
    return true;
}

static void gate_back(struct acceptor *acceptor, void *arg)
{
    (void)acceptor;
    ck_assert_ptr_eq(arg, accepted);
    gate_backs++;
    gate_places++;
}

/* Asked before each connection: never one more than there are places, and none is lost. */
UNIT_TEST(test_a_gate_is_asked_first)
{
    struct listen_socket *listening = open_text("127.0.0.1:0", 1);
    struct acceptor *acceptor = acceptor_new(loop, listening->fds[0], on_connection, accepted);
    int clients[6];

    acceptor_set_gate(acceptor, gate, gate_back);
    gate_places = 2;
    gate_backs = 0;
    for (size_t i = 0; i < 6; i++) {
        clients[i] = connect_to(&listening->address);
    }
    wait_for(2);
    run_turns(loop, 5);
    ck_assert_uint_eq(accepted_count, 2);
    gate_places = 10;
    acceptor_pause(acceptor, false);
    wait_for(6);
    run_turns(loop, 5);
    /* 12 places were given: 6 are taken, what was asked for in vain has come back. */
    ck_assert_uint_eq(gate_places, 6);
    for (size_t i = 0; i < 6; i++) {
        close(clients[i]);
    }
    acceptor_free(&acceptor);
    close_accepted();
    listen_socket_unref(&listening);
}

/* It stops at those that are kept back, and goes on when others are free again. */
UNIT_TEST(test_descriptors_are_kept_back)
{
    struct listen_socket *listening = open_text("127.0.0.1:0", 1);
    struct acceptor *acceptor = acceptor_new(loop, listening->fds[0], on_connection, accepted);
    int clients[6];

    log_set_level(WEIR_LOG_ERROR);
    for (size_t i = 0; i < ARRAY_COUNT(clients); i++) {
        clients[i] = connect_to(&listening->address);
    }
    acceptor_set_reserve(acceptor, clients[5] + 3); /* two more, and one that says so */
    wait_for(3);
    run_turns(loop, 20);
    ck_assert_uint_eq(accepted_count, 3);
    close(clients[0]);
    close(clients[1]);
    wait_for(5);
    for (size_t i = 2; i < ARRAY_COUNT(clients); i++) {
        close(clients[i]);
    }
    acceptor_free(&acceptor);
    close_accepted();
    listen_socket_unref(&listening);
}

UNIT_TEST(test_without_descriptors_it_waits_and_goes_on)
{
    struct listen_socket *listening = open_text("127.0.0.1:0", 1);
    struct acceptor *acceptor = acceptor_new(loop, listening->fds[0], on_connection, accepted);
    struct rlimit old, none;
    int client = connect_to(&listening->address);

    log_set_level(WEIR_LOG_ERROR);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = old;
    none.rlim_cur = (rlim_t)client; /* lower than any free one */
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    run_turns(loop, 20);
    ck_assert_uint_eq(accepted_count, 0);
    setrlimit(RLIMIT_NOFILE, &old);
    wait_for(1);
    close(client);
    acceptor_free(&acceptor);
    close_accepted();
    listen_socket_unref(&listening);
}

/* ---- messages ---- */

UNIT_LOOP_TEST(test_own_sockets_are_not_in_the_way, 2)
{
    char text[ADDRESS_TEXT_SIZE + 8];
    struct listen_socket *first = open_text(_i == 0 ? "127.0.0.1:0" : "0.0.0.0:0", 2);

    ck_assert_ptr_nonnull(first);
    /* A reload gives the port to the other kind of address: both listen until the old one is
     * shut. */
    snprintf(text, sizeof(text), "%s:%u", _i == 0 ? "0.0.0.0" : "127.0.0.1",
             address_port(&first->address));
    struct address address = address_of(text);
    ck_assert_msg(listen_socket_check(&address, true, error, sizeof(error)), "%s", error);
    struct listen_socket *second = open_text(text, 2);
    ck_assert_msg(second != NULL, "%s", error);
    listen_socket_unref(&first);
    snprintf(text, sizeof(text), "127.0.0.1:%u", address_port(&second->address));
    address = address_of(text);
    int client = connect_to(&address);
    ck_assert_int_ne(client, -1);
    close(client);
    listen_socket_unref(&second);
    ck_assert_int_eq(connect_to(&address), -1);
}

UNIT_TEST(test_a_foreign_listener_is_refused)
{
    int one = 1;
    struct address address = address_of("127.0.0.1:0");
    char text[ADDRESS_TEXT_SIZE + 8];
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
    ck_assert_int_eq(bind(fd, &address.u.any, address.len), 0);
    ck_assert_int_eq(listen(fd, 8), 0);
    address.len = sizeof(address.u);
    getsockname(fd, &address.u.any, &address.len);
    address_text_port(&address, text, sizeof(text));
    ck_assert_ptr_null(open_text(text, 1));
    ck_assert_ptr_nonnull(strstr(error, "another program listens there"));
    /* A look says the same, unless it may be the Weir that is to be replaced. */
    char opened[sizeof(error)];
    memcpy(opened, error, sizeof(error));
    ck_assert(!listen_socket_check(&address, true, error, sizeof(error)));
    ck_assert_str_eq(error, opened);
    ck_assert(listen_socket_check(&address, false, error, sizeof(error)));
    close(fd);
}

UNIT_TEST(test_both_families_on_one_port)
{
    char text[64];
    struct listen_socket *six = NULL, *four = NULL;

    /* A port that is free of one family may be another program's of the other. */
    for (unsigned tries = 0; tries < 50 && four == NULL; tries++) {
        if (six != NULL) {
            listen_socket_unref(&six);
        }
        six = open_text("[::]:0", 1);
        ck_assert_msg(six != NULL, "%s", error);
        snprintf(text, sizeof(text), "0.0.0.0:%u", address_port(&six->address));
        four = open_text(text, 1);
    }
    ck_assert_msg(four != NULL, "%s", error);
    listen_socket_unref(&six);
    listen_socket_unref(&four);
}

UNIT_TEST(test_an_address_of_another_machine_is_refused)
{
    struct address address = address_of("192.0.2.1:8080");

    for (int i = 0; i < 2; i++) {
        if (i == 0) {
            ck_assert_ptr_null(open_text("192.0.2.1:8080", 1));
        } else {
            ck_assert(!listen_socket_check(&address, false, error, sizeof(error)));
        }
        ck_assert_str_eq(error, "cannot listen on 192.0.2.1:8080: no network interface of this "
                                "machine has this address");
        error[0] = '\0';
    }
}

/* ---- the end ---- */

/* Whoever has connected comes in, nobody after that; then the port is free. */
UNIT_LOOP_TEST(test_a_socket_that_refuses_loses_nobody, 2)
{
    char text[128];

    snprintf(text, sizeof(text), "unix:%s/s", folder);
    struct listen_socket *listening = open_text(_i == 0 ? "127.0.0.1:0" : text, 2);
    ck_assert_msg(listening != NULL, "%s", error);
    struct address address = listening->address;
    struct acceptor *acceptors[2];
    for (unsigned i = 0; i < 2; i++) {
        acceptors[i] =
            acceptor_new(loop, listen_socket_enter(listening, i), on_connection, accepted);
        acceptor_pause(acceptors[i], true);
    }
    int first = connect_to(&address), second = connect_to(&address);
    ck_assert_int_ne(first, -1);
    ck_assert_int_ne(second, -1);
    listen_socket_refuse(listening);
    ck_assert(listen_socket_is_settled(listening));
    int late = socket(address.u.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int result = connect(late, &address.u.any, address.len);
    ck_assert(result == -1 && (errno == EINPROGRESS || errno == ECONNREFUSED || errno == ENOENT));
    run_turns(loop, 2);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert(acceptor_finish(acceptors[i]));
        acceptor_free(&acceptors[i]);
    }
    ck_assert_uint_eq(accepted_count, 2);
    /* Before it closes, the port is ours to take again; of TCP by a sibling. */
    struct listen_socket *next = listen_socket_open(&address, 2, 64, 0660, error, sizeof(error));
    ck_assert_msg(next != NULL, "%s", error);
    listen_socket_leave(listening, 0);
    listen_socket_leave(listening, 1);
    listen_socket_unref(&listening);
    int again = connect_to(&address);
    ck_assert_int_ne(again, -1);
    close(again);
    listen_socket_unref(&next);
    ck_assert_int_eq(connect_to(&address), -1);
    close(first);
    close(second);
    close(late);
    close_accepted();
}

/* ---- Unix sockets ---- */

UNIT_TEST(test_unix_socket_has_its_mode_and_goes_with_the_last_reference)
{
    char text[128];
    struct stat status;
    const char *path = text + 5;

    snprintf(text, sizeof(text), "unix:%s/s", folder);
    mode_t old = umask(077);
    struct listen_socket *listening = open_text(text, 2);
    umask(old);
    ck_assert_msg(listening != NULL, "%s", error);
    ck_assert_str_eq(listening->text, text);
    ck_assert_int_eq(lstat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0660);
    int fd = listen_socket_enter(listening, 0);
    ck_assert_int_eq(fd, listen_socket_enter(listening, 1)); /* one for all loops */
    struct acceptor *acceptor = acceptor_new(loop, fd, on_connection, accepted);
    int client = connect_to(&listening->address);
    wait_for(1);
    ck_assert_int_eq(last_peer.u.any.sa_family, AF_UNIX);
    close(client);
    close_accepted();
    acceptor_free(&acceptor);
    listen_socket_leave(listening, 0);
    ck_assert_int_eq(fd, listening->fds[0]); /* the other loop is at it still */
    listen_socket_leave(listening, 1);
    ck_assert_int_eq(listening->fds[0], -1);
    struct listen_socket *again = listen_socket_ref(listening);
    listen_socket_unref(&again);
    ck_assert_int_eq(lstat(path, &status), 0);
    listen_socket_unref(&listening);
    ck_assert_int_eq(lstat(path, &status), -1);
}

UNIT_TEST(test_a_dead_socket_file_is_replaced_and_a_living_one_is_not)
{
    char text[128];

    snprintf(text, sizeof(text), "unix:%s/s", folder);
    struct address address = address_of(text);
    int dead = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(dead, &address.u.any, address.len), 0);
    close(dead);
    struct listen_socket *first = open_text(text, 1);
    ck_assert_msg(first != NULL, "%s", error);
    ck_assert_ptr_null(open_text(text, 1));
    ck_assert_ptr_nonnull(strstr(error, "/s: Weir itself listens there"));
    /* Somebody else takes the name: it is not ours to remove. */
    ck_assert_int_eq(unlink(text + 5), 0);
    struct listen_socket *second = open_text(text, 1);
    ck_assert_msg(second != NULL, "%s", error);
    listen_socket_unref(&first);
    int client = connect_to(&address);
    ck_assert_int_ne(client, -1);
    close(client);
    listen_socket_unref(&second);
}

UNIT_TEST(test_a_file_that_is_no_socket_is_left_alone)
{
    char text[128];
    struct stat status;

    snprintf(text, sizeof(text), "unix:%s/f", folder);
    close(open(text + 5, O_CREAT | O_WRONLY, 0600));
    ck_assert_ptr_null(open_text(text, 1));
    ck_assert_ptr_nonnull(strstr(error, "a file that is no socket has this name"));
    ck_assert_int_eq(lstat(text + 5, &status), 0);
    unlink(text + 5);
    ck_assert_ptr_null(open_text("unix:/nonexistent/s", 1));
    ck_assert_str_eq(
        error, "cannot listen on unix:/nonexistent/s: there is no folder /nonexistent; make it");
}

UNIT_TEST(test_mode_and_backlog_change_while_it_listens)
{
    char text[128];
    struct stat status;

    snprintf(text, sizeof(text), "unix:%s/s", folder);
    struct listen_socket *listening = open_text(text, 2);
    ck_assert_msg(listening != NULL, "%s", error);
    ck_assert(listen_socket_tune(listening, 128, 0600, error, sizeof(error)));
    ck_assert_int_eq(lstat(text + 5, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0600);
    int client = connect_to(&listening->address);
    ck_assert_int_ne(client, -1);
    close(client);
    /* Somebody else's file keeps its mode. */
    unlink(text + 5);
    close(open(text + 5, O_CREAT | O_WRONLY, 0644));
    ck_assert(listen_socket_tune(listening, 128, 0660, error, sizeof(error)));
    ck_assert_int_eq(lstat(text + 5, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0644);
    unlink(text + 5);
    listen_socket_unref(&listening);
}

UNIT_TEST(test_a_look_leaves_no_trace)
{
    char text[128];
    struct stat status;

    snprintf(text, sizeof(text), "unix:%s/s", folder);
    struct address address = address_of(text);
    ck_assert_msg(listen_socket_check(&address, true, error, sizeof(error)), "%s", error);
    ck_assert_int_eq(lstat(text + 5, &status), -1);
    address = address_of("unix:/nonexistent/s");
    ck_assert(!listen_socket_check(&address, false, error, sizeof(error)));
    ck_assert_str_eq(
        error, "cannot listen on unix:/nonexistent/s: there is no folder /nonexistent; make it");
}

UNIT_FIXTURE(setup, teardown);
UNIT_TIMEOUT(60);
