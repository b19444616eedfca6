/* SPDX-License-Identifier: MIT */
/* One message read by both parsers, and the table of why they may disagree. */
#ifndef WEIR_TESTS_FUZZ_DIFFERENTIAL_H
#define WEIR_TESTS_FUZZ_DIFFERENTIAL_H

#include "fuzz/oracle.h"
#include "http/h1_parse.h"

struct comparison {
    const char *data;
    size_t len;
    bool response, head_answer;
    struct verdict ours, oracle;
    struct http_request_head request;
    struct http_response_head answer;
    const char *difference; /* both took it: what differs */
};

/* false: no row explains the disagreement. */
bool differential_explain(const struct comparison *it);

/* Prints each row with the number of messages that it explained. */
void differential_print(void);

#endif
