/* SPDX-License-Identifier: MIT */
/*
 * What both sides of HTTP/2 have in common: sessions. See h2.h.
 */
#include <pthread.h>

#include "http/h2_parts.h"

/* What nghttp2 may hold back as answers to PING and SETTINGS. */
#define ACKS_MOST 100

/* What runs at the end of the turn. */
static void on_task(struct task *task)
{
    struct h2 *h2 = container_of(task, struct h2, task);
    struct batch *batch = h2->batch;

    h2_pass_kept(h2);
    h2_pump(h2);
    batch_flush(batch);
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct h2 *h2 = user;
    int32_t id = frame->hd.stream_id;
    struct h2_stream *stream = id != 0 ? h2_stream_of(session, id) : NULL;
    bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 &&
               (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA);

    if (stream != NULL) {
        stream->sent_head = stream->sent_head || frame->hd.type == NGHTTP2_HEADERS;
        stream->sent_end = stream->sent_end || end;
        stream->sent += FRAME_HEAD;
        if (frame->hd.type == NGHTTP2_HEADERS && (h2->block = stream->blocks) != NULL) {
            stream->blocks = h2->block->next;
            stream->sent += h2->block->len;
        }
    }
    if (unlikely(frame->hd.type == NGHTTP2_RST_STREAM) && h2->resized &&
        frame->rst_stream.error_code == NGHTTP2_FLOW_CONTROL_ERROR) {
        /* SETTINGS have taken a window above the most: an error of the connection (section 6.9.2),
         * where nghttp2 ends the stream alone. */
        nghttp2_session_terminate_session(session, NGHTTP2_FLOW_CONTROL_ERROR);
    }
    if (unlikely(frame->hd.type == NGHTTP2_GOAWAY)) {
        h2->left = h2->left || frame->goaway.last_stream_id != INT32_MAX; /* else a notice */
        if (frame->goaway.error_code != NGHTTP2_NO_ERROR) {
            h2_faulted(h2, frame->goaway.error_code);
        }
    }
    if (!h2->server) {
        return 0;
    }
    if (unlikely(frame->hd.type == NGHTTP2_RST_STREAM)) {
        if (stream == NULL || !stream->received_end) {
            h2_watch_reset(h2, id);
        }
        bool refused = stream == NULL && frame->rst_stream.error_code == NGHTTP2_REFUSED_STREAM;
        if (!refused && (stream == NULL || !stream->reset)) { /* nghttp2's own */
            h2_odd(h2, H2_FAULT, H2_FAULT_WORD);
        }
    } else if (stream != NULL && end && !stream->received_end && !stream->reset &&
               !stream->tunnel) {
        /* The answer is whole, and nobody waits for the rest of the request (section 8.1). */
        stream->reset = true;
        h2_submit_reset(h2, id, NGHTTP2_NO_ERROR);
    }
    return 0;
}

static int on_closed(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    struct h2_stream *stream = h2_stream_of(session, id);

    (void)user;
    if (stream != NULL) {
        h2_end_stream(stream, code, stream->reset_by_peer);
    }
    return 0;
}

void h2_drained(struct h2 *h2)
{
    h2_resume_all(h2);
    conn_resume_read(h2->conn); /* it may have stood still */
    h2_wake(h2);
}

/* ---- the session ---- */

static nghttp2_session_callbacks *callbacks;
static nghttp2_option *options[2]; /* of clients, of servers */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_shared(void)
{
    if (nghttp2_session_callbacks_new(&callbacks) != 0) {
        return;
    }
    h2_set_input(callbacks);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_closed);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, h2_send_data);
    for (int server = 0; server < 2; server++) {
        nghttp2_option *option = NULL;
        if (nghttp2_option_new(&option) != 0) {
            continue;
        }
        nghttp2_option_set_no_auto_window_update(option, 1);
        nghttp2_option_set_no_closed_streams(option, 1);
        nghttp2_option_set_max_outbound_ack(option, ACKS_MOST);
        /* Resets are counted by h2_odd, CONTINUATION by h2_watch. */
        nghttp2_option_set_max_continuations(option, SIZE_MAX);
        nghttp2_option_set_stream_reset_rate_limit(option, UINT64_MAX, UINT64_MAX);
        nghttp2_option_set_max_deflate_dynamic_table_size(option, 0);
        nghttp2_option_set_max_reserved_remote_streams(option, 0);
        options[server] = option;
    }
}

bool h2_begin(struct h2 *h2, const struct h2_conf *conf, struct conn *conn, struct batch *batch)
{
    nghttp2_mem memory;
    nghttp2_settings_entry settings[H2_SETTINGS_MOST] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, conf->window},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, conf->limits->head},
    };
    size_t count = 2;

    h2_set_memory(&memory, h2);
    pthread_once(&once, make_shared);
    h2->home = h2_home_of(conn->loop);
    if (h2->home == NULL || callbacks == NULL || options[conf->server] == NULL) {
        return false;
    }
    h2->side = conf->side;
    h2->server = conf->server;
    h2->limits = *conf->limits;
    h2->window = conf->window;
    h2->streams_most = conf->streams;
    h2->abuse_limit = conf->abuse_limit;
    h2->conn = conn;
    h2->batch = batch;
    h2->task.fn = on_task;
    list_init(&h2->streams);
    list_init(&h2->ended);
    list_init(&h2->fed);
    list_init(&h2->blocked);
    list_init(&h2->finishing);
    list_init(&h2->resumed);
    int made = conf->server
                   ? nghttp2_session_server_new3(&h2->session, callbacks, h2, options[1], &memory)
                   : nghttp2_session_client_new3(&h2->session, callbacks, h2, options[0], &memory);
    if (made != 0) {
        h2->session = NULL;
        h2_give_memory(h2);
        return false;
    }
    if (conf->server) {
        settings[count++] =
            (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, H2_STREAMS_ANY};
        settings[count++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1};
        settings[count++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1};
    } else {
        const uint8_t *preface = NULL;
        ssize_t len = nghttp2_session_mem_send(h2->session, &preface); /* the buffer is not ours */
        ASSERT(len == NGHTTP2_CLIENT_MAGIC_LEN);
        h2->greets = true;
        settings[count++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_ENABLE_PUSH, 0};
    }
    if (nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, settings, count) != 0 ||
        nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0, H2_WINDOW_ALL) !=
            0) {
        h2_free(h2);
        return false;
    }
    h2_watch_begin(h2);
    h2->turn = UINT64_MAX; /* none */
    h2_wake(h2);
    return true;
}

void h2_free(struct h2 *h2)
{
    task_cancel(&h2->task);
    nghttp2_session_del(h2->session);
    h2->session = NULL;
    h2_give_memory(h2);
}
