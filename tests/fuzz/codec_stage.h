/* SPDX-License-Identifier: MIT */
/*
 * A stage for the codecs of both sides, for fuzzing: a socket whose other end is the input's, the
 * codec, and streams that check the order of what they are told and write it down. One stage at a
 * time.
 */
#ifndef WEIR_TESTS_FUZZ_CODEC_STAGE_H
#define WEIR_TESTS_FUZZ_CODEC_STAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/codec.h"

/* What is left of an input. */
struct input {
    const uint8_t *at, *end;
};

/* 0 behind the end. */
uint8_t input_byte(struct input *input);
/* The next `len` bytes, or what is left. */
struct weir_str input_bytes(struct input *input, size_t len);

struct text {
    char *at; /* ended by NUL */
    size_t len, size;
};

void text_add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_add_bytes(struct text *text, const void *data, size_t len);
void text_free(struct text *text);

/* A frame of HTTP/2. */
void text_add_frame(struct text *text, uint8_t type, uint8_t flags, uint32_t stream,
                    const void *payload, size_t len);

/* What a request is for everyone behind its codec. */
void text_add_request(struct text *text, const struct http_request_head *head);

/* Whether the message of the first exchange has come to its end; of the last stage. */
bool stage_first_whole(void);

/* ---- towards clients ---- */

/* How a stream behaves: bits of what it does at a request's head, else it is quiet. */
enum {
    STAGE_ANSWERS = 1,       /* a short answer, at the request's end */
    STAGE_ANSWERS_EARLY = 2, /* at its head */
    STAGE_STREAMS = 4,       /* with pieces and trailers instead */
    STAGE_PAUSES = 8,        /* the body until stage_act */
    STAGE_RESETS = 16,       /* the answer in its middle */
    STAGE_INTERIM = 32,      /* 103 before it */
    STAGE_LARGE = 64,        /* more than windows take */
};

void stage_down_begin(unsigned behaviour);
/* What comes is HTTP/2: each frame is checked, and field blocks are decoded. */
void stage_frames(bool with_preface);
/* Bytes from the client, and turns until they have been seen. */
void stage_say(const void *data, size_t len);
/* What a stream does by itself: chosen by the byte. */
void stage_down_act(uint8_t choice);
/* The client has ended its side. */
void stage_hang_up(void);
/* Ends all and checks that nothing is left. What the first `most` exchanges were, in order. */
struct text stage_down_end(unsigned most);

/* ---- towards servers ---- */

/* h2: by prior knowledge. */
void stage_up_begin(bool h2);
/* Sends a request; its number, or -1: the connection has no room, or is gone. */
int stage_up_ask(const char *method, bool body, bool websocket);
void stage_up_act(uint8_t choice);
struct text stage_up_end(unsigned most);

#endif
