/* SPDX-License-Identifier: MIT */
/*
 * Streams that outlive their plan's time on the loop keep the modules that they may still call, and
 * no others: a tunnel or a stream of events may run for days, and old copies of modules that it has
 * nothing to do with are to be unloaded.
 */
#include "proxy/plan/lifetime.h"
#include "proxy/stream/stream.h"

typedef void (*module_fn)(struct lifetime *life, size_t module, unsigned loop);

static void each_of(const struct stream *stream, const struct use_list *uses, module_fn fn)
{
    for (size_t i = 0; uses != NULL && i < uses->count; i++) {
        fn(stream->plan->life, uses->items[i]->module_number, stream_loop(stream)->index);
    }
}

/* What answers it is known by now. Its route's strings are the router's. */
static void each_own(const struct stream *stream, module_fn fn)
{
    const struct pool_plan *pool = stream->pool;

    each_of(stream, &stream->plan->loggers, fn);
    each_of(stream, &stream->listener->filters, fn);
    if (stream->handler != NULL) {
        fn(stream->plan->life, stream->handler->module_number, stream_loop(stream)->index);
        return;
    }
    each_of(stream, &stream->plan->routers, fn);
    each_of(stream, stream->route_filters, fn);
    each_of(stream, &pool->filters, fn);
    if (pool->sticky != NULL) {
        fn(stream->plan->life, pool->sticky->module_number, stream_loop(stream)->index);
    }
}

static void each_kept(const struct stream *stream, module_fn fn)
{
    if (stream->keeps == STREAM_KEEPS_ITS_OWN) {
        each_own(stream, fn);
    } else {
        each_of(stream, &stream->plan->modules, fn);
    }
}

void streams_keep_modules(struct stream_home *home, const struct plan *plan)
{
    list_each(link, &home->running)
    {
        struct stream *stream = container_of(link, struct stream, link);
        if (stream->plan == plan) {
            bool known = stream->pool != NULL || stream->handler != NULL;
            stream->keeps = known ? STREAM_KEEPS_ITS_OWN : STREAM_KEEPS_ALL;
            each_kept(stream, lifetime_keep_module);
        }
    }
}

void stream_unkeep_modules(struct stream *stream)
{
    each_kept(stream, lifetime_unkeep_module);
    stream->keeps = STREAM_KEEPS_NOTHING;
}
