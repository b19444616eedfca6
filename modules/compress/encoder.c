/* SPDX-License-Identifier: MIT */
/* Encoders: gzip by zlib, brotli by libbrotlienc. See encoder.h. */
#include "encoder.h"

#include <brotli/encode.h>
#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

/* zlib's output is written in pieces of this size. */
#define GZIP_OUTPUT 16384

/* The largest window of brotli, twice zlib's: larger ones cost each response many megabytes at
 * the higher levels, and web pages nothing to speak of. */
#define BROTLI_WINDOW 16

/* Memory that an encoder is expected to take. */
#define GZIP_EXPECTED   (272u * 1024)
#define BROTLI_EXPECTED (1700u * 1024)

struct encoder {
    enum encoding encoding;
    struct memory *memory;
    size_t written; /* by encoder_feed */
    BrotliEncoderState *brotli;
    z_stream gzip;
    bool gzip_begun;
};

/* Pieces of at least this size are kept for reuse, up to a total of KEPT_MAX. */
#define KEPT_PIECE 8192u
#define KEPT_MAX   (4u * 1024 * 1024)

/* Header of each allocation. */
struct piece {
    size_t size;
    struct piece *next; /* while it is kept */
} __attribute__((aligned(16)));

struct weir_str encoding_name(enum encoding encoding)
{
    static const struct weir_str names[] = {WEIR_STR_INIT("gzip"), WEIR_STR_INIT("br"),
                                            WEIR_STR_INIT("identity")};
    return names[encoding];
}

/* ---- memory ---- */

/* A kept piece of just that size; NULL: there is none. Libraries ask for the same sizes each
 * time. */
static struct piece *take_kept(struct memory *memory, size_t len)
{
    for (struct piece **link = &memory->kept; *link != NULL; link = &(*link)->next) {
        struct piece *piece = *link;
        if (piece->size == len) {
            *link = piece->next;
            memory->kept_size -= len;
            return piece;
        }
    }
    return NULL;
}

static void *counted_alloc(void *opaque, size_t len)
{
    struct memory *memory = ((struct encoder *)opaque)->memory;
    struct piece *piece = len >= KEPT_PIECE ? take_kept(memory, len) : NULL;

    if (piece == NULL && len <= SIZE_MAX - sizeof(*piece)) {
        piece = malloc(sizeof(*piece) + len);
    }
    if (piece == NULL) {
        return NULL;
    }
    piece->size = len;
    atomic_fetch_add_explicit(&memory->budget->used, len, memory_order_relaxed);
    return piece + 1;
}

static void counted_free(void *opaque, void *bytes)
{
    struct memory *memory = ((struct encoder *)opaque)->memory;

    if (bytes == NULL) {
        return;
    }
    struct piece *piece = (struct piece *)bytes - 1;
    atomic_fetch_sub_explicit(&memory->budget->used, piece->size, memory_order_relaxed);
    if (piece->size >= KEPT_PIECE && piece->size <= KEPT_MAX - memory->kept_size) {
        piece->next = memory->kept;
        memory->kept = piece;
        memory->kept_size += piece->size;
    } else {
        free(piece);
    }
}

void memory_clear(struct memory *memory)
{
    while (memory->kept != NULL) {
        struct piece *piece = memory->kept;
        memory->kept = piece->next;
        free(piece);
    }
    memory->kept_size = 0;
}

static voidpf gzip_alloc(voidpf opaque, uInt items, uInt size)
{
    return size == 0 || items <= SIZE_MAX / size ? counted_alloc(opaque, (size_t)items * size)
                                                 : NULL;
}

static void gzip_free(voidpf opaque, voidpf memory)
{
    counted_free(opaque, memory);
}

/* ---- making ---- */

/* Bits of a window that holds the whole body, where its length is known; within the library's
 * limits. */
static int window_bits(int64_t length, int least, int most)
{
    int bits = most;
    while (length >= 0 && bits > least && length <= INT64_C(1) << (bits - 1)) {
        bits--;
    }
    return bits;
}

static bool gzip_begin(struct encoder *encoder, int level, int64_t length)
{
    int bits = window_bits(length, 9, MAX_WBITS);

    encoder->gzip.zalloc = gzip_alloc;
    encoder->gzip.zfree = gzip_free;
    encoder->gzip.opaque = encoder;
    encoder->gzip_begun = deflateInit2(&encoder->gzip, level, Z_DEFLATED, bits + 16,
                                       bits - 7 < MAX_MEM_LEVEL ? bits - 7 : MAX_MEM_LEVEL,
                                       Z_DEFAULT_STRATEGY) == Z_OK;
    return encoder->gzip_begun;
}

