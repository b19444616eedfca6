/* SPDX-License-Identifier: MIT */
/* The origin of the benchmark's gRPC row: HTTP/2 by prior knowledge, one thread. Each request is
 * answered as a unary echo would be: its body, then trailers with grpc-status 0.
 *
 * usage: grpc_origin [LISTEN_PORT [STREAMS]]
 */

#define _GNU_SOURCE

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <sys/epoll.h>

#include "sockets.h"

#define MESSAGE_MOST ((size_t)64 * 1024)
#define OUT_SIZE     ((size_t)256 * 1024)
#define EVENT_BATCH  256

/* One request: its message so far. They are kept for the next ones. */
struct call {
    struct call *next;
    size_t len, sent;
    char message[MESSAGE_MOST];
};

struct conn {
    int fd;
    nghttp2_session *session;
};

static struct conn **conns; /* by descriptor */
static struct call *spare_calls;
static int epoll_fd = -1;
static uint32_t streams = 1000; /* that a connection may have at once */
static uint8_t in[OUT_SIZE], out[OUT_SIZE];

#define PAIR(name, value)                                                           \
    {                                                                               \
        (uint8_t *)(name), (uint8_t *)(value), sizeof(name) - 1, sizeof(value) - 1, \
            NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE            \
    }
static const nghttp2_nv head[] = {PAIR(":status", "200"), PAIR("content-type", "application/grpc")};
static const nghttp2_nv trailers[] = {PAIR("grpc-status", "0"), PAIR("grpc-message", "")};

static int on_begin(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct call *call = spare_calls;

    (void)user;
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
        return 0;
    }
    if (call != NULL) {
        spare_calls = call->next;
    } else if ((call = malloc(sizeof *call)) == NULL) {
        die("malloc");
    }
    call->len = call->sent = 0;
    return nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, call);
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t len, void *user)
{
    struct call *call = nghttp2_session_get_stream_user_data(session, id);

    (void)flags;
    (void)user;
    if (call == NULL || len > MESSAGE_MOST - call->len) {
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    memcpy(call->message + call->len, data, len);
    call->len += len;
    return 0;
}

static ssize_t read_message(nghttp2_session *session, int32_t id, uint8_t *to, size_t room,
                            uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct call *call = source->ptr;
    size_t left = call->len - call->sent;
    size_t len = left < room ? left : room;

    (void)user;
    memcpy(to, call->message + call->sent, len);
    call->sent += len;
    if (call->sent == call->len) {
        *flags = NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
        nghttp2_submit_trailer(session, id, trailers, sizeof trailers / sizeof *trailers);
    }
    return (ssize_t)len;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    bool of_request = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;

    if (of_request && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
        struct call *call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
        nghttp2_data_provider provider = {{.ptr = call}, read_message};
        return nghttp2_submit_response(session, frame->hd.stream_id, head,
                                       sizeof head / sizeof *head, &provider);
    }
    (void)user;
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    struct call *call = nghttp2_session_get_stream_user_data(session, id);

    (void)code;
    (void)user;
    if (call != NULL) {
        call->next = spare_calls;
        spare_calls = call;
    }
    return 0;
}

static void conn_close(struct conn *conn)
{
    (void)close(conn->fd);
    conns[conn->fd] = NULL;
    nghttp2_session_del(conn->session);
    free(conn);
}

/* Small answers to a proxy that reads: the socket always takes them. */
static bool send_all(struct conn *conn)
{
    const uint8_t *frame;
    size_t have = 0;
    ssize_t len;

    do {
        len = nghttp2_session_mem_send(conn->session, &frame);
        if (len < 0) {
            return false;
        }
        if (have > 0 && (len == 0 || have + (size_t)len > OUT_SIZE)) {
            if (send(conn->fd, out, have, MSG_NOSIGNAL) != (ssize_t)have) {
                return false;
            }
            have = 0;
        }
        memcpy(out + have, frame, (size_t)len);
        have += (size_t)len;
    } while (len > 0);
    return true;
}

static void serve(struct conn *conn)
{
    ssize_t got;

    while ((got = recv(conn->fd, in, sizeof in, 0)) > 0) {
        if (nghttp2_session_mem_recv(conn->session, in, (size_t)got) < 0 || !send_all(conn)) {
            conn_close(conn);
            return;
        }
        if ((size_t)got < sizeof in) {
            return;
        }
    }
    if (got == 0 || errno != EAGAIN) {
        conn_close(conn);
    }
}

static void accept_all(int listen_fd, size_t limit, nghttp2_session_callbacks *callbacks)
{
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, streams},
                                               {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20}};
    int fd;

    while ((fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1) {
        struct conn *conn = calloc(1, sizeof *conn);
        struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.fd = fd};

        if (conn == NULL || (size_t)fd >= limit ||
            nghttp2_session_server_new(&conn->session, callbacks, conn) != 0 ||
            nghttp2_submit_settings(conn->session, 0, settings, 2) != 0 ||
            nghttp2_session_set_local_window_size(conn->session, 0, 0, 1 << 28) != 0 ||
            epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
            die("a new connection");
        }
        conn->fd = fd;
        conns[fd] = conn;
        sock_nodelay(fd);
        if (!send_all(conn)) {
            conn_close(conn);
        }
    }
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENT_BATCH];
    struct epoll_event listening = {.events = EPOLLIN};
    size_t limit = sock_file_limit();
    nghttp2_session_callbacks *callbacks;

    if (argc > 3) {
        fprintf(stderr, "usage: grpc_origin [LISTEN_PORT [STREAMS]]\n");
        return 2;
    }
    if (nghttp2_session_callbacks_new(&callbacks) != 0) {
        die("nghttp2");
    }
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    if (argc == 3) {
        streams = (uint32_t)number_argument(argv[2], INT32_MAX);
    }
    conns = calloc(limit, sizeof(struct conn *));
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    listening.data.fd =
        sock_listen(argc >= 2 ? (uint16_t)number_argument(argv[1], UINT16_MAX) : 0, "127.0.0.1");
    if (conns == NULL || epoll_fd == -1 ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listening.data.fd, &listening) != 0) {
        die("epoll");
    }
    for (;;) {
        int count = epoll_wait(epoll_fd, events, EVENT_BATCH, -1);

        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listening.data.fd) {
                accept_all(listening.data.fd, limit, callbacks);
            } else if (conns[events[i].data.fd] != NULL) {
                serve(conns[events[i].data.fd]);
            }
        }
    }
}
