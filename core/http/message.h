/* SPDX-License-Identifier: MIT */
/*
 * Messages in parsed form: fields, heads of requests and responses, and body framing. Both codecs
 * read into these and write from them.
 *
 * Slices point into the stream's arena (the head was copied there once) or into static text.
 */
#ifndef HTTP_MESSAGE_H
#define HTTP_MESSAGE_H

#include <weir/host.h>

#include "base/arena.h"

/* Fields that the core itself looks at; others are FIELD_OTHER. */
enum field_id {
    FIELD_OTHER = 0,
    FIELD_ALIAS, /* CGI takes it for one of Weir's own fields; see fields_drop_aliases */
    FIELD_ACCEPT,
    FIELD_CONNECTION,
    FIELD_CONTENT_LENGTH,
    FIELD_CONTENT_TYPE,
    FIELD_COOKIE,
    FIELD_DATE,
    FIELD_EXPECT,
    FIELD_FORWARDED,
    FIELD_HOST,
    FIELD_HTTP2_SETTINGS,
    FIELD_KEEP_ALIVE,
    FIELD_LOCATION,
    FIELD_MAX_FORWARDS,
    FIELD_PROXY_AUTHENTICATE,
    FIELD_PROXY_AUTHORIZATION,
    FIELD_PROXY_CONNECTION,
    FIELD_REFERER,
    FIELD_RETRY_AFTER,
    FIELD_SERVER,
    FIELD_SET_COOKIE,
    FIELD_TE,
    FIELD_TRAILER,
    FIELD_TRANSFER_ENCODING,
    FIELD_UPGRADE,
    FIELD_USER_AGENT,
    FIELD_VIA,
    FIELD_X_FORWARDED_FOR,
    FIELD_X_FORWARDED_HOST,
    FIELD_X_FORWARDED_PORT,
    FIELD_X_FORWARDED_PROTO,
    FIELD_X_REQUEST_ID,
    FIELD_ID_COUNT,
};

/* The id of a name, whatever its case. O(1). */
enum field_id field_id_of(struct weir_str name);

struct http_field {
    struct weir_str name, value; /* value without surrounding white space */
    uint16_t id;                 /* enum field_id */
    bool dropped;                /* not to be passed on */
    bool secret;                 /* HPACK has called it never indexed (RFC 7541 section 6.2.3) */
};

/* Fields in order of arrival. `seen` has bit (1 << id) for each known id that is present and not
 * dropped (FIELD_ID_COUNT <= 64). The array grows in the arena. */
struct http_fields {
    struct http_field *items;
    uint32_t count, capacity;
    uint64_t seen;
};

static inline bool fields_have(const struct http_fields *fields, enum field_id id)
{
    return (fields->seen >> id) & 1u;
}

/* First field of that id / name that is not dropped; NULL: none. */
struct http_field *fields_find(const struct http_fields *fields, enum field_id id);
struct http_field *fields_find_name(const struct http_fields *fields, struct weir_str name);
/* The next one of that id; `after` NULL: the first. */
struct http_field *fields_next(const struct http_fields *fields, enum field_id id,
                               const struct http_field *after);
/* Appends; slices are kept as they are (not copied). false: no memory, or the name is no token,
 * or the value has a control character. */
bool fields_add(struct http_fields *fields, struct arena *arena, struct weir_str name,
                struct weir_str value);
/* Replaces all fields of that name; false: nothing has changed. */
bool fields_set(struct http_fields *fields, struct arena *arena, struct weir_str name,
                struct weir_str value);
/* For parsers: one more item, not initialised, whose caller also sets its bit in `seen`; NULL:
 * no memory. */
struct http_field *fields_append(struct http_fields *fields, struct arena *arena);
/* Drops all of that name (or known id) and returns how many. */
size_t fields_drop_name(struct http_fields *fields, struct weir_str name);
size_t fields_drop(struct http_fields *fields, enum field_id id);
/*
 * Drops aliases of `name`: fields that CGI-like servers (RFC 3875 section 4.1.18: '-' becomes '_';
 * many fold all other punctuation too) cannot tell from it, such as X_Forwarded_For beside
 * X-Forwarded-For. `name` itself stays. Aliases of fields that identify the client or frame the
 * message already have FIELD_ALIAS; this finds those of any other name.
 */
size_t fields_drop_aliases(struct http_fields *fields, struct weir_str name);
/* Whether CGI gives both names the same variable; true for equal names. */
bool field_name_folds(struct weir_str name, struct weir_str other);
/* Whether servers take a field of that name, or an alias, as a proxy's statement about the client:
 * X-Forwarded-* and products' equivalents (X-Real-IP, True-Client-IP, ...). Not Forwarded and not
 * the fields that Weir sets, which it replaces in any case. */
bool field_name_identifies(struct weir_str name);
/* Whether a field may be a trailer (RFC 9110 section 6.5.1): not one that frames, routes,
 * identifies, authenticates, or describes content already processed; some receivers merge trailers
 * into the head's fields. */
