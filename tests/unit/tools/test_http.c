/* SPDX-License-Identifier: MIT */
/* Answers in whatever pieces they come: whole ones are taken, cut and malformed ones are told. */
#include "runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "http.h"

static char path[100];

/* A peer in a process of its own that takes a request, sends `answer` in pieces of `step` bytes,
 * then ends. */
static pid_t serve(const char *answer, size_t len, size_t step)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listening = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(path, sizeof(path), "/tmp/weirctl-test-%d", (int)getpid());
    strcpy(address.sun_path, path);
    unlink(path);
    ck_assert_int_eq(bind(listening, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(listening, 1), 0);
    pid_t child = fork();
    if (child == 0) {
        int fd = accept(listening, NULL, NULL);
        char request[2048];
        ssize_t got = recv(fd, request, sizeof(request), 0);
        for (size_t at = 0; got > 0 && at < len; at += step) {
            size_t piece = len - at < step ? len - at : step;
            if (send(fd, answer + at, piece, MSG_NOSIGNAL) < 0) {
                break;
            }
        }
        _exit(0);
    }
    close(listening);
    return child;
}

/* What came of an answer: its body, or the error. */
static char result[4096];

static int ask(const char *text, size_t step)
{
    struct endpoint endpoint = {.connect_ms = 5000, .read_ms = 5000};
    struct http_request request = {.method = "GET", .path = "/"};
    struct http_answer answer;
    char error[512] = "";
    pid_t child = serve(text, strlen(text), step);
    ck_assert(endpoint_from_socket(&endpoint, path, error, sizeof(error)));
    bool whole = http_ask(&endpoint, &request, &answer, error, sizeof(error));
    snprintf(result, sizeof(result), "%s", whole ? text_get(&answer.body) : error);
    int status = whole ? answer.status : -1;
    text_clear(&answer.body);
    endpoint_clear(&endpoint);
    waitpid(child, NULL, 0);
    unlink(path);
    return status;
}

UNIT_TEST(whole_answers_are_taken)
{
    static const struct {
        const char *answer, *body;
        int status;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", 200},
        {"HTTP/1.1 200 OK\r\ncontent-length:5 \r\n\r\nhelloxyz", "hello", 200},
        {"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", "", 204},
        {"HTTP/1.0 200 OK\n\nuntil the end", "until the end", 200},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n", "", 404},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n"
         "0\r\nTrailer: z\r\n\r\n",
         "abc0123456789", 200},
        {"HTTP/1.1 500\r\nContent-Length: 1\r\n\r\nx", "x", 500},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t step = 1; step < 200; step = step * 3 + 1) {
            int status = ask(cases[i].answer, step);
            ck_assert_msg(status == cases[i].status && strcmp(result, cases[i].body) == 0,
                          "%s in steps of %zu: %d %s", cases[i].answer, step, status, result);
        }
    }
}

UNIT_TEST(broken_answers_are_told)
{
    static const char *const answers[] = {
        "",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/2 200\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
    };
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        for (size_t step = 1; step < 200; step = step * 5 + 1) {
            ck_assert_msg(ask(answers[i], step) == -1, "taken: %s", answers[i]);
            ck_assert_uint_gt(strlen(result), 0);
        }
    }
}

UNIT_TIMEOUT(30);
