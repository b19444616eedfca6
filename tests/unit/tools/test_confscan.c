/* SPDX-License-Identifier: MIT */
/* Which module a file of conf.d enables, and whether it says anything else. */
#include "runner.h"

#include "confscan.h"

UNIT_TEST(blocks_are_found)
{
    static const struct {
        const char *text;
        enum conf_blocks found;
    } cases[] = {
        {"", CONF_ABSENT},
        {"module \"a\" {}", CONF_ALONE},
        {"module 'a' { x = \"}\" }", CONF_ALONE},
        {"module a{}", CONF_ALONE},
        {"# module \"b\" {}\n// x\n/* module \"c\" { */ module \"a\" { # }\n y { z = 1 } }",
         CONF_ALONE},
        {"#module \"a\" {}", CONF_ABSENT},
        {"/* module \"a\" {} */", CONF_ABSENT},
        {"module \"ab\" {}", CONF_ABSENT},
        {"pool \"x\" { module \"a\" {} }", CONF_ABSENT},
        {"x = \"module \\\"a\\\" {}\"", CONF_ABSENT},
        {"module \"a\" {} pool \"x\" {}", CONF_AMONG_OTHERS},
        {"workers = 2\nmodule \"a\" {}", CONF_AMONG_OTHERS},
        {"module \"b\" {} module \"a\" {}", CONF_AMONG_OTHERS},
        {"module \"a\" { x = {1, 2} y = \"\\\"}\" } # end", CONF_ALONE},
        {"module \"a\" {", CONF_ALONE},
        {"module \"a", CONF_ABSENT},
        {"module", CONF_ABSENT},
        {"}}} module \"a\" {}", CONF_ALONE},
        {"/* open", CONF_ABSENT},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum conf_blocks found = conf_scan(cases[i].text, "a");
        ck_assert_msg(found == cases[i].found, "%s: %d", cases[i].text, (int)found);
    }
}
