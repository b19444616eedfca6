/* SPDX-License-Identifier: MIT */
/* Properties of the chunked coding and of field sections. */
#include <stdlib.h>

#include "base/base.h"
#include "fuzz/property.h"
#include "http/h1_fields.h"
#include "http/h1_write.h"

static const struct http_limits limits = {.head = 1024, .fields = 10, .target = 512};

/* What came out of a decoder: body, then each trailer as `name: value` and a newline. */
struct decoded {
    char *body, *trailers;
    size_t body_len, trailers_len;
    size_t used;
    enum h1_chunk_event verdict; /* MORE, END or ERROR */
};

static void append(char **text, size_t *len, const char *from, size_t from_len)
{
    *text = realloc(*text, *len + from_len + 1);
    HOLDS(*text != NULL);
    if (from_len > 0) {
        memcpy(*text + *len, from, from_len);
    }
    *len += from_len;
}

static void add_trailer(struct decoded *out, const struct http_field *field)
{
    HOLDS(field_name_valid(field->name) && field_value_valid(field->value));
    HOLDS(field->id == FIELD_OTHER);
    append(&out->trailers, &out->trailers_len, field->name.ptr, field->name.len);
    append(&out->trailers, &out->trailers_len, ": ", 2);
    append(&out->trailers, &out->trailers_len, field->value.ptr, field->value.len);
    append(&out->trailers, &out->trailers_len, "\n", 1);
}

/* Decodes data in pieces of `step` bytes; bytes that were not used come again with the next
 * piece. */
static struct decoded decode(const char *data, size_t len, size_t step)
{
    struct decoded out = {.verdict = H1_CHUNK_MORE};
    struct h1_chunked state = {0};
    struct http_error error = {0};
    size_t have = 0;
    while (have < len && out.verdict == H1_CHUNK_MORE) {
        have = len - have > step ? have + step : len;
        char *piece = property_copy(data + out.used, have - out.used);
        size_t piece_len = have - out.used, at = 0;
        for (bool more = true; more;) {
            size_t used = 0, slice_len = 0;
            const char *slice = NULL;
            struct http_field field;
            enum h1_chunk_event event = h1_chunk_next(&state, piece + at, piece_len - at, &limits,
                                                      &used, &slice, &slice_len, &field, &error);
            HOLDS(used <= piece_len - at);
            if (event == H1_CHUNK_DATA) {
                HOLDS(slice_len > 0 && slice >= piece + at);
                HOLDS(slice + slice_len == piece + at + used);
                append(&out.body, &out.body_len, slice, slice_len);
            } else if (event == H1_CHUNK_TRAILER) {
                HOLDS(used > 0);
                add_trailer(&out, &field);
            } else {
                more = false;
                out.verdict = event;
            }
            at += used;
        }
        out.used += at;
        free(piece);
    }
    if (out.verdict == H1_CHUNK_ERROR) {
        HOLDS(error.status >= 400 && error.reason != NULL);
    }
    return out;
}

static void decoded_free(struct decoded *out)
{
    free(out->body);
    free(out->trailers);
}

static void decoded_alike(const struct decoded *a, const struct decoded *b)
{
    HOLDS(a->verdict == b->verdict);
    HOLDS(a->body_len == b->body_len && a->trailers_len == b->trailers_len);
    HOLDS(a->body_len == 0 || memcmp(a->body, b->body, a->body_len) == 0);
    HOLDS(a->trailers_len == 0 || memcmp(a->trailers, b->trailers, a->trailers_len) == 0);
    if (a->verdict == H1_CHUNK_END) {
        HOLDS(a->used == b->used);
    }
}

/* The body in chunks of `size` bytes, decoded again. */
static void encode_again(const struct decoded *out, size_t size)
{
    char *text = NULL;
    size_t len = 0;
    char line[H1_CHUNK_LINE_SIZE];
    for (size_t at = 0; at < out->body_len; at += size) {
        size_t chunk = out->body_len - at < size ? out->body_len - at : size;
        append(&text, &len, line, h1_write_chunk_line(line, chunk));
        append(&text, &len, out->body + at, chunk);
        append(&text, &len, "\r\n", 2);
    }
    append(&text, &len, "0\r\n\r\n", 5);
    struct decoded again = decode(text, len, len);
    HOLDS(again.verdict == H1_CHUNK_END && again.used == len && again.trailers_len == 0);
    HOLDS(again.body_len == out->body_len);
    HOLDS(out->body_len == 0 || memcmp(again.body, out->body, out->body_len) == 0);
    decoded_free(&again);
    free(text);
}

