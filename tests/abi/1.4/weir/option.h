/* SPDX-License-Identifier: MIT */
/*
 * Options: one table row an option. The same rows drive parsing, checking, error text, `weir
 * --options`, the option reference, the API's schema and the forms of the user interface.
 *
 * The host parses each block into a struct of `conf_size` zeroed bytes by the rows' types and
 * offsets. All memory that it points to lives as long as the configuration's generation, and never
 * changes.
 */
#ifndef WEIR_OPTION_H
#define WEIR_OPTION_H

#include <weir/module.h>

WEIR_BEGIN_DECLS

/** An option's type, and what the field at its offset is. */
enum weir_option_type {
    WEIR_TYPE_STRING = 1, /**< struct weir_str, ended by NUL as well */
    WEIR_TYPE_INTEGER,    /**< int64_t */
    WEIR_TYPE_REAL,       /**< double */
    WEIR_TYPE_BOOLEAN,    /**< bool: on, off, true, false, yes, no */
    WEIR_TYPE_DURATION,   /**< uint64_t nanoseconds: 250ms, 2s, 1.5m, 1h, 1d; 0 */
    WEIR_TYPE_SIZE,       /**< uint64_t bytes: 512, 16k, 1m, 2g (powers of 1024) */
    WEIR_TYPE_PERCENTAGE, /**< double, 0.2 for 20% */
    WEIR_TYPE_ADDRESS,    /**< struct weir_str: IPV4:PORT, [IPV6]:PORT, HOST:PORT or unix:PATH; or a
                               network, 10.0.0.0/8, where the row has WEIR_OPTION_NETWORK */
    WEIR_TYPE_URL,        /**< struct weir_url */
    WEIR_TYPE_ENUM,       /**< int32_t, index into `names` */
    WEIR_TYPE_LIST,       /**< struct weir_list of `element` fields */
    WEIR_TYPE_BLOCK,      /**< struct weir_list of the block's structs, in the file's order */
};

/** Where an option may stand. */
enum weir_option_context {
    WEIR_CONTEXT_MODULE = 1,   /**< module "NAME" { } */
    WEIR_CONTEXT_LISTENER = 2, /**< handler "NAME" { } or filter "NAME" { } of a listener */
    WEIR_CONTEXT_ROUTE = 4,    /**< inside a block of a router; filter "NAME" { } of a route */
    WEIR_CONTEXT_POOL = 8,     /**< balance, sticky, health or filter "NAME" { } of a pool */
    WEIR_CONTEXT_SERVER = 16,  /**< inside a server block */
    WEIR_CONTEXT_GLOBAL = 32,  /**< top level of weir.conf (the core's own options) */
};

enum weir_option_flag {
    WEIR_OPTION_REQUIRED = 1, /**< absent is a mistake */
    WEIR_OPTION_SECRET =
        2, /**< never shown by the API or in messages; `@FILE` reads it from FILE */
    WEIR_OPTION_RELOADABLE = 4,
    WEIR_OPTION_PATH = 8, /**< a file: made absolute from the folder of the file that names it */
    WEIR_OPTION_NETWORK = 16,  /**< ADDRESS takes ADDRESS/BITS or a plain address, without a port */
    WEIR_OPTION_UNTITLED = 32, /**< BLOCK: has no title and stands once */
    WEIR_OPTION_FILTERS =
        64, /**< BLOCK: one is a route, made known by weir_check_route with its title
                                    as the field; filter "NAME" { } may stand in it */
    WEIR_OPTION_NOT_EMPTY = 128, /**< STRING: "" is a mistake; LIST: {} is. REQUIRED says as much */
};

/** An array; items of the element's C type, or of the block's struct. */
struct weir_list {
    const void *items;
    size_t count;
};

/** An absolute URL in its parts. All parts are slices of `text`. */
struct weir_url {
    struct weir_str text;
    struct weir_str scheme; /**< lower case: http, https or unix */
    struct weir_str host;   /**< without brackets; empty for unix */
    struct weir_str path;   /**< with the leading slash; the file for unix; empty: none given */
    uint16_t port;          /**< filled from the scheme where not given; 0 for unix */
    uint16_t tls;           /**< 1 for https */
};

