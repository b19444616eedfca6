/* SPDX-License-Identifier: MIT */
/*
 * From the text of one value to the field of an option struct, by the option's row. Shared by the
 * core's configuration reader and the SDK's fake host, so that both take and refuse the same text.
 * Private: not installed.
 *
 * No state, no locale, no I/O: every function may be called from any thread.
 */
#ifndef OPTION_VALUE_H
#define OPTION_VALUE_H

#include <weir/option.h>

/** Room enough for any message of this file. */
#define OPTION_ERROR_SIZE 512

/** Where strings are kept. Embed it as the first member of an allocator of one's own. */
struct option_alloc {
    /** Memory aligned for any type that lives as long as the option struct; NULL: none left. */
    void *(*alloc)(struct option_alloc *alloc, size_t len);
};

/**
 * Parses `text` as `type`, a scalar type, checks it against the row's minimum and maximum, and
 * stores it in `field`, which is what option.h says for the type. `type` is the row's own, or its
 * `element` for one item of a list. Limits of a STRING are its length in bytes.
 *
 * `quoted`: the text stood in quotes (already taken off); only then may it be empty, and where
 * neither REQUIRED nor NOT_EMPTY forbid it. false: `field` is untouched, and `error` says what is
 * wrong and what to write, in one line without a full stop and without the option's name. The
 * value of a SECRET is never shown in it.
 */
bool option_value_parse(const struct weir_option *row, enum weir_option_type type, const char *text,
                        size_t len, bool quoted, void *field, struct option_alloc *alloc,
                        char *error, size_t error_size);

/** Whether a list of `count` values may stand for the row. false: `error` as above. */
bool option_list_check(const struct weir_option *row, size_t count, char *error, size_t error_size);

/** Size of the field of `type` (LIST and BLOCK too): the stride of a list's items. 0: no such
 * type. */
size_t option_value_size(enum weir_option_type type);

/** A type in words for messages and references: "a duration". Never NULL. */
const char *option_value_type_name(enum weir_option_type type);

/** Row `index`, which is below count, by the table's own stride: a module may be older. */
static inline const struct weir_option *option_row(const struct weir_options *table, uint32_t index)
{
    return (const struct weir_option *)(const void *)((const char *)table->rows +
                                                      (size_t)index * table->option_size);
}

/** A network or a single address, in network byte order. */
struct option_network {
    int family; /**< AF_INET or AF_INET6 */
    unsigned bits;
    uint8_t bytes[16]; /**< the first 4 for AF_INET */
};

/** Parses ADDRESS/BITS, or ADDRESS alone, which means all its bits. Bits beyond BITS must be
 * zero. */
bool option_network_parse(const char *text, size_t len, struct option_network *out, char *error,
                          size_t error_size);

/** An address in its parts, slices of the text. */
struct option_address {
    bool local;           /**< a Unix socket: only `host` is set, to its path */
    bool numeric;         /**< `host` is an IPv4 or IPv6 address */
    struct weir_str host; /**< without brackets */
    uint16_t port;        /**< 0 is legal: the system chooses */
};

/** Parses IPV4:PORT, [IPV6]:PORT, HOST:PORT or unix:PATH. */
bool option_address_parse(const char *text, size_t len, struct option_address *out, char *error,
                          size_t error_size);

/** Parses a URL in place: scheme and host in `text` are put into lower case, and `out` gets
 * slices of it. Strict: http://HOST[:PORT][/PATH], https likewise, or unix:/PATH. */
bool option_url_parse(char *text, size_t len, struct weir_url *out, char *error, size_t error_size);

/* ---- the nearest known name, for "did you mean" ---- */

/** A search: begin it, offer the known names one by one, read `best`. */
struct option_nearest {
    const char *name;
    size_t len;
    const char *best; /**< the nearest of those offered; NULL: none is near enough */
    size_t distance;  /**< of `best`; before: one more than would be near enough */
};

void option_nearest_begin(struct option_nearest *search, const char *name, size_t len);
/** `candidate` is kept by pointer. NULL is passed over. Of equals, the first offered stays. */
void option_nearest_offer(struct option_nearest *search, const char *candidate);

/** The nearest of `count` names; NULL: none is near enough. */
const char *option_nearest(const char *name, size_t len, const char *const *candidates,
                           size_t count);

/** Writes `text` for a message: in backquotes, what is not printable as `?`, cut after 60 bytes. */
void option_show(char *out, size_t out_size, const char *text, size_t len);

#endif
