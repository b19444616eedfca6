/* SPDX-License-Identifier: MIT */
/*
 * Filters of a stream, and the chain of those that transform its response's body. See stream_filter.h.
 */
#include "proxy/stream/stream_filter.h"

#include <stdlib.h>

#include "base/log.h"
#include "proxy/stream/etags.h"

/* Filters that may transform one response. */
#define CHAIN_STAGES 8

/* Output is gathered to this much before it goes to the codec. */
#define CHAIN_OUTPUT 16384u

/* With this much on its way to the client a stage that waited goes on waiting. */
#define CHAIN_HIGH (64u * 1024)

/* What a stage may have in the kept input of the next one: a filter that does not stop when it is told
 * that its output waits is broken. */
#define CHAIN_KEPT_MAX (4u * 1024 * 1024)

/* A server that sends a little now and then is passed on at once; one that sends a little all the time
 * is flushed so often at most, since each flush costs bytes and work. */
#define CHAIN_FLUSH_NS (20u * NS_PER_MS)

/* A filter in the chain. Invariant: kept_at <= kept_len <= kept_size; input is kept only while blocked. */
struct stage {
    struct weir_transform handle; /* first: transforms are cast to stages */
    struct chain *chain;
    struct instance *instance;
    const struct weir_filter *ops;
    void *state;
    char *kept; /* input not yet taken */
    size_t kept_at, kept_len, kept_size;
    enum weir_flow flow; /* that goes with the kept input */
    bool blocked;        /* its output waits, or its input does */
};

struct chain_trailer {
    struct chain_trailer *next;
    struct weir_str name, value;
};

struct chain {
    struct stream *stream;
    struct stage stages[CHAIN_STAGES];
    unsigned count;
    unsigned depth;   /* hooks that run */
    bool unflushed;   /* data since the last flush */
    bool ended;       /* the last flow has been given to the first stage */
    bool stopped;     /* ended towards the client, or broken off */
    bool failed;      /* a hook failed: broken off once no hook runs */
    uint64_t written; /* bytes that stages have made */
    size_t waiting;   /* for the client's socket, when it was last asked */
    uint64_t flushed_ns;
    struct task flush_task;
    struct timer flush_timer;
    struct chain_trailer *trailers, **trailers_end;
    size_t output_len;
    char output[CHAIN_OUTPUT];
};

/* ---- hooks on heads ---- */

bool stream_run_filters(struct stream *stream, const struct use_list *filters)
{
    for (size_t i = 0; i < filters->count; i++) {
        const struct use *use = filters->items[i];
        const struct weir_filter *ops = use->module->descriptor.filter;
        struct instance *instance = use_on(use, stream->worker->index);
        if (ops->on_request == NULL) {
            continue;
        }
        enum weir_status status =
            ops->on_request(&instance->context.base, instance->data, &stream->request_handle);
        if (status == WEIR_DONE && stream->exchange.response_begun) {
            stream->reason = stream->reason != 0 ? stream->reason : REASON_REFUSED_BY_RULE;
            stream->detail = str_from(use->module->name);
            return false;
        }
        if (status != WEIR_OK) {
            static struct log_limit limit;
            stream->detail = str_from(use->module->name);
            log_limited(
                &limit, WEIR_LOG_ERROR, "stream",
                "filter \"%s\" failed on a request, whose fields may be too long; the client "
                "gets 500",
                use->module->name);
            module_fault(use->module);
            stream_break(stream, 500, REASON_MODULE_FAILED);
            return false;
        }
    }
    return true;
}

static void run_response_filters(struct stream *stream, const struct use_list *filters)
{
    for (size_t i = filters->count; i > 0 && likely(!stream->response_failed); i--) {
        const struct use *use = filters->items[i - 1];
        const struct weir_filter *ops = use->module->descriptor.filter;
        struct instance *instance = use_on(use, stream->worker->index);
        if (ops->on_response != NULL) {
            stream->filtering = instance;
            ops->on_response(&instance->context.base, instance->data, &stream->request_handle,
                             &stream->response_handle);
        }
        if (unlikely(stream->response_failed)) {
            stream->detail = str_from(use->module->name);
        }
    }
    stream->filtering = NULL;
}

