#!/bin/sh
# SPDX-License-Identifier: MIT
# Part of `make check`: the manual's modules compile as they stand there.
set -eu
srcdir=${WEIR_SRCDIR:?}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

awk -v folder="$scratch" '
    /^```c$/ { count++; inside = 1; next }
    /^```$/ { inside = 0 }
    inside { print > (folder "/module" count ".c") }
' "$srcdir/sdk/MANUAL.md"

count=0
for file in "$scratch"/module*.c; do
    test -f "$file" || break
    grep -Eq '^WEIR_(DEFINE_)?MODULE\(' "$file" || continue # a piece of one
    ${CC:-cc} -I"$srcdir/sdk/include" -std=gnu11 -fsyntax-only -Wall -Wextra -Wpedantic \
        -Wno-unused-parameter -Werror "$file"
    count=$((count + 1))
done
test $count -gt 0 || { echo "test_manual.sh: sdk/MANUAL.md has no module" >&2; exit 1; }
echo "$count modules of the manual compile"
