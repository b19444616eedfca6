/* SPDX-License-Identifier: MIT */
/* Messages in parsed form: what fields and methods are, and how field lists change. */
#include "http/message.h"

#include "http/syntax.h"

#define FIRST_CAPACITY 24u

#define BIT(id) (UINT64_C(1) << (id))

/* Belong to one connection, or are stated anew by the writer. */
#define HOP_BY_HOP                                                                                 \
    (BIT(FIELD_CONNECTION) | BIT(FIELD_KEEP_ALIVE) | BIT(FIELD_PROXY_CONNECTION) | BIT(FIELD_TE) | \
     BIT(FIELD_TRANSFER_ENCODING) | BIT(FIELD_UPGRADE) | BIT(FIELD_HTTP2_SETTINGS) |               \
     BIT(FIELD_CONTENT_LENGTH))

/* What Connection cannot take away from a message by naming it: it would change where the
 * message goes or where it ends; and Connection itself, of which every field is to be read
 * first. */
#define NOT_BY_CONNECTION                                                         \
    (BIT(FIELD_HOST) | BIT(FIELD_CONTENT_LENGTH) | BIT(FIELD_TRANSFER_ENCODING) | \
     BIT(FIELD_CONNECTION))

_Static_assert(FIELD_ID_COUNT <= 64, "struct http_fields has one bit a field");

/* One candidate: the id where the name is the literal. */
#define TRY(literal, id)                                     \
    if (syntax_same(name.ptr, literal, sizeof(literal) - 1)) \
    return id
/* A literal with dashes whose aliases must not pass either. */
#define TRY_FOLDED(literal, id)                           \
    TRY(literal, id);                                     \
    if (folds_to(name.ptr, literal, sizeof(literal) - 1)) \
    return FIELD_ALIAS

static bool alphanumeric(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* Whether CGI gives both names the same variable; `other` is in any case. Equal names do. */
static bool folds_to(const char *name, const char *other, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool same = alphanumeric(other[i])
                        ? ((name[i] ^ other[i]) & ~0x20) == 0 && alphanumeric(name[i])
                        : !alphanumeric(name[i]);
        if (!same) {
            return false;
        }
    }
    return true;
}

static enum field_id id_of_10(struct weir_str name)
{
    TRY("connection", FIELD_CONNECTION);
    TRY("user-agent", FIELD_USER_AGENT);
    TRY("set-cookie", FIELD_SET_COOKIE);
    TRY("keep-alive", FIELD_KEEP_ALIVE);
    return FIELD_OTHER;
}

static enum field_id id_of_short(struct weir_str name)
{
    switch (name.len) {
    case 2: TRY("te", FIELD_TE); break;
    case 3: TRY("via", FIELD_VIA); break;
    case 4:
        TRY("host", FIELD_HOST);
        TRY("date", FIELD_DATE);
        break;
    case 6:
        TRY("accept", FIELD_ACCEPT);
        TRY("cookie", FIELD_COOKIE);
        TRY("server", FIELD_SERVER);
        TRY("expect", FIELD_EXPECT);
        break;
    case 7:
        TRY("referer", FIELD_REFERER);
        TRY("upgrade", FIELD_UPGRADE);
        TRY("trailer", FIELD_TRAILER);
        break;
    case 8: TRY("location", FIELD_LOCATION); break;
    case 9: TRY("forwarded", FIELD_FORWARDED); break;
    default: break;
    }
    return FIELD_OTHER;
}

enum field_id field_id_of(struct weir_str name)
{
    switch (name.len) {
    case 10: return id_of_10(name);
    case 11: TRY("retry-after", FIELD_RETRY_AFTER); break;
    case 12:
        TRY("content-type", FIELD_CONTENT_TYPE);
        TRY("max-forwards", FIELD_MAX_FORWARDS);
        TRY_FOLDED("x-request-id", FIELD_X_REQUEST_ID);
        break;
    case 14:
        TRY_FOLDED("content-length", FIELD_CONTENT_LENGTH);
        TRY("http2-settings", FIELD_HTTP2_SETTINGS);
        break;
    case 15: TRY_FOLDED("x-forwarded-for", FIELD_X_FORWARDED_FOR); break;
    case 16:
        TRY_FOLDED("x-forwarded-host", FIELD_X_FORWARDED_HOST);
        TRY_FOLDED("x-forwarded-port", FIELD_X_FORWARDED_PORT);
        TRY("proxy-connection", FIELD_PROXY_CONNECTION);
        break;
    case 17:
        TRY_FOLDED("x-forwarded-proto", FIELD_X_FORWARDED_PROTO);
        TRY_FOLDED("transfer-encoding", FIELD_TRANSFER_ENCODING);
        break;
    case 18: TRY("proxy-authenticate", FIELD_PROXY_AUTHENTICATE); break;
    case 19: TRY("proxy-authorization", FIELD_PROXY_AUTHORIZATION); break;
    default: return id_of_short(name);
    }
    return FIELD_OTHER;
}

