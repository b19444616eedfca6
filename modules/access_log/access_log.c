/* SPDX-License-Identifier: MIT */
/*
 * Writes a line for each finished request, in Apache's combined format or as JSON.
 *
 * The host owns the file and writes it from a thread of its own, reopens it on SIGUSR1, and drops
 * lines rather than wait for a disk. A line is built in the instance's own buffer: no allocation.
 */
#include <weir/weir.h>

#include <stdlib.h>
#include <time.h>

/* ---- options ---- */

enum log_format { FORMAT_COMBINED, FORMAT_JSON };

static const char *const format_names[] = {"combined", "json", NULL};

struct conf {
    struct weir_str path;
    int32_t format;
};

static const struct weir_option rows[] = {
    WEIR_OPTION(struct conf, path, STRING, "-", WEIR_CONTEXT_MODULE,
                WEIR_OPTION_PATH | WEIR_OPTION_RELOADABLE,
                "The file to append to; \"-\" is standard output. SIGUSR1 reopens it."),
    WEIR_OPTION_ENUM(struct conf, format, format_names, "combined", WEIR_CONTEXT_MODULE,
                     WEIR_OPTION_RELOADABLE,
                     "Apache's combined format with five more fields (milliseconds, server, pool, "
                     "reason, request id), or one JSON object a line."),
};

static const struct weir_options options = WEIR_OPTIONS(struct conf, rows);

static enum weir_status conf_create(struct weir_context *ctx, struct weir_check *check,
                                    const void *conf_struct, void **prepared)
{
    const struct conf *conf = conf_struct;
    (void)prepared;
    if (conf->path.len == 0) {
        weir_check_error(ctx, check, &conf->path,
                         "path is empty: name a file, or \"-\" for standard output");
    } else {
        weir_check_file(ctx, check, &conf->path);
    }
    return WEIR_OK;
}

/* ---- instance: one a worker ---- */

/* The longest line, and the bytes that a text in it may take after escaping. Whatever a request
 * can hold, its line fits: at most 16 names beside the long texts, and 1 KiB of ours. */
#define LINE_MAX_SIZE ((size_t)16 * 1024)
#define TEXT_TARGET   4096
#define TEXT_REFERRER 2048
#define TEXT_AGENT    1024
#define TEXT_NAME     256
_Static_assert(TEXT_TARGET + TEXT_REFERRER + TEXT_AGENT + 16 * TEXT_NAME + 1024 < LINE_MAX_SIZE,
               "limits of the parts against that of the line");

/* The time as text, cached until the second changes. */
struct stamp {
    uint64_t second;
    char text[40];
};

struct access_log {
    struct weir_file *file;
    enum log_format format;
    struct stamp stamp;
    struct weir_buffer line; /* in `text` */
    char text[LINE_MAX_SIZE];
};

static enum weir_status create(struct weir_context *ctx, const void *conf_struct, void *prepared,
                               void **instance)
{
    const struct conf *conf = conf_struct;
    struct access_log *self = calloc(1, sizeof(*self));
    (void)prepared;

    if (self == NULL) {
        return WEIR_NO_MEMORY;
    }
    self->file = weir_file_open(ctx, conf->path);
    if (self->file == NULL) {
        free(self);
        return WEIR_ERROR; /* the host has logged why */
    }
    self->format = conf->format == FORMAT_JSON ? FORMAT_JSON : FORMAT_COMBINED;
    self->stamp.second = UINT64_MAX;
    *instance = self;
    return WEIR_OK;
}

static void destroy(struct weir_context *ctx, void *instance)
{
    struct access_log *self = instance;
    weir_file_close(ctx, self->file);
    free(self);
}

static struct weir_str request_header(const struct weir_request *req, const char *name)
{
    struct weir_str value = {NULL, 0};
    weir_request_header(req, name, &value);
    return value;
}

/* The request's id; without one of the listener's, the client's. */
static struct weir_str request_id_of(const struct weir_request *req)
{
    struct weir_str id = weir_request_str(req, WEIR_REQUEST_ID);
    return id.len > 0 ? id : request_header(req, "X-Request-Id");
}

/* Nanoseconds as milliseconds with three digits after the point. */
static void put_ms(struct weir_buffer *line, uint64_t ns)
{
    uint64_t us = ns / 1000;
    char rest[4] = {'.', (char)('0' + us % 1000 / 100), (char)('0' + us % 100 / 10),
                    (char)('0' + us % 10)};
    weir_buffer_number(line, us / 1000);
    weir_buffer_add(line, rest, sizeof(rest));
}

/* ---- combined ---- */

/* 24/Nov/2026:09:30:00 +0100, in local time. Month names are not the locale's: log readers know one
 * set. */