void property_chunk(const uint8_t *data, size_t len)
{
    static const size_t steps[] = {1, 2, 7};
    struct decoded whole = decode((const char *)data, len, len);
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        struct decoded pieces = decode((const char *)data, len, steps[i]);
        decoded_alike(&whole, &pieces);
        decoded_free(&pieces);
    }
    encode_again(&whole, 5);
    decoded_free(&whole);
}

/* ---- field sections ---- */

static bool never_named(enum field_id id)
{
    return id == FIELD_HOST || id == FIELD_CONTENT_LENGTH || id == FIELD_TRANSFER_ENCODING ||
           id == FIELD_CONNECTION;
}

static bool hop_by_hop(enum field_id id)
{
    return id == FIELD_CONNECTION || id == FIELD_KEEP_ALIVE || id == FIELD_PROXY_CONNECTION ||
           id == FIELD_TE || id == FIELD_TRANSFER_ENCODING || id == FIELD_UPGRADE ||
           id == FIELD_HTTP2_SETTINGS || id == FIELD_CONTENT_LENGTH;
}

/* Whether a Connection field names `name`: the list is walked by hand here, byte by byte. */
static bool named(const struct http_fields *fields, struct weir_str name)
{
    for (uint32_t i = 0; i < fields->count; i++) {
        struct weir_str value = fields->items[i].value;
        if (fields->items[i].id != FIELD_CONNECTION) {
            continue;
        }
        for (size_t from = 0, to; from <= value.len; from = to + 1) {
            for (to = from; to < value.len && value.ptr[to] != ','; to++) {
                continue;
            }
            size_t first = from, last = to;
            while (first < last && (value.ptr[first] == ' ' || value.ptr[first] == '\t')) {
                first++;
            }
            while (first < last && (value.ptr[last - 1] == ' ' || value.ptr[last - 1] == '\t')) {
                last--;
            }
            if (last - first == name.len &&
                strncasecmp(value.ptr + first, name.ptr, name.len) == 0) {
                return true;
            }
        }
    }
    return false;
}

static void drop_is_exact(struct http_fields *fields)
{
    fields_drop_hop_by_hop(fields);
    for (uint32_t i = 0; i < fields->count; i++) {
        const struct http_field *field = &fields->items[i];
        bool goes =
            hop_by_hop(field->id) || (named(fields, field->name) && !never_named(field->id));
        HOLDS(field->dropped == goes);
        const struct http_field *found = fields_find_name(fields, field->name);
        HOLDS((found == NULL) == goes);
        HOLDS(found == NULL || str_equal_nocase(found->name, field->name));
    }
}

void property_fields(const uint8_t *data, size_t len)
{
    char *copy = property_copy(data, len);
    const char *pos = copy;
    struct arena arena;
    struct http_fields fields = {0};
    struct h1_framing framing;
    struct http_error error = {0};
    uint64_t repeated = 0;
    arena_init(&arena, NULL, 0);
    enum h1_status status =
        h1_parse_section(&pos, copy + len, 60, &arena, &fields, &repeated, &error);
    HOLDS(pos >= copy && pos <= copy + len);
    if (status == H1_DONE) {
        bool sound = h1_read_framing(&fields, &framing, &error);
        HOLDS(sound || error.status == 400 || error.status == 501);
        HOLDS(!sound || framing.has_coding == fields_have(&fields, FIELD_TRANSFER_ENCODING));
        HOLDS((repeated & ~fields.seen) == 0);
        drop_is_exact(&fields);
    }
    for (uint32_t i = 0; i < fields.count; i++) {
        HOLDS(fields_drop_name(&fields, fields.items[i].name) > 0 || fields.items[i].dropped);
    }
    HOLDS(fields.seen == 0);
    arena_reset(&arena);
    free(copy);
}