#undef TRY
#undef TRY_FOLDED

enum http_method method_of(struct weir_str name)
{
    static const struct {
        char name[8];
        size_t len;
    } names[] = {
        [METHOD_GET] = {"GET", 3},         [METHOD_HEAD] = {"HEAD", 4},
        [METHOD_POST] = {"POST", 4},       [METHOD_PUT] = {"PUT", 3},
        [METHOD_DELETE] = {"DELETE", 6},   [METHOD_CONNECT] = {"CONNECT", 7},
        [METHOD_OPTIONS] = {"OPTIONS", 7}, [METHOD_TRACE] = {"TRACE", 5},
        [METHOD_PATCH] = {"PATCH", 5},
    };
    /* Methods are told apart by case (RFC 9110 section 9.1). */
    for (unsigned method = METHOD_GET; method < ARRAY_COUNT(names); method++) {
        if (name.len == names[method].len && memcmp(name.ptr, names[method].name, name.len) == 0) {
            return (enum http_method)method;
        }
    }
    return METHOD_OTHER;
}

bool method_is_idempotent(enum http_method method)
{
    switch (method) {
    case METHOD_GET:
    case METHOD_HEAD:
    case METHOD_PUT:
    case METHOD_DELETE:
    case METHOD_OPTIONS:
    case METHOD_TRACE: return true;
    case METHOD_OTHER:
    case METHOD_POST:
    case METHOD_CONNECT:
    case METHOD_PATCH: break;
    }
    return false;
}

struct weir_str http_version_word(enum http_version version)
{
    static const struct weir_str words[] = {
        [HTTP_1_0] = WEIR_STR_INIT("HTTP/1.0"),
        [HTTP_1_1] = WEIR_STR_INIT("HTTP/1.1"),
        [HTTP_2] = WEIR_STR_INIT("HTTP/2"),
    };
    return words[version];
}

/* ---- reading a list ---- */

struct http_field *fields_find(const struct http_fields *fields, enum field_id id)
{
    return fields_have(fields, id) ? fields_next(fields, id, NULL) : NULL;
}

struct http_field *fields_next(const struct http_fields *fields, enum field_id id,
                               const struct http_field *after)
{
    for (size_t i = after != NULL ? (size_t)(after - fields->items) + 1 : 0; i < fields->count;
         i++) {
        if (fields->items[i].id == id && !fields->items[i].dropped) {
            return &fields->items[i];
        }
    }
    return NULL;
}

struct http_field *fields_find_name(const struct http_fields *fields, struct weir_str name)
{
    enum field_id id = field_id_of(name);
    if (id != FIELD_OTHER && id != FIELD_ALIAS) {
        return fields_find(fields, id);
    }
    for (uint32_t i = 0; i < fields->count; i++) {
        struct http_field *field = &fields->items[i];
        if (field->id == id && !field->dropped && str_equal_nocase(field->name, name)) {
            return field;
        }
    }
    return NULL;
}

bool field_name_valid(struct weir_str name)
{
    return name.len > 0 && syntax_all(name, SYNTAX_TOKEN);
}

bool field_value_valid(struct weir_str value)
{
    if (value.len == 0) {
        return true;
    }
    const char *end = value.ptr + value.len;
    return syntax_skip_value(value.ptr, end) == end;
}

bool fields_list_has(const struct http_fields *fields, enum field_id id, struct weir_str token)
{
    if (!fields_have(fields, id)) {
        return false;
    }
    for (uint32_t i = 0; i < fields->count; i++) {
        if (fields->items[i].id != id || fields->items[i].dropped) {
            continue;
        }
        struct weir_str rest = fields->items[i].value, element;
        while (syntax_list_next(&rest, &element)) {
            if (str_equal_nocase(element, token)) {
                return true;
            }
        }
    }
    return false;
}

/* ---- changing a list ---- */

static bool grow(struct http_fields *fields, struct arena *arena)
{
    uint32_t capacity = fields->capacity > 0 ? fields->capacity * 2 : FIRST_CAPACITY;
    struct http_field *items = arena_alloc(arena, capacity * sizeof(*items));
    if (items == NULL) {
        return false;
    }
    if (fields->count > 0) {
        memcpy(items, fields->items, fields->count * sizeof(*items));
    }
    fields->items = items;
    fields->capacity = capacity;
    return true;
}

struct http_field *fields_append(struct http_fields *fields, struct arena *arena)
{
    if (unlikely(fields->count == fields->capacity) && !grow(fields, arena)) {
        return NULL;
    }
    return &fields->items[fields->count++];
}