bool field_may_trail(const struct http_field *field);
/* A token (RFC 9110 section 5.6.2); a value without CR, LF, NUL or other controls (but HTAB). */
bool field_name_valid(struct weir_str name);
bool field_value_valid(struct weir_str value);
/* The next element of the comma-separated list in all fields of `id`; false: the end. Zeroed at
 * first. */
struct field_walk {
    const struct http_field *field; /* where `rest` is of */
    struct weir_str rest;
};
bool fields_next_element(const struct http_fields *fields, enum field_id id,
                         struct field_walk *walk, struct weir_str *element);
/* Whether the comma-separated list in all fields of `id` has `token` (case-insensitive). */
bool fields_list_has(const struct http_fields *fields, enum field_id id, struct weir_str token);
/* Drops hop-by-hop fields (RFC 9110 section 7.6.1): Connection and what it names (except framing
 * fields and Host), Keep-Alive, Proxy-Connection, TE, Transfer-Encoding, Upgrade, HTTP2-Settings;
 * Trailer is kept. Also Content-Length, which the writer generates from the body's length. */
void fields_drop_hop_by_hop(struct http_fields *fields);

enum http_method {
    METHOD_OTHER = 0,
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_DELETE,
    METHOD_CONNECT,
    METHOD_OPTIONS,
    METHOD_TRACE,
    METHOD_PATCH,
};
enum http_method method_of(struct weir_str name);
bool method_is_idempotent(enum http_method method); /* RFC 9110 section 9.2.2 */

/* How a body's end is found. */
enum http_body {
    BODY_NONE = 0,
    BODY_LENGTH,  /* content_length bytes; may be 0 */
    BODY_CHUNKED, /* or, in HTTP/2, until END_STREAM without content-length */
    BODY_CLOSE,   /* responses: until the connection ends */
    BODY_TUNNEL,  /* after 101: bytes both ways until both ends */
};

/* In order: a version has what those before it have. */
enum http_version {
    HTTP_VERSION_NONE = 0, /* a head refused or truncated before its version */
    HTTP_1_0,
    HTTP_1_1,
    HTTP_2,
};
#define HTTP_VERSIONS 4u

/* "HTTP/1.1", as the request line of HTTP/1 has it; empty: no version. */
struct weir_str http_version_word(enum http_version version);

/* Limits of what a peer may send; 0 does not mean "no limit". */
struct http_limits {
    uint32_t head;   /* bytes of the head, first line included */
    uint32_t fields; /* number of fields */
    uint32_t target; /* bytes of the request target */
    /* of HTTP/2 towards servers; 0: as the codec has them */
    uint32_t h2_streams; /* exchanges at once on a connection */
    uint32_t h2_window;  /* of each of them, for its response */
};

/* Why a message was refused: the status to answer with (400, 408, 413, 414, 431, 501, 505; always
 * 502 for responses) and a constant word for logs and counters, such as `bad_field_name`. */
struct http_error {
    uint16_t status;
    const char *reason;
};

/* A field that Weir adds to a head after those passed on. `known`: both strings are constant or
 * built here, so the writer need not check them. */
struct http_extra {
    struct weir_str name, value;
    bool known;
};

enum target_form { TARGET_ORIGIN, TARGET_ABSOLUTE, TARGET_ASTERISK, TARGET_AUTHORITY };

struct http_request_head {
    struct weir_str method_name;
    struct weir_str target; /* as sent */
    struct weir_str path;   /* normalised (RFC 3986 section 6.2.2), for routing and the server */
    struct weir_str query;  /* without '?' */
    bool has_query;         /* "/x?" has an empty one */
    struct weir_str
        authority;        /* Host, or of an absolute target (which wins); may be empty in 1.0 */
    struct weir_str host; /* lower case, no port */
    struct http_fields fields;
    enum http_method method;
    enum target_form form;
    enum http_version version;
    enum http_body body;
    uint64_t content_length; /* with BODY_LENGTH */
    bool keep_alive;         /* the client may send another request on this connection */
    bool expect_continue;
    bool upgrade_websocket; /* Upgrade: websocket, named in Connection, GET on HTTP/1.1 */
    bool te_trailers;
    bool close_after; /* framing was legal but dubious: answer, then close */
};

struct http_response_head {
    uint16_t status;
    struct weir_str reason; /* may be empty */
    struct http_fields fields;
    enum http_version version;
    enum http_body body; /* considers the request's method: HEAD, 204, 304 have BODY_NONE */
    uint64_t content_length;
    bool has_content_length; /* also where body is BODY_NONE (HEAD) */
    bool keep_alive;         /* the server will take another request on this connection */
};

/* The standard reason phrase; "" if there is none. */
struct weir_str http_reason_phrase(unsigned status);

/* Drops a response's hop-by-hop fields. A 426 keeps its Upgrade (RFC 9110 section 15.5.22). */
void response_drop_hop_by_hop(struct http_response_head *head);

/* Copies from[0..len), where the head was read and its slices point to, into the arena, so that
 * the head outlives that memory. false: out of memory; then only method and version, or the
 * status, remain. */
bool request_head_own(struct http_request_head *head, struct arena *arena, const char *from,
                      size_t len);
bool response_head_own(struct http_response_head *head, struct arena *arena, const char *from,
                       size_t len);

#endif