/* A body that is not byte for byte the server's has neither its length nor its strong validator, nor
 * what describes its bytes (RFC 9110 sections 8.8.3 and 14.3, RFC 9530). */
static void chain_fit_head(struct stream *stream)
{
    static const struct weir_str gone[] = {
        WEIR_STR_INIT("Accept-Ranges"),  WEIR_STR_INIT("Content-MD5"), WEIR_STR_INIT("Digest"),
        WEIR_STR_INIT("Content-Digest"), WEIR_STR_INIT("Repr-Digest"),
    };
    struct http_response_head *head = &stream->exchange.response;

    for (size_t i = 0; i < ARRAY_COUNT(gone); i++) {
        fields_drop_name(&head->fields, gone[i]);
    }
    stream_weaken_etag(stream);
    head->has_content_length = false;
    if (head->body == BODY_LENGTH) {
        head->body = BODY_CHUNKED;
    }
}

void stream_filter_response(struct stream *stream)
{
    if (stream->pool != NULL) {
        run_response_filters(stream, &stream->pool->filters);
    }
    if (unlikely(stream->route_filters != NULL)) {
        run_response_filters(stream, stream->route_filters);
    }
    run_response_filters(stream, &stream->listener->filters);
    if (unlikely(stream->chain != NULL)) {
        chain_fit_head(stream);
        if (stream->exchange.response.body == BODY_NONE || stream->response_failed) {
            chain_close(stream);
        }
    } else if (unlikely(stream->asked_weak != NULL) && stream->exchange.response.status == 304) {
        stream_soften_etag(stream);
    }
}

/* ---- the end of the chain ---- */

/* What was gathered goes to the codec, and as far as the socket takes it out: the bytes are not the
 * codec's to keep. */
static void chain_push(struct chain *chain)
{
    struct down *down = chain->stream->exchange.down;
    if (chain->output_len > 0) {
        down->ops->data(down, chain->output, chain->output_len);
        chain->output_len = 0;
        chain->waiting = down->ops->waiting(down);
    }
}

static void sink_data(struct chain *chain, const char *data, size_t len)
{
    struct down *down = chain->stream->exchange.down;

    if (len > CHAIN_OUTPUT - chain->output_len) {
        chain_push(chain);
    }
    if (len > CHAIN_OUTPUT) {
        down->ops->data(down, data, len);
        chain->waiting = down->ops->waiting(down);
    } else if (len > 0) {
        memcpy(chain->output + chain->output_len, data, len);
        chain->output_len += len;
    }
}

static void sink_end(struct chain *chain)
{
    struct stream *stream = chain->stream;
    struct down *down = stream->exchange.down;

    chain_stop(stream);
    if (chain->output_len > 0) {
        down->ops->data(down, chain->output, chain->output_len);
    }
    for (const struct chain_trailer *trailer = chain->trailers; trailer != NULL;
         trailer = trailer->next) {
        down->ops->trailer(down, trailer->name, trailer->value);
    }
    stream->phase = PHASE_DONE;
    down->ops->end(down);
    down->ops->waiting(down); /* sends: the output goes with the chain */
}

/* Bytes between the stage and the client. */
static size_t waiting_behind(const struct chain *chain, const struct stage *stage)
{
    size_t waiting = chain->output_len + chain->waiting;
    for (const struct stage *s = stage + 1; s < chain->stages + chain->count; s++) {
        waiting += s->kept_len - s->kept_at;
    }
    return waiting;
}

/* ---- stages ---- */

static void chain_fail(struct chain *chain)
{
    chain->failed = true;
}