bool fields_add(struct http_fields *fields, struct arena *arena, struct weir_str name,
                struct weir_str value)
{
    if (!field_name_valid(name) || !field_value_valid(value)) {
        return false;
    }
    struct http_field *field = fields_append(fields, arena);
    if (field == NULL) {
        return false;
    }
    *field = (struct http_field){.name = name, .value = value, .id = (uint16_t)field_id_of(name)};
    if (field->id != FIELD_OTHER) {
        fields->seen |= BIT(field->id);
    }
    return true;
}

bool fields_set(struct http_fields *fields, struct arena *arena, struct weir_str name,
                struct weir_str value)
{
    uint32_t before = fields->count;
    if (!fields_add(fields, arena, name, value)) {
        return false;
    }
    const struct http_field *added = &fields->items[before];
    bool known = added->id != FIELD_OTHER && added->id != FIELD_ALIAS;
    for (uint32_t i = 0; i < before; i++) {
        struct http_field *field = &fields->items[i];
        if (field->id == added->id && (known || str_equal_nocase(field->name, name))) {
            field->dropped = true;
        }
    }
    return true;
}

size_t fields_drop(struct http_fields *fields, enum field_id id)
{
    ASSERT(id != FIELD_OTHER);
    size_t count = 0;
    if (!fields_have(fields, id)) {
        return 0;
    }
    for (uint32_t i = 0; i < fields->count; i++) {
        struct http_field *field = &fields->items[i];
        if (field->id == id && !field->dropped) {
            field->dropped = true;
            count++;
        }
    }
    fields->seen &= ~BIT(id);
    return count;
}

/* After one alias was dropped others may be left. */
static void look_for_aliases(struct http_fields *fields)
{
    fields->seen &= ~BIT(FIELD_ALIAS);
    for (uint32_t i = 0; i < fields->count; i++) {
        if (fields->items[i].id == FIELD_ALIAS && !fields->items[i].dropped) {
            fields->seen |= BIT(FIELD_ALIAS);
        }
    }
}

size_t fields_drop_name(struct http_fields *fields, struct weir_str name)
{
    enum field_id id = field_id_of(name);
    if (id != FIELD_OTHER && id != FIELD_ALIAS) {
        return fields_drop(fields, id);
    }
    size_t count = 0;
    for (uint32_t i = 0; i < fields->count; i++) {
        struct http_field *field = &fields->items[i];
        if (field->id == id && !field->dropped && str_equal_nocase(field->name, name)) {
            field->dropped = true;
            count++;
        }
    }
    if (count > 0 && fields_have(fields, FIELD_ALIAS)) {
        look_for_aliases(fields);
    }
    return count;
}

bool field_name_folds(struct weir_str name, struct weir_str other)
{
    return name.len == other.len && folds_to(name.ptr, other.ptr, other.len);
}

bool field_name_identifies(struct weir_str name)
{
    static const struct weir_str prefix = WEIR_STR_INIT("x-forwarded-");
    static const struct weir_str names[] = {
        WEIR_STR_INIT("cf-connecting-ip"),
        WEIR_STR_INIT("cf-connecting-ipv6"),
        WEIR_STR_INIT("client-ip"),
        WEIR_STR_INIT("fastly-client-ip"),
        WEIR_STR_INIT("fly-client-ip"),
        WEIR_STR_INIT("forwarded-for"),
        WEIR_STR_INIT("front-end-https"),
        WEIR_STR_INIT("proxy-client-ip"),
        WEIR_STR_INIT("true-client-ip"),
        WEIR_STR_INIT("wl-proxy-client-ip"),
        WEIR_STR_INIT("x-appengine-user-ip"),
        WEIR_STR_INIT("x-azure-clientip"),
        WEIR_STR_INIT("x-azure-socketip"),
        WEIR_STR_INIT("x-client-ip"),
        WEIR_STR_INIT("x-cluster-client-ip"),
        WEIR_STR_INIT("x-envoy-external-address"),
        WEIR_STR_INIT("x-forwarded"),
        WEIR_STR_INIT("x-original-forwarded-for"),
        WEIR_STR_INIT("x-original-host"),
        WEIR_STR_INIT("x-originating-ip"),
        WEIR_STR_INIT("x-proxyuser-ip"),
        WEIR_STR_INIT("x-real-ip"),
        WEIR_STR_INIT("x-remote-addr"),
        WEIR_STR_INIT("x-remote-ip"),
        WEIR_STR_INIT("x-scheme"),
        WEIR_STR_INIT("x-url-scheme"),
    };
    if (name.len > prefix.len && folds_to(name.ptr, prefix.ptr, prefix.len)) {
        return true;
    }
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (field_name_folds(name, names[i])) {
            return true;
        }
    }
    return false;
}