static const char *local_stamp(struct access_log *self, uint64_t wall_ms)
{
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t second = (time_t)(wall_ms / 1000);
    char format[40] = "%d/Mon/%Y:%H:%M:%S %z";
    struct tm tm;

    if (self->stamp.second != (uint64_t)second) {
        self->stamp.second = (uint64_t)second;
        self->stamp.text[0] = '\0';
        if (localtime_r(&second, &tm) != NULL) {
            memcpy(format + 3, months[tm.tm_mon % 12], 3);
            strftime(self->stamp.text, sizeof(self->stamp.text), format, &tm);
        }
    }
    return self->stamp.text;
}

/* "text", or "-" where there is none. */
static void put_quoted(struct weir_buffer *line, struct weir_str text, size_t limit)
{
    weir_buffer_byte(line, '"');
    if (text.len > 0) {
        weir_buffer_escaped(line, text, WEIR_ESCAPE_QUOTED, limit);
    } else {
        weir_buffer_byte(line, '-');
    }
    weir_buffer_byte(line, '"');
}

/* A space, then the text or "-". */
static void put_bare(struct weir_buffer *line, struct weir_str text)
{
    weir_buffer_byte(line, ' ');
    if (text.len > 0) {
        weir_buffer_escaped(line, text, WEIR_ESCAPE_WORD, TEXT_NAME);
    } else {
        weir_buffer_byte(line, '-');
    }
}

/* "GET /x HTTP/1.1"; of a head that was cut or refused as much of it as was there, "-" for
 * nothing. */
static void put_request_line(struct weir_buffer *line, const struct weir_request *req)
{
    struct weir_str method = weir_request_method(req);
    struct weir_str protocol = weir_request_str(req, WEIR_REQUEST_PROTOCOL);

    if (method.len == 0) {
        weir_buffer_text(line, "\"-\" ");
        return;
    }
    weir_buffer_byte(line, '"');
    weir_buffer_escaped(line, method, WEIR_ESCAPE_QUOTED, TEXT_NAME);
    weir_buffer_byte(line, ' ');
    weir_buffer_escaped(line, weir_request_str(req, WEIR_REQUEST_TARGET), WEIR_ESCAPE_QUOTED,
                        TEXT_TARGET);
    if (protocol.len > 0) {
        weir_buffer_byte(line, ' ');
        weir_buffer_escaped(line, protocol, WEIR_ESCAPE_QUOTED, TEXT_NAME);
    }
    weir_buffer_text(line, "\" ");
}

static void put_combined(struct access_log *self, const struct weir_request *req,
                         const struct weir_record *record)
{
    struct weir_buffer *line = &self->line;

    weir_buffer_escaped(line, weir_request_peer(req).address, WEIR_ESCAPE_WORD, TEXT_NAME);
    weir_buffer_text(line, " - - [");
    weir_buffer_text(line, local_stamp(self, record->start_wall_ms));
    weir_buffer_text(line, "] ");
    put_request_line(line, req);
    if (record->status > 0) {
        weir_buffer_number(line, record->status);
    } else {
        weir_buffer_text(line, "000"); /* three digits, as readers expect */
    }
    weir_buffer_byte(line, ' ');
    if (record->body_bytes > 0) {
        weir_buffer_number(line, record->body_bytes);
    } else {
        weir_buffer_byte(line, '-');
    }
    weir_buffer_byte(line, ' ');
    put_quoted(line, request_header(req, "Referer"), TEXT_REFERRER);
    weir_buffer_byte(line, ' ');
    put_quoted(line, request_header(req, "User-Agent"), TEXT_AGENT);
    weir_buffer_byte(line, ' ');
    put_ms(line, record->total_ns);
    put_bare(line, weir_request_str(req, WEIR_REQUEST_SERVER));
    put_bare(line, weir_request_str(req, WEIR_REQUEST_POOL));
    put_bare(line, record->reason);
    put_bare(line, request_id_of(req));
    weir_buffer_byte(line, '\n');
}

/* ---- JSON ---- */

#define TIME_SIZE 48

/* 2026-11-24T08:30:00.123Z (RFC 3339). */
static const char *utc_stamp(struct access_log *self, uint64_t wall_ms, char out[TIME_SIZE])
{
    time_t second = (time_t)(wall_ms / 1000);
    uint32_t ms = (uint32_t)(wall_ms % 1000);
    char rest[6] = {
        '.', (char)('0' + ms / 100), (char)('0' + ms / 10 % 10), (char)('0' + ms % 10), 'Z', '\0'};
    struct tm tm;

    if (self->stamp.second != (uint64_t)second) {
        self->stamp.second = (uint64_t)second;
        self->stamp.text[0] = '\0';
        if (gmtime_r(&second, &tm) != NULL) {
            strftime(self->stamp.text, sizeof(self->stamp.text), "%Y-%m-%dT%H:%M:%S", &tm);
        }
    }
    return strcat(strcpy(out, self->stamp.text), rest);
}