static void stage_keep(struct stage *stage, const char *data, size_t len)
{
    size_t size = stage->kept_len + len;

    if (len == 0) {
        return;
    }
    if (size - stage->kept_at > CHAIN_KEPT_MAX) {
        chain_fail(stage->chain);
        return;
    }
    if (size > stage->kept_size) {
        size = size < CHAIN_OUTPUT ? CHAIN_OUTPUT : size + size / 2;
        char *grown = realloc(stage->kept, size);
        if (grown == NULL) {
            chain_fail(stage->chain);
            return;
        }
        stage->kept = grown;
        stage->kept_size = size;
    }
    memcpy(stage->kept + stage->kept_len, data, len);
    stage->kept_len += len;
}

static void stage_feed(struct chain *chain, unsigned index, const char *data, size_t len,
                       enum weir_flow flow);

/* Calls the hook and says whether it took all; what it took is in *used. */
static bool stage_call(struct stage *stage, const char *data, size_t len, enum weir_flow flow,
                       size_t *used)
{
    struct chain *chain = stage->chain;

    *used = len;
    chain->depth++;
    enum weir_status status =
        stage->ops->on_response_data(&stage->instance->context.base, stage->instance->data,
                                     stage->state, &stage->handle, data, len, flow, used);
    chain->depth--;
    if (status != WEIR_OK && (status != WEIR_DECLINED || *used > len)) {
        module_fault(stage->instance->use->module);
        chain_fail(chain);
    }
    if (status == WEIR_OK) {
        *used = len;
        if (flow != WEIR_FLOW_MORE && !chain->failed) {
            stage_feed(chain, (unsigned)(stage - chain->stages) + 1, NULL, 0, flow);
        }
    }
    return status == WEIR_OK;
}

/* Gives input to a stage, or to the codec behind the last one. */
static void stage_feed(struct chain *chain, unsigned index, const char *data, size_t len,
                       enum weir_flow flow)
{
    size_t used = 0;

    if (chain->failed || chain->stopped) {
        return;
    }
    if (index == chain->count) {
        sink_data(chain, data, len);
        if (flow == WEIR_FLOW_END) {
            sink_end(chain);
        } else if (flow == WEIR_FLOW_FLUSH) {
            chain_push(chain);
        }
        return;
    }
    struct stage *stage = &chain->stages[index];
    if (stage->blocked) {
        stage_keep(stage, data, len);
        stage->flow = flow > stage->flow ? flow : stage->flow;
        return;
    }
    if (!stage_call(stage, data, len, flow, &used) && !chain->failed) {
        stage->blocked = true;
        stage->flow = flow;
        stage_keep(stage, data + used, len - used);
    }
}

/* Gives a blocked stage what was kept for it. false: it is as far as it was. */
static bool stage_retry(struct stage *stage)
{
    struct chain *chain = stage->chain;
    enum weir_flow flow = stage->flow;
    uint64_t before = chain->written;
    size_t used = 0, len = stage->kept_len - stage->kept_at;

    if (stage_call(stage, stage->kept + stage->kept_at, len, flow, &used)) {
        free(stage->kept);
        stage->kept = NULL;
        stage->kept_at = stage->kept_len = stage->kept_size = 0;
        stage->flow = WEIR_FLOW_MORE;
        stage->blocked = false;
        return true;
    }
    stage->kept_at += used <= len ? used : 0;
    if (used == 0 && chain->written == before) {
        chain_fail(chain); /* neither took nor made anything, with room for both */
    }
    return false;
}

/* Goes on with what is blocked, the nearest to the client first, as long as the client reads. */
static void chain_pump(struct chain *chain)
{
    struct down *down = chain->stream->exchange.down;

    chain->waiting = down->ops->waiting(down);
    for (unsigned i = chain->count; i > 0;) {
        struct stage *stage = &chain->stages[i - 1];
        if (chain->failed || chain->stopped) {
            return;
        }
        if (!stage->blocked) {
            i--;
        } else if (waiting_behind(chain, stage) >= CHAIN_HIGH) {
            return;
        } else if (stage_retry(stage)) {
            i = chain->count; /* what it made may have blocked those behind it */
        }
    }
}