size_t fields_drop_aliases(struct http_fields *fields, struct weir_str name)
{
    size_t count = 0;
    for (uint32_t i = 0; i < fields->count; i++) {
        struct http_field *field = &fields->items[i];
        /* A name that is known has its own rules, and no punctuation but '-'. */
        bool known = field->id != FIELD_OTHER && field->id != FIELD_ALIAS;
        if (field->name.len == name.len && !field->dropped && !known &&
            folds_to(field->name.ptr, name.ptr, name.len) && !str_equal_nocase(field->name, name)) {
            field->dropped = true;
            count++;
        }
    }
    if (count > 0 && fields_have(fields, FIELD_ALIAS)) {
        look_for_aliases(fields);
    }
    return count;
}

/* Drops what one Connection field names. */
static void drop_named(struct http_fields *fields, struct weir_str list)
{
    struct weir_str option;
    while (syntax_list_next(&list, &option)) {
        if (option.len > 0 && (NOT_BY_CONNECTION & BIT(field_id_of(option))) == 0) {
            fields_drop_name(fields, option);
        }
    }
}

void fields_drop_hop_by_hop(struct http_fields *fields)
{
    if ((fields->seen & HOP_BY_HOP) == 0) {
        return;
    }
    if (fields_have(fields, FIELD_CONNECTION)) {
        for (uint32_t i = 0; i < fields->count; i++) {
            if (fields->items[i].id == FIELD_CONNECTION && !fields->items[i].dropped) {
                drop_named(fields, fields->items[i].value);
            }
        }
    }
    for (uint32_t i = 0; i < fields->count; i++) {
        if ((HOP_BY_HOP & BIT(fields->items[i].id)) != 0) {
            fields->items[i].dropped = true;
        }
    }
    fields->seen &= ~HOP_BY_HOP;
}

void response_drop_hop_by_hop(struct http_response_head *head)
{
    struct http_fields *fields = &head->fields;
    bool upgrade = head->status == 426 && fields_have(fields, FIELD_UPGRADE);

    fields_drop_hop_by_hop(fields);
    for (uint32_t i = 0; upgrade && i < fields->count; i++) {
        if (fields->items[i].id == FIELD_UPGRADE) {
            fields->items[i].dropped = false;
            fields->seen |= BIT(FIELD_UPGRADE);
        }
    }
}

/* ---- moving ---- */

struct move {
    const char *from;
    size_t len;
    const char *to;
};

static inline void move_slice(struct weir_str *slice, const struct move *move)
{
    /* Unsigned wrap-around puts pointers below `from` out of range as well. */
    size_t offset = (size_t)((uintptr_t)slice->ptr - (uintptr_t)move->from);
    if (offset < move->len) {
        slice->ptr = move->to + offset;
    }
}

static void move_fields(struct http_fields *fields, const struct move *move)
{
    for (uint32_t i = 0; i < fields->count; i++) {
        move_slice(&fields->items[i].name, move);
        move_slice(&fields->items[i].value, move);
    }
}

void request_head_rebase(struct http_request_head *head, const char *from, size_t len,
                         const char *to)
{
    const struct move move = {from, len, to};
    move_slice(&head->method_name, &move);
    move_slice(&head->target, &move);
    move_slice(&head->path, &move);
    move_slice(&head->query, &move);
    move_slice(&head->authority, &move);
    move_slice(&head->host, &move);
    move_fields(&head->fields, &move);
}

void response_head_rebase(struct http_response_head *head, const char *from, size_t len,
                          const char *to)
{
    const struct move move = {from, len, to};
    move_slice(&head->reason, &move);
    move_fields(&head->fields, &move);
}

/* The one place where bytes of scratch are copied to be kept. NULL: no memory. */
static const char *keep(struct arena *arena, const char *from, size_t len)
{
    char *copy = arena_bytes(arena, len);

    if (copy != NULL && len > 0) {
        memcpy(copy, from, len);
    }
    return copy;
}

bool request_head_own(struct http_request_head *head, struct arena *arena, const char *from,
                      size_t len)
{
    const char *copy = keep(arena, from, len);

    if (copy == NULL) {
        *head = (struct http_request_head){.method = head->method, .version = head->version};
        return false;
    }
    request_head_rebase(head, from, len, copy);
    return true;
}

bool response_head_own(struct http_response_head *head, struct arena *arena, const char *from,
                       size_t len)
{
    const char *copy = keep(arena, from, len);

    if (copy == NULL) {
        *head = (struct http_response_head){.status = head->status};
        return false;
    }
    response_head_rebase(head, from, len, copy);
    return true;
}
