/* SPDX-License-Identifier: MIT */
/*
 * Weir's API: calls that give JSON or tell what went wrong, and the exit code that goes with it.
 */
#ifndef WEIRCTL_API_H
#define WEIRCTL_API_H

#include <stdbool.h>

#include <cjson/cJSON.h>

#include "http.h"
#include "util.h"

/** Exit codes, as weirctl(1) documents them. */
enum outcome {
    DONE = 0,
    REFUSED = 1,     /**< Weir refused it, or it failed */
    MISUSED = 2,     /**< the command line is wrong; nothing was sent */
    UNREACHABLE = 3, /**< nobody answers, or what answers is not Weir */
    FORBIDDEN = 4,   /**< Weir wants a token, or one with a higher role */
};

/** How Weir is reached, and how it is to be told. */
struct api {
    struct endpoint endpoint;
    char *token;         /**< NULL: none is sent */
    const char *confirm; /**< `60s`: writes take themselves back; NULL: they stay */
    bool json;           /**< standard output is for programs */
};

/** A whole answer. answer_clear frees it. */
struct answer {
    struct http_answer http;
    cJSON *json; /**< NULL: no body, or one that is no JSON */
};

/** Adds a path to `out`: each `{}` of `pattern` stands for a string, which is encoded. */
void api_path(struct text *out, const char *pattern, ...);
void api_vpath(struct text *out, const char *pattern, va_list args);

/** Asks, with `body` as JSON where it is not NULL. Anything but a 2xx is told on standard error
 * (and, for programs, its problem document on standard output). `path` is below /api/v1. */
enum outcome api_call(const struct api *api, const char *method, const char *path,
                      const cJSON *body, struct answer *answer);

/** The same, for one that only looks: nothing is told, and nothing is printed. */
enum outcome api_peek(const struct api *api, const char *path, struct answer *answer);

void answer_clear(struct answer *answer);

/** Prints an answer for a program: its JSON as it came, `{}` where there was none. */
void answer_print(const struct answer *answer);

/** Follows a GET whose body has no end: `take` (see struct http_request) gets it piece by piece.
 * `fields` as there. DONE: the body ended or was cut, and `error` says how; else it has been
 * told. */
enum outcome api_follow(const struct api *api, const char *path, const char *fields,
                        bool (*take)(void *arg, const char *bytes, size_t len), void *arg,
                        char *error, size_t size);

/** Says that Weir cannot be reached, and what could help. */
enum outcome api_unreachable(const struct api *api, const char *why);

/** Complains of each text of an array, behind `indent`. */
void complain_all(const cJSON *texts, const char *indent);

/* ---- reading JSON: `path` is member names with dots between them ---- */

/** A string; `?`: it is none. */
const char *json_string(const cJSON *json);
const cJSON *json_at(const cJSON *json, const char *path);
/** The string there; `fallback`: there is none. */
const char *json_text(const cJSON *json, const char *path, const char *fallback);
/** The number there; NAN: there is none. */
double json_number(const cJSON *json, const char *path);
bool json_true(const cJSON *json, const char *path);

#endif