/* After hooks have run: a failed one breaks the response, and nothing is left of the server. */
static void chain_settle(struct chain *chain)
{
    struct stream *stream = chain->stream;

    if (chain->failed && !chain->stopped && chain->depth == 0) {
        log_write(WEIR_LOG_ERROR, "stream",
                  "a filter failed on a response's body, which was broken off");
        chain_stop(stream);
        stream->attempt_reason = REASON_MODULE_FAILED;
        stream_leave_server(stream, WEIR_OUTCOME_CANCELED);
        stream_break(stream, 500, REASON_MODULE_FAILED);
    }
}

/* ---- flushing ---- */

static struct loop *chain_loop(const struct chain *chain)
{
    return chain->stream->worker->loop;
}

static void chain_flush(struct chain *chain)
{
    timer_cancel(chain_loop(chain), &chain->flush_timer);
    chain->flushed_ns = loop_now_ns(chain_loop(chain));
    chain->unflushed = false;
    stage_feed(chain, 0, NULL, 0, WEIR_FLOW_FLUSH);
    chain_settle(chain);
}

/* At the end of a turn in which data has come, and not the end. */
static void chain_flush_task(struct task *task)
{
    struct chain *chain = container_of(task, struct chain, flush_task);
    uint64_t since = loop_now_ns(chain_loop(chain)) - chain->flushed_ns;

    if (!chain->unflushed || chain->stopped || timer_is_set(&chain->flush_timer)) {
        return;
    }
    if (chain->flushed_ns == 0 || since >= CHAIN_FLUSH_NS) {
        chain_flush(chain);
    } else {
        timer_set(chain_loop(chain), &chain->flush_timer, CHAIN_FLUSH_NS - since);
    }
}

static void chain_flush_timer(struct timer *timer)
{
    struct chain *chain = container_of(timer, struct chain, flush_timer);
    struct batch *batch = &chain->stream->worker->batch;

    if (chain->unflushed && !chain->stopped) {
        chain_flush(chain);
    }
    batch_flush(batch);
}

/* ---- for the stream ---- */

void chain_data(struct stream *stream, const char *data, size_t len)
{
    struct chain *chain = stream->chain;

    if (chain->stopped || chain->ended) {
        return;
    }
    chain->unflushed = true;
    stage_feed(chain, 0, data, len, WEIR_FLOW_MORE);
    task_queue(chain_loop(chain), &chain->flush_task);
    chain_settle(chain);
}

void chain_trailer(struct stream *stream, struct weir_str name, struct weir_str value)
{
    struct chain *chain = stream->chain;
    struct arena *arena = &stream->exchange.arena;
    struct chain_trailer *trailer = arena_zalloc(arena, sizeof(*trailer));

    if (trailer == NULL) {
        return; /* trailers may be dropped (RFC 9110 section 6.5.1) */
    }
    trailer->name = arena_copy(arena, name);
    trailer->value = arena_copy(arena, value);
    if (trailer->name.ptr != NULL && trailer->value.ptr != NULL) {
        *chain->trailers_end = trailer;
        chain->trailers_end = &trailer->next;
    }
}

void chain_end(struct stream *stream)
{
    struct chain *chain = stream->chain;

    if (chain->stopped || chain->ended) {
        return;
    }
    chain->ended = true;
    chain->unflushed = false;
    stage_feed(chain, 0, NULL, 0, WEIR_FLOW_END);
    chain_settle(chain);
}

bool chain_drained(struct stream *stream)
{
    struct chain *chain = stream->chain;

    chain_pump(chain);
    chain_settle(chain);
    return !chain_blocked(stream);
}

