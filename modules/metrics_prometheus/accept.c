/* SPDX-License-Identifier: MIT */
/*
 * Reading Accept (RFC 9110 section 12.5.1) for two media types.
 */
#include "accept.h"

#include <weir/text.h>

/* The quality of a media range, from what is behind its type, in thousandths; another version than
 * `version` has none. */
static int range_quality(struct weir_str parameters, const char *version)
{
    struct weir_str rest = parameters, name, value;

    while (weir_list_parameter(&rest, &name, &value)) {
        if (weir_str_is_nocase(name, "version") && !weir_str_is_nocase(value, version)) {
            return 0;
        }
    }
    return weir_list_weight(parameters);
}

bool accept_openmetrics(struct weir_str accept)
{
    struct weir_str range;
    int openmetrics = 0, text = 0;

    while (weir_list_next(&accept, &range)) {
        struct weir_str type = weir_str_cut_unquoted(&range, ';');
        if (weir_str_is_nocase(type, "application/openmetrics-text")) {
            int quality = range_quality(range, "1.0.0");
            openmetrics = quality > openmetrics ? quality : openmetrics;
        } else if (weir_str_is_nocase(type, "text/plain")) {
            int quality = range_quality(range, "0.0.4");
            text = quality > text ? quality : text;
        }
    }
    return openmetrics > 0 && openmetrics >= text;
}
