/* SPDX-License-Identifier: MIT */
/*
 * Compares our HTTP/1 parser with libhttp-parser on generated and damaged messages. Where the two
 * disagree one of the rows of differential_rows.c has to say why, and its condition is tried on the
 * message itself; a disagreement without a row is a failure.
 *
 * differential [--seconds N] [--count N] [--seed N] [--failures N] [SEED-FILE...]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "fuzz/differential.h"
#include "fuzz/differential_input.h"

static const struct http_limits limits = {.head = 16384, .fields = 60, .target = 8192};

/* ---- our verdict ---- */

static struct verdict_slice slice_of(struct weir_str text)
{
    return (struct verdict_slice){text.ptr, text.len};
}

static bool add_body(struct verdict *verdict, const char *data, size_t len)
{
    if (len > VERDICT_BODY_LIMIT - verdict->body_len) {
        return false;
    }
    memcpy(verdict->body + verdict->body_len, data, len);
    verdict->body_len += len;
    return true;
}

static void read_chunked(const char *data, size_t len, size_t at, struct verdict *verdict)
{
    struct h1_chunked state = {0};
    struct http_error error = {0};
    for (;;) {
        size_t used = 0, out_len = 0;
        const char *out = NULL;
        struct http_field field;
        enum h1_chunk_event event = h1_chunk_next(&state, data + at, len - at, &limits, &used, &out,
                                                  &out_len, &field, &error);
        at += used;
        if (event == H1_CHUNK_DATA && !add_body(verdict, out, out_len)) {
            abort();
        }
        if (event == H1_CHUNK_DATA || event == H1_CHUNK_TRAILER) {
            continue;
        }
        verdict->used = at;
        verdict->outcome = event == H1_CHUNK_END    ? TAKEN
                           : event == H1_CHUNK_MORE ? INCOMPLETE
                                                    : REFUSED;
        verdict->why = error.reason;
        return;
    }
}

static void read_body(const struct comparison *it, enum http_body body, uint64_t length, size_t at,
                      struct verdict *verdict)
{
    size_t have = it->len - at;
    verdict->outcome = TAKEN;
    verdict->used = at;
    switch (body) {
    case BODY_NONE:
    case BODY_TUNNEL: break;
    case BODY_CHUNKED: read_chunked(it->data, it->len, at, verdict); break;
    case BODY_CLOSE: length = have; /* fallthrough */
    case BODY_LENGTH:
        if (length > have) {
            verdict->outcome = INCOMPLETE;
        } else {
            have = (size_t)length;
        }
        verdict->used = at + have;
        if (!add_body(verdict, it->data + at, have)) {
            abort();
        }
        break;
    }
}

static void take_fields(const struct http_fields *fields, struct verdict *verdict)
{
    verdict->field_count = fields->count;
    for (uint32_t i = 0; i < fields->count; i++) {
        verdict->fields[i].name = slice_of(fields->items[i].name);
        verdict->fields[i].value = slice_of(fields->items[i].value);
    }
}

static void read_ours(struct comparison *it, struct arena *arena)
{
    struct verdict *verdict = &it->ours;
    struct h1_scan scan = {0};
    struct http_error error = {0};
    size_t used = 0;
    memset(verdict, 0, sizeof(*verdict));
    enum h1_status status = it->response
                                ? h1_parse_response(it->data, it->len, &limits, &scan, arena,
                                                    it->head_answer ? METHOD_HEAD : METHOD_GET,
                                                    &it->answer, &used, &error)
                                : h1_parse_request(it->data, it->len, &limits, &scan, arena,
                                                   &it->request, &used, &error);
    verdict->outcome = status == H1_INCOMPLETE ? INCOMPLETE : REFUSED;
    verdict->why = error.reason;
    if (status != H1_DONE) {
        return;
    }
    verdict->head = true;
    if (it->response) {
        const struct http_response_head *head = &it->answer;
        verdict->status = head->status;
        verdict->minor = head->version - HTTP_1_0;
        verdict->keep_alive = head->keep_alive;
        verdict->chunked = head->body == BODY_CHUNKED;
        take_fields(&head->fields, verdict);
        read_body(it, head->body, head->content_length, used, verdict);
    } else {
        const struct http_request_head *head = &it->request;
        verdict->method = slice_of(head->method_name);
        verdict->target = slice_of(head->target);
        verdict->minor = head->version - HTTP_1_0;
        verdict->keep_alive = head->keep_alive;
        verdict->chunked = head->body == BODY_CHUNKED;
        take_fields(&head->fields, verdict);
        read_body(it, head->body, head->content_length, used, verdict);
    }
}

/* ---- where both took the message ---- */

