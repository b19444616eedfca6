/* SPDX-License-Identifier: MIT */
/*
 * Shared by the files of the stage for codecs: its state and its streams (codec_stage.c), its
 * clients (codec_stage_down.c) and its servers (codec_stage_up.c).
 */
#ifndef WEIR_TESTS_FUZZ_CODEC_STAGE_PARTS_H
#define WEIR_TESTS_FUZZ_CODEC_STAGE_PARTS_H

#include "fuzz/codec_stage.h"

#include "base/base.h"
#include "fuzz/property.h"
#include "net/conn.h"

#define LARGE_PIECE 20000u
#define EXCHANGES   64u
#define TURNS       4u

/* What a stream may be told next. */
enum phase { OPEN, BODY, TRAILERS, WHOLE, OVER };

struct told {
    struct exchange exchange;
    struct freed freed;
    unsigned number;
    enum phase phase; /* of what comes */
    bool answered;
    bool ended; /* its request */
    bool gone;  /* only on_close follows */
    struct text text;
};

struct stage {
    struct loop *loop;
    struct batch batch;
    unsigned opened, running;
    struct told *told[EXCHANGES]; /* by number, until they are over */
    bool first_whole;             /* the first exchange's message has come to its end */
    bool alive;                   /* the codec has its connection */
};
extern struct stage stage;
extern char stage_large[LARGE_PIECE];

static inline struct told *told_of(struct exchange *exchange)
{
    return container_of(exchange, struct told, exchange);
}

void stage_turn(unsigned turns);
/* Takes what has come for the other end. */
void stage_drain(void);
void stage_forget(void);
/* The codec's end of a new connection. */
struct conn *stage_conn(void);
struct told *stage_told_new(void);
void stage_told_end(struct told *of);
/* The texts of the first `most` streams; all are over. */
struct text stage_texts(unsigned most);
void text_add_fields(struct text *text, const struct http_fields *fields);

#endif