bool chain_blocked(const struct stream *stream)
{
    const struct chain *chain = stream->chain;
    for (unsigned i = 0; i < chain->count; i++) {
        if (chain->stages[i].blocked) {
            return !chain->stopped;
        }
    }
    return false;
}

size_t chain_waiting(const struct stream *stream)
{
    const struct chain *chain = stream->chain;
    const struct stage *first = &chain->stages[0];
    return chain->stopped ? 0 : first->kept_len - first->kept_at + waiting_behind(chain, first);
}

void chain_stop(struct stream *stream)
{
    struct chain *chain = stream->chain;
    chain->stopped = true;
    task_cancel(&chain->flush_task);
    timer_cancel(chain_loop(chain), &chain->flush_timer);
}

void chain_close(struct stream *stream)
{
    struct chain *chain = stream->chain;

    if (chain == NULL) {
        return;
    }
    chain_stop(stream);
    stream->chain = NULL;
    for (unsigned i = 0; i < chain->count; i++) {
        struct stage *stage = &chain->stages[i];
        if (stage->ops->on_response_close != NULL) {
            stage->ops->on_response_close(&stage->instance->context.base, stage->instance->data,
                                          stage->state);
        }
        free(stage->kept);
    }
    free(chain);
}

/* ---- the services ---- */

static struct chain *chain_new(struct stream *stream)
{
    struct chain *chain = malloc(sizeof(*chain));

    if (chain == NULL) {
        return NULL;
    }
    memset(chain, 0, offsetof(struct chain, output));
    chain->stream = stream;
    chain->flush_task.fn = chain_flush_task;
    chain->flush_timer.fn = chain_flush_timer;
    chain->trailers_end = &chain->trailers;
    return chain;
}

static enum weir_status response_transform(struct weir_response *resp, void *state)
{
    struct stream *stream = stream_of_response(resp);
    struct instance *instance = stream->filtering;
    const struct http_response_head *head = &stream->exchange.response;

    if (!stream->response_open || instance == NULL ||
        instance->use->module->descriptor.filter->on_response_data == NULL) {
        return WEIR_INVALID;
    }
    if (head->status < 200 || head->status == 204 || head->status == 304 ||
        (head->body == BODY_NONE && stream->exchange.request.method != METHOD_HEAD)) {
        return WEIR_DECLINED;
    }
    if (stream->chain == NULL && (stream->chain = chain_new(stream)) == NULL) {
        return WEIR_NO_MEMORY;
    }
    struct chain *chain = stream->chain;
    bool twice = chain->count > 0 && chain->stages[chain->count - 1].instance == instance;
    if (twice || chain->count == CHAIN_STAGES) {
        return WEIR_INVALID;
    }
    chain->stages[chain->count++] = (struct stage){
        .handle = {stream->request_handle.host},
        .chain = chain,
        .instance = instance,
        .ops = instance->use->module->descriptor.filter,
        .state = state,
    };
    return WEIR_OK;
}

static size_t transform_write(struct weir_transform *transform, const void *data, size_t len)
{
    struct stage *stage = (struct stage *)transform;
    struct chain *chain = stage->chain;

    chain->written += len;
    stage_feed(chain, (unsigned)(stage - chain->stages) + 1, data, len, WEIR_FLOW_MORE);
    return chain->stopped ? 0 : waiting_behind(chain, stage);
}

static int64_t response_content_length(const struct weir_response *resp)
{
    const struct http_response_head *head = &stream_of_response(resp)->exchange.response;
    bool known = head->has_content_length || head->body == BODY_LENGTH;
    return known && head->content_length <= INT64_MAX ? (int64_t)head->content_length : -1;
}

void sdk_transform_fill(struct weir_host *host)
{
    host->response_transform = response_transform;
    host->transform_write = transform_write;
    host->response_content_length = response_content_length;
}