static bool same(struct verdict_slice a, struct verdict_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static const char *difference(const struct verdict *a, const struct verdict *b)
{
    if (!same(a->method, b->method) || !same(a->target, b->target) || a->status != b->status) {
        return "first line";
    }
    if (a->field_count != b->field_count) {
        return "fields";
    }
    for (size_t i = 0; i < a->field_count; i++) {
        if (!same(a->fields[i].name, b->fields[i].name) ||
            !same(a->fields[i].value, b->fields[i].value)) {
            return "fields";
        }
    }
    if (a->body_len != b->body_len || memcmp(a->body, b->body, a->body_len) != 0) {
        return "body";
    }
    if (a->used != b->used) {
        return "length";
    }
    return a->keep_alive != b->keep_alive ? "keep-alive" : NULL;
}

/* ---- running ---- */

static void print_message(const struct comparison *it)
{
    fputs("  ", stderr);
    for (size_t i = 0; i < it->len; i++) {
        unsigned char c = (unsigned char)it->data[i];
        if (c == '\r') {
            fputs("\\r", stderr);
        } else if (c == '\n') {
            fputs("\\n\n  ", stderr);
        } else if (c < 0x20 || c >= 0x7f || c == '\\') {
            fprintf(stderr, "\\x%02x", c);
        } else {
            fputc(c, stderr);
        }
    }
    fputc('\n', stderr);
}

static const char *outcome_text(const struct verdict *verdict)
{
    static const char *const names[] = {"refused", "incomplete", "taken"};
    return verdict->outcome == REFUSED ? verdict->why : names[verdict->outcome];
}

/* false: a disagreement that no row explains. */
static bool compare(struct comparison *it)
{
    struct arena arena;
    arena_init(&arena, NULL, 0);
    char *copy = malloc(it->len > 0 ? it->len : 1);
    if (copy == NULL) {
        abort();
    }
    memcpy(copy, it->data, it->len);
    it->data = copy;
    read_ours(it, &arena);
    oracle_read(it->data, it->len, it->response, it->head_answer, &it->oracle);
    it->difference = NULL;
    bool agree = it->ours.outcome == it->oracle.outcome;
    if (agree && it->ours.outcome == TAKEN) {
        it->difference = difference(&it->ours, &it->oracle);
        agree = it->difference == NULL;
    }
    bool fine = agree || differential_explain(it);
    if (!fine) {
        fprintf(stderr, "unexplained: %s%s: ours %s, oracle %s%s%s\n",
                it->response ? "response" : "request", it->head_answer ? " to HEAD" : "",
                outcome_text(&it->ours), outcome_text(&it->oracle),
                it->difference != NULL ? ", differ in " : "",
                it->difference != NULL ? it->difference : "");
        print_message(it);
    }
    arena_reset(&arena);
    free(copy);
    return fine;
}

struct seeds {
    char (*data)[INPUT_LIMIT];
    size_t *len;
    bool *response;
    size_t count;
};

/* Files of seeds/response begin with a byte for their fuzz target. */
static bool read_seed(const char *path, struct seeds *seeds)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return false;
    }
    size_t at = seeds->count++;
    seeds->response[at] = strstr(path, "/response/") != NULL;
    if (seeds->response[at]) {
        fgetc(file);
    }
    seeds->len[at] = fread(seeds->data[at], 1, INPUT_LIMIT, file);
    fclose(file);
    return true;
}

static size_t next_input(struct source *source, const struct seeds *seeds, char *out,
                         struct comparison *it)
{
    size_t len;
    if (seeds->count > 0 && source_below(source, 4) == 0) {
        size_t seed = source_below(source, (uint32_t)seeds->count);
        it->response = seeds->response[seed];
        len = seeds->len[seed];
        memcpy(out, seeds->data[seed], len);
    } else {
        it->response = source_below(source, 2) == 0;
        len = input_generate(source, it->response, out);
    }
    it->head_answer = it->response && source_below(source, 8) == 0;
    return source_below(source, 2) == 0 ? len : input_mutate(source, out, len);
}

int main(int argc, char **argv)
{
    static struct comparison it;
    static char input[INPUT_LIMIT + 64];
    uint64_t seconds = 0, count = 100000, done = 0;
    struct source source = {.state = 1};
    struct seeds seeds = {.data = calloc((size_t)argc, INPUT_LIMIT),
                          .len = calloc((size_t)argc, sizeof(size_t)),
                          .response = calloc((size_t)argc, sizeof(bool))};
    uint64_t failed = 0, failures = 20;
    if (seeds.data == NULL || seeds.len == NULL || seeds.response == NULL) {
        return 2;
    }
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc) {
            seconds = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--count") == 0 && i + 1 < argc) {
            count = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
            source.state = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--failures") == 0 && i + 1 < argc) {
            failures = strtoull(argv[++i], NULL, 10);
        } else if (!read_seed(argv[i], &seeds)) {
            return 2;
        }
    }
    time_t end = time(NULL) + (time_t)seconds;
    while (failed < failures && (done < count || (seconds > 0 && time(NULL) < end))) {
        it.data = input;
        it.len = next_input(&source, &seeds, input, &it);
        failed += compare(&it) ? 0 : 1;
        done++;
    }
    differential_print();
    printf("compared: %llu\n", (unsigned long long)done);
    free(seeds.data);
    free(seeds.len);
    free(seeds.response);
    return failed == 0 ? 0 : 1;
}
