/* SPDX-License-Identifier: MIT */
/*
 * Entity tags of a stream's request and response. See stream_etags.h.
 */
#include "proxy/stream/stream_etags.h"

#include "proxy/stream/stream.h"

bool stream_may_transform(const struct stream *stream)
{
    return stream->listener->filters.transforms ||
           (stream->pool != NULL && stream->pool->filters.transforms) ||
           (stream->route_filters != NULL && stream->route_filters->transforms);
}

/* NULL: no server of the pool has sent a weak tag, or there is no pool. */
static struct etags *stream_etags(const struct stream *stream)
{
    return stream->pool != NULL ? atomic_load(&stream->pool->pool->weak_etags) : NULL;
}

void stream_restore_etags(struct stream *stream)
{
    static const struct weir_str names[] = {WEIR_STR_INIT("If-None-Match"),
                                            WEIR_STR_INIT("If-Match")};
    struct exchange *exchange = &stream->exchange;
    struct http_fields *fields = &exchange->request.fields;

    if (likely(!stream_may_transform(stream))) {
        return;
    }
    for (uint32_t i = 0; i < fields->count; i++) {
        struct http_field *field = &fields->items[i];
        bool asks = field->name.len == names[0].len || field->name.len == names[1].len;
        if (asks && !field->dropped &&
            (str_equal_nocase(field->name, names[0]) || str_equal_nocase(field->name, names[1]))) {
            field->value = etags_restore(stream_etags(stream), field->value, &exchange->arena,
                                         &stream->asked_weak);
        }
    }
}

void stream_note_etag(struct stream *stream)
{
    const struct http_field *etag =
        fields_find_name(&stream->exchange.response.fields, STR("ETag"));
    struct weir_str tag;

    if (etag != NULL && etag_is_weak(etag->value, &tag)) {
        etags_note(etags_of(&stream->pool->pool->weak_etags), tag);
    }
}

/* A filter weakens the tag: the server sends strong ones. */
void stream_weaken_etag(struct stream *stream)
{
    struct exchange *exchange = &stream->exchange;
    struct http_field *etag = fields_find_name(&exchange->response.fields, STR("ETag"));

    if (etag == NULL || etag->value.len == 0 || etag->value.ptr[0] != '"') {
        return;
    }
    etags_forget(stream_etags(stream), etag->value);
    struct weir_str weak = etag_weaken(etag->value, &exchange->arena);
    if (weak.ptr != NULL) {
        etag->value = weak;
    } else {
        etag->dropped = true;
    }
}

void stream_soften_etag(struct stream *stream)
{
    struct exchange *exchange = &stream->exchange;
    struct http_field *etag = fields_find_name(&exchange->response.fields, STR("ETag"));

    for (const struct etag_list *asked = stream->asked_weak; etag != NULL && asked != NULL;
         asked = asked->next) {
        if (str_equal(asked->tag, etag->value)) {
            stream_weaken_etag(stream);
            return;
        }
    }
}
