#!/bin/sh
# SPDX-License-Identifier: MIT
# A module exports weir_module_entry and nothing else, and needs nothing that only weir has; weir
# exports nothing to it. Run by `make check`, which says by WEIR_BUILD where the build is.
set -eu
if ! test -x "$WEIR_BUILD/weir"; then
    echo "no weir in $WEIR_BUILD" >&2
    exit 1
fi
status=0
for module in "$WEIR_BUILD"/modules/built/*.so; do
    exported=$(nm -D --defined-only "$module" | awk '$2 != "A" { print $3 }' |
        grep -Ev '^__(asan|ubsan|tsan|odr_asan)' | tr '\n' ' ')
    if [ "$exported" != "weir_module_entry " ]; then
        echo "$module exports: $exported; weir_module_entry alone is right" >&2
        status=1
    fi
    if nm -D --undefined-only "$module" | grep -w 'weir_[a-z_]*'; then
        echo "$module needs the symbols above, which no host offers by name" >&2
        status=1
    fi
done
if nm -D --defined-only "$WEIR_BUILD/weir" | awk '{ print $3 }' | grep '^weir_'; then
    echo "weir exports the symbols above; modules reach the host by its table alone" >&2
    status=1
fi
exit $status
