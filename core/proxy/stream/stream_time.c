/* SPDX-License-Identifier: MIT */
/*
 * Timeouts of streams. See stream.h.
 */
#include "proxy/stream/stream.h"

/* If no body has moved, the stream ends; the stalled side is to blame. */
static void stream_check_progress(struct stream *stream)
{
    struct up *up = stream->exchange.up;
    uint64_t limit = stream->pool->settings->idle_timeout;
    uint64_t idle = loop_now_ns(stream_loop(stream)) - stream->last_progress_ns;
    bool waits = idle < limit;

    if (!waits && !stream->tunnel) {
        /* The client is slow: its own timeout applies. */
        waits = stream->up_paused ||
                (stream->phase == PHASE_SENT && (up == NULL || up->ops->waiting(up) == 0));
        idle = 0;
    }
    if (!waits && !stream->tunnel && stream->phase == PHASE_SENT) {
        /* The kernel buffers much for a slow server and reports room late. */
        uint64_t taken = up->ops->taken_mark(up);
        waits = taken != stream->up_taken;
        stream->up_taken = taken;
    }
    if (waits) {
        stream_set_timer(stream, limit - idle);
    } else {
        stream_fail(stream, 504, REASON_IDLE_TIMEOUT, WEIR_OUTCOME_TIMEOUT);
    }
}

void stream_timeout(struct timer *timer)
{
    struct stream *stream = container_of(timer, struct stream, timer);
    struct batch *batch = stream->home->batch;

    switch ((enum stream_phase)stream->phase) {
    case PHASE_QUEUED:
        stream_leave_server(stream, WEIR_OUTCOME_CANCELED);
        stream_break(stream, 503, REASON_QUEUE_TIMEOUT);
        break;
    case PHASE_CONNECTING:
        stream_attempt_failed(stream, REASON_CONNECT_TIMEOUT, WEIR_OUTCOME_TIMEOUT, true);
        break;
    case PHASE_SENT:
        if (stream->exchange.request_whole || stream_server_owes(stream)) {
            stream_fail(stream, 504, REASON_RESPONSE_TIMEOUT, WEIR_OUTCOME_TIMEOUT);
            break;
        }
        stream_check_progress(stream);
        break;
    case PHASE_RESPONSE: stream_check_progress(stream); break;
    default: break;
    }
    batch_flush(batch);
}

void stream_overdue(struct timer *timer)
{
    struct stream *stream = container_of(timer, struct stream, deadline);
    struct batch *batch = stream->home->batch;
    bool client_owes = !stream->exchange.request_whole;

    if (stream->phase != PHASE_DONE &&
        !stream->tunnel) { /* else everything is handed over, or there is no request */
        stream_fail(stream, client_owes ? 408 : 504, REASON_REQUEST_TIMEOUT,
                    client_owes ? WEIR_OUTCOME_CANCELED : WEIR_OUTCOME_TIMEOUT);
    }
    batch_flush(batch);
}
