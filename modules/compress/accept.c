/* SPDX-License-Identifier: MIT */
/* Accept-Encoding. See accept.h. */
#include "accept.h"

void accept_begin(struct accept *accept)
{
    for (size_t i = 0; i < ENCODING_COUNT; i++) {
        accept->weight[i] = -1;
    }
    accept->identity = -1;
    accept->any = -1;
}

void accept_read(struct accept *accept, struct weir_str value)
{
    struct weir_str element;

    while (weir_list_next(&value, &element)) {
        struct weir_str name = weir_str_cut_unquoted(&element, ';');
        int weight = weir_list_weight(element);
        if (weir_str_is_nocase(name, "gzip") || weir_str_is_nocase(name, "x-gzip")) {
            accept->weight[ENCODING_GZIP] = weight;
        } else if (weir_str_is_nocase(name, "br")) {
            accept->weight[ENCODING_BROTLI] = weight;
        } else if (weir_str_is_nocase(name, "identity")) {
            accept->identity = weight;
        } else if (weir_str_is_nocase(name, "*")) {
            accept->any = weight;
        }
    }
}

enum encoding accept_choose(const struct accept *accept, const enum encoding *order, size_t count)
{
    enum encoding best = ENCODING_NONE;
    /* Not named, the body as it is is acceptable, and nobody's wish; named, it is one among
     * others. */
    int most = accept->identity >= 0 ? accept->identity : accept->any > 0 ? accept->any : 0;

    for (size_t i = 0; i < count; i++) {
        int weight = accept->weight[order[i]];
        weight = weight >= 0 ? weight : accept->any;
        if (weight > 0 && (weight > most || (weight == most && best == ENCODING_NONE))) {
            best = order[i];
            most = weight;
        }
    }
    return best;
}