/** One option. Text in `fallback`, `minimum` and `maximum` is what a user would write. */
struct weir_option {
    const char *name;
    enum weir_option_type type;
    enum weir_option_type element; /**< of a LIST */
    uint32_t offset;
    uint32_t contexts;    /**< enum weir_option_context bits */
    uint32_t flags;       /**< enum weir_option_flag bits */
    const char *fallback; /**< default; NULL: none, the field stays zero */
    const char *minimum;
    const char *maximum;
    const char *document;             /**< one or two sentences, shown to users */
    const char *const *names;         /**< of an ENUM, ended by NULL; the core's own PATH may have
                                           words that are no paths */
    const struct weir_options *block; /**< of a BLOCK */
};

/** A table of options for one struct. */
struct weir_options {
    uint32_t size;        /**< sizeof(struct weir_options) */
    uint32_t option_size; /**< sizeof(struct weir_option): the stride of `rows` */
    uint32_t conf_size;   /**< sizeof the struct that the rows fill */
    uint32_t count;       /**< number of rows */
    const struct weir_option *rows;
    /** Where a block's title goes, a struct weir_str; WEIR_NO_TITLE: not kept. */
    uint32_t title_offset;
};

#define WEIR_NO_TITLE UINT32_MAX

/* Rows. `type_` is the struct, `field` its member. */
#define WEIR_ROW_(type_, field, name, kind, element, fallback, min, max, contexts, flags, names, \
                  block, doc)                                                                    \
    {                                                                                            \
        name, kind, element, (uint32_t)offsetof(type_, field), (uint32_t)(contexts),             \
            (uint32_t)(flags), fallback, min, max, doc, names, block                             \
    }

/** A row without limits: WEIR_OPTION(struct conf, name, STRING, "weir", contexts, flags, "doc"). */
#define WEIR_OPTION(type_, field, kind, fallback, contexts, flags, doc)                         \
    WEIR_ROW_(type_, field, #field, WEIR_TYPE_##kind, (enum weir_option_type)0, fallback, NULL, \
              NULL, contexts, flags, NULL, NULL, doc)

/** A row with limits, both inclusive, either may be NULL. */
#define WEIR_OPTION_RANGE(type_, field, kind, fallback, min, max, contexts, flags, doc)        \
    WEIR_ROW_(type_, field, #field, WEIR_TYPE_##kind, (enum weir_option_type)0, fallback, min, \
              max, contexts, flags, NULL, NULL, doc)

/** One of `names`, a NULL-ended array of words. */
#define WEIR_OPTION_ENUM(type_, field, names, fallback, contexts, flags, doc)                 \
    WEIR_ROW_(type_, field, #field, WEIR_TYPE_ENUM, (enum weir_option_type)0, fallback, NULL, \
              NULL, contexts, flags, names, NULL, doc)

/** A list; the default is written as in a file: `{"200-399"}`. */
#define WEIR_OPTION_LIST(type_, field, element, fallback, contexts, flags, doc)                \
    WEIR_ROW_(type_, field, #field, WEIR_TYPE_LIST, WEIR_TYPE_##element, fallback, NULL, NULL, \
              contexts, flags, NULL, NULL, doc)

/** Blocks named `name`, each parsed by the table `block` points to. */
#define WEIR_OPTION_BLOCK(type_, field, name, block, contexts, flags, doc)                     \
    WEIR_ROW_(type_, field, name, WEIR_TYPE_BLOCK, (enum weir_option_type)0, NULL, NULL, NULL, \
              contexts, flags, NULL, block, doc)

/** The table of `rows_`, an array, for `type_`; titles are not kept. */
#define WEIR_OPTIONS(type_, rows_)                                              \
    {                                                                           \
        sizeof(struct weir_options), sizeof(struct weir_option), sizeof(type_), \
            sizeof(rows_) / sizeof((rows_)[0]), rows_, WEIR_NO_TITLE            \
    }

/** The same for a block whose title is kept in `title`, a struct weir_str. */
#define WEIR_OPTIONS_TITLED(type_, rows_, title)                                        \
    {                                                                                   \
        sizeof(struct weir_options), sizeof(struct weir_option), sizeof(type_),         \
            sizeof(rows_) / sizeof((rows_)[0]), rows_, (uint32_t)offsetof(type_, title) \
    }

WEIR_END_DECLS

#endif