static bool brotli_begin(struct encoder *encoder, int level, int64_t length)
{
    int bits = window_bits(length, BROTLI_MIN_WINDOW_BITS, BROTLI_WINDOW);

    encoder->brotli = BrotliEncoderCreateInstance(counted_alloc, counted_free, encoder);
    if (encoder->brotli == NULL) {
        return false;
    }
    if (length >= 0 && length <= UINT32_MAX) {
        BrotliEncoderSetParameter(encoder->brotli, BROTLI_PARAM_SIZE_HINT, (uint32_t)length);
    }
    return BrotliEncoderSetParameter(encoder->brotli, BROTLI_PARAM_QUALITY, (uint32_t)level) &&
           BrotliEncoderSetParameter(encoder->brotli, BROTLI_PARAM_LGWIN, (uint32_t)bits);
}

struct encoder *encoder_new(enum encoding encoding, int level, int64_t length,
                            struct memory *memory)
{
    const struct budget *budget = memory->budget;
    size_t used = atomic_load_explicit(&budget->used, memory_order_relaxed);
    size_t expected = encoding == ENCODING_GZIP ? GZIP_EXPECTED : BROTLI_EXPECTED;

    if (used > budget->limit || budget->limit - used < expected) {
        return NULL;
    }
    struct encoder *encoder = calloc(1, sizeof(*encoder));
    if (encoder == NULL) {
        return NULL;
    }
    encoder->encoding = encoding;
    encoder->memory = memory;
    bool begun = encoding == ENCODING_GZIP ? gzip_begin(encoder, level, length)
                                           : brotli_begin(encoder, level, length);
    if (!begun) {
        encoder_free(&encoder);
    }
    return encoder;
}

void encoder_free(struct encoder **encoder_ptr)
{
    struct encoder *encoder = *encoder_ptr;

    *encoder_ptr = NULL;
    if (encoder == NULL) {
        return;
    }
    if (encoder->gzip_begun) {
        deflateEnd(&encoder->gzip);
    }
    if (encoder->brotli != NULL) {
        BrotliEncoderDestroyInstance(encoder->brotli);
    }
    free(encoder);
}

/* ---- encoding ---- */

static void write_out(struct encoder *encoder, struct weir_transform *transform, const void *data,
                      size_t len)
{
    weir_transform_write(transform, data, len);
    encoder->written += len;
}

/* At most UINT_MAX bytes. */
static bool gzip_feed(struct encoder *encoder, struct weir_transform *transform, const void *data,
                      size_t len, int how)
{
    unsigned char output[GZIP_OUTPUT];
    z_stream *gzip = &encoder->gzip;

    gzip->next_in = (Bytef *)(uintptr_t)data;
    gzip->avail_in = (uInt)len;
    do {
        gzip->next_out = output;
        gzip->avail_out = sizeof(output);
        int result = deflate(gzip, how);
        if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
            return false;
        }
        write_out(encoder, transform, output, sizeof(output) - gzip->avail_out);
    } while (gzip->avail_out == 0); /* there may be more */
    return gzip->avail_in == 0;
}

static bool gzip_feed_all(struct encoder *encoder, struct weir_transform *transform,
                          const char *data, size_t len, enum weir_flow flow)
{
    static const int flows[] = {Z_NO_FLUSH, Z_SYNC_FLUSH, Z_FINISH};

    for (; len > UINT_MAX; data += UINT_MAX, len -= UINT_MAX) {
        if (!gzip_feed(encoder, transform, data, UINT_MAX, Z_NO_FLUSH)) {
            return false;
        }
    }
    return gzip_feed(encoder, transform, data, len, flows[flow]);
}

static bool brotli_feed(struct encoder *encoder, struct weir_transform *transform, const void *data,
                        size_t len, enum weir_flow flow)
{
    static const BrotliEncoderOperation flows[] = {BROTLI_OPERATION_PROCESS, BROTLI_OPERATION_FLUSH,
                                                   BROTLI_OPERATION_FINISH};
    const uint8_t *input = data;

    do {
        size_t no_room = 0;
        if (!BrotliEncoderCompressStream(encoder->brotli, flows[flow], &len, &input, &no_room, NULL,
                                         NULL)) {
            return false;
        }
        size_t made = 0;
        const uint8_t *output = BrotliEncoderTakeOutput(encoder->brotli, &made);
        write_out(encoder, transform, output, made);
    } while (len > 0 || BrotliEncoderHasMoreOutput(encoder->brotli));
    return flow != WEIR_FLOW_END || BrotliEncoderIsFinished(encoder->brotli);
}

bool encoder_feed(struct encoder *encoder, struct weir_transform *transform, const void *data,
                  size_t len, enum weir_flow flow, size_t *written)
{
    bool good = true;

    encoder->written = 0;
    if (len > 0 || flow != WEIR_FLOW_MORE) {
        good = encoder->encoding == ENCODING_GZIP
                   ? gzip_feed_all(encoder, transform, data, len, flow)
                   : brotli_feed(encoder, transform, data, len, flow);
    }
    *written = encoder->written;
    return good;
}
