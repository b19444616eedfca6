#!/bin/sh
# SPDX-License-Identifier: MIT
# Every public header stands alone, in C11 and in C++17, without a warning and with nothing but the
# language's own headers; and a module with a table of options compiles as C++ too. Run by `make check`
# (WEIR_SRCDIR names the sources) and by installcheck (WEIR_INCLUDE names the installed headers).
set -eu
include=${WEIR_INCLUDE:-$WEIR_SRCDIR/sdk/include}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
status=0

# A compiler of the kind that is there; nothing: none is.
find_compiler()
{
    for compiler in "$@"; do
        if [ -n "$compiler" ] && command -v "${compiler%% *}" >/dev/null 2>&1; then
            echo "$compiler"
            return
        fi
    done
}
c=$(find_compiler "${CC:-}" cc gcc clang)
cxx=$(find_compiler "${CXX:-}" c++ g++ clang++ clang++-14)
warnings='-Wall -Wextra -Wpedantic -Wshadow -Werror'

# compile COMPILER FLAGS FILE: tells what does not compile.
compile()
{
    if ! $1 $2 $warnings -I"$include" -c -o "$scratch/out.o" "$3" >"$scratch/log" 2>&1; then
        echo "does not compile with $1 $2:" >&2
        cat "$3" "$scratch/log" >&2
        status=1
    fi
}

for header in "$include"/weir/*.h; do
    name=$(basename "$header")
    # Twice, so that a missing include guard is found; a declaration, since an empty file is no C.
    printf '#include <weir/%s>\n#include <weir/%s>\nextern int here;\n' "$name" "$name" \
        >"$scratch/alone.c"
    compile "$c" '-std=c11 -Wstrict-prototypes -Wmissing-prototypes' "$scratch/alone.c"
    if [ -n "$cxx" ]; then
        cp "$scratch/alone.c" "$scratch/alone.cc"
        compile "$cxx" -std=c++17 "$scratch/alone.cc"
    fi
    if grep '^#include' "$header" |
        grep -Ev '<(weir/[a-z]+|stdarg|stdbool|stddef|stdint|stdio|stdlib|string)\.h>'; then
        echo "$header includes more than the language's own headers" >&2
        status=1
    fi
done

for header in "$include"/weir/*.hpp; do
    name=$(basename "$header")
    # weir_tables.hpp is a part of weir.hpp.
    if [ -n "$cxx" ] && [ "$name" != weir_tables.hpp ]; then
        printf '#include <weir/%s>\n#include <weir/%s>\n' "$name" "$name" >"$scratch/alone.cc"
        compile "$cxx" -std=c++17 "$scratch/alone.cc"
    fi
done

cat >"$scratch/module.cc" <<'END'
#include <weir/weir.h>
namespace {
struct rule {
    weir_str title;
    weir_str pool;
};
struct conf {
    weir_str name;
    int64_t count;
    int32_t mode;
    weir_list codes;
    weir_list rules;
};
const char *const modes[] = {"slow", "fast", nullptr};
const weir_option rule_rows[] = {
    WEIR_OPTION(rule, pool, STRING, nullptr, WEIR_CONTEXT_ROUTE, WEIR_OPTION_REQUIRED, "Pool."),
};
const weir_options rule_table = WEIR_OPTIONS_TITLED(rule, rule_rows, title);
const weir_option rows[] = {
    WEIR_OPTION(conf, name, STRING, "x", WEIR_CONTEXT_MODULE, 0, "Name."),
    WEIR_OPTION_RANGE(conf, count, INTEGER, "1", "1", "9", WEIR_CONTEXT_MODULE, 0, "Count."),
    WEIR_OPTION_ENUM(conf, mode, modes, "slow", WEIR_CONTEXT_MODULE, 0, "Mode."),
    WEIR_OPTION_LIST(conf, codes, INTEGER, "{200}", WEIR_CONTEXT_MODULE, 0, "Codes."),
    WEIR_OPTION_BLOCK(conf, rules, "rule", &rule_table, WEIR_CONTEXT_MODULE, 0, "Rules."),
};
const weir_options table = WEIR_OPTIONS(conf, rows);
weir_status route(weir_context *ctx, void *, weir_request *req, weir_route_result *out)
{
    weir_log(ctx, WEIR_LOG_DEBUG, "%zu", weir_request_path(req).len);
    out->status = 404;
    return WEIR_OK;
}
weir_router make_router()
{
    weir_router router{};
    router.size = sizeof(router);
    router.route = route;
    return router;
}
const weir_router router = make_router();
weir_module make_module()
{
    weir_module module{};
    module.size = sizeof(module);
    module.abi_major = WEIR_ABI_MAJOR;
    module.abi_minor = WEIR_ABI_MINOR;
    module.name = "route_cxx";
    module.version = "1";
    module.options = &table;
    module.router = &router;
    return module;
}
const weir_module module = make_module();
}
WEIR_MODULE(module);
END
if [ -n "$cxx" ]; then
    compile "$cxx" '-std=c++17 -fPIC' "$scratch/module.cc"
    nm "$scratch/out.o" | grep -q ' T weir_module_entry$' || {
        echo "C++ gives weir_module_entry another name" >&2
        status=1
    }
else
    echo "no C++ compiler is here: the headers were compiled as C alone" >&2
fi
exit $status