static void put_json(struct weir_json *json, const char *name, struct weir_str text, size_t limit)
{
    weir_json_name(json, name);
    weir_buffer_byte(json->out, '"');
    weir_buffer_escaped(json->out, text, WEIR_ESCAPE_JSON_BYTES, limit);
    weir_buffer_byte(json->out, '"');
}

static void put_json_ms(struct weir_json *json, const char *name, uint64_t ns)
{
    weir_json_name(json, name);
    put_ms(json->out, ns);
}

static struct weir_str outcome_name(enum weir_outcome outcome)
{
    static const struct weir_str names[] = {
        WEIR_STR_INIT("success"), WEIR_STR_INIT("error"),    WEIR_STR_INIT("failed"),
        WEIR_STR_INIT("timeout"), WEIR_STR_INIT("canceled"),
    };
    static const struct weir_str other = WEIR_STR_INIT("other");
    return (size_t)outcome < sizeof(names) / sizeof(names[0]) ? names[outcome] : other;
}

static void put_object(struct access_log *self, const struct weir_request *req,
                       const struct weir_record *record)
{
    struct weir_json json = {&self->line, false};
    char time[TIME_SIZE];
    struct weir_peer peer = weir_request_peer(req);
    struct weir_str request_id = request_id_of(req);

    weir_json_open(&json, NULL, '{');
    weir_json_text(&json, "time", utc_stamp(self, record->start_wall_ms, time));
    put_json(&json, "client", peer.address, TEXT_NAME);
    weir_json_number(&json, "client_port", peer.port);
    put_json(&json, "listener", weir_request_str(req, WEIR_REQUEST_LISTENER), TEXT_NAME);
    put_json(&json, "scheme", weir_request_str(req, WEIR_REQUEST_SCHEME), TEXT_NAME);
    put_json(&json, "host", weir_request_str(req, WEIR_REQUEST_HOST), TEXT_NAME);
    put_json(&json, "method", weir_request_str(req, WEIR_REQUEST_METHOD), TEXT_NAME);
    put_json(&json, "target", weir_request_str(req, WEIR_REQUEST_TARGET), TEXT_TARGET);
    put_json(&json, "protocol", weir_request_str(req, WEIR_REQUEST_PROTOCOL), TEXT_NAME);
    put_json(&json, "tls", weir_request_str(req, WEIR_REQUEST_TLS_VERSION), TEXT_NAME);
    put_json(&json, "referer", request_header(req, "Referer"), TEXT_REFERRER);
    put_json(&json, "user_agent", request_header(req, "User-Agent"), TEXT_AGENT);
    if (request_id.len > 0) {
        put_json(&json, "request_id", request_id, TEXT_NAME);
    }
    weir_json_number(&json, "status", record->status);
    weir_json_number(&json, "bytes", record->body_bytes);
    weir_json_number(&json, "request_bytes", record->request_bytes);
    weir_json_number(&json, "response_bytes", record->response_bytes);
    put_json(&json, "route", weir_request_str(req, WEIR_REQUEST_ROUTE), TEXT_NAME);
    put_json(&json, "pool", weir_request_str(req, WEIR_REQUEST_POOL), TEXT_NAME);
    put_json(&json, "server", weir_request_str(req, WEIR_REQUEST_SERVER), TEXT_NAME);
    put_json(&json, "outcome", outcome_name(record->outcome), TEXT_NAME);
    put_json(&json, "reason", record->reason, TEXT_NAME);
    if (record->grpc_status >= 0) {
        weir_json_number(&json, "grpc_status", record->grpc_status);
    }
    if (record->detail.len > 0) {
        put_json(&json, "detail", record->detail, TEXT_NAME);
    }
    weir_json_number(&json, "retries", record->retries);
    put_json_ms(&json, "queue_ms", record->queue_ns);
    put_json_ms(&json, "connect_ms", record->connect_ns);
    put_json_ms(&json, "first_byte_ms", record->first_byte_ns);
    put_json_ms(&json, "total_ms", record->total_ns);
    weir_json_close(&json, '}');
    weir_buffer_byte(&self->line, '\n');
}

static void log_request(struct weir_context *ctx, void *instance, struct weir_request *req,
                        struct weir_response *resp, const struct weir_record *record)
{
    struct access_log *self = instance;
    (void)resp;

    self->line = (struct weir_buffer){self->text, 0, sizeof(self->text), true, false};
    if (self->format == FORMAT_JSON) {
        put_object(self, req, record);
    } else {
        put_combined(self, req, record);
    }
    weir_file_write(ctx, self->file, self->line.data, self->line.len); /* drops are counted there */
}

static const struct weir_logger logger = {
    .size = sizeof(struct weir_logger),
    .create = create,
    .destroy = destroy,
    .log = log_request,
};

WEIR_DEFINE_MODULE("access_log", "1.0", "MIT",
                   "Logs each request, in the combined format or as JSON", .options = &options,
                   .conf_create = conf_create, .logger = &logger);
