#!/bin/sh
# SPDX-License-Identifier: MIT
# Run by `make installcheck`, which gives the folders of the installation by the environment: builds and
# tests the SDK's template out of tree, both ways, against what is installed and nothing else, and lets
# the installed weir balance requests with it.
set -eu
: "${prefix:?}" "${includedir:?}" "${datadir:?}" "${pkgdatadir:?}" "${pkgconfigdir:?}"
: "${moduledir:?}" "${bindir:?}" "${sbindir:?}"
DESTDIR=${DESTDIR:-}
PYTHON=${PYTHON:-/usr/bin/python3}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

say()
{
    echo "installcheck: $*"
}

fail()
{
    echo "installcheck: $*" >&2
    exit 1
}

# Runs a command; what it prints is shown only where it fails.
quietly()
{
    "$@" >"$scratch/log" 2>&1 || { cat "$scratch/log" >&2; fail "failed: $*"; }
}

# pkg-config and aclocal find the installed files, wherever DESTDIR put them. Nothing of a build around
# this script may leak in.
PKG_CONFIG_PATH=$DESTDIR$pkgconfigdir${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
ACLOCAL_PATH=$DESTDIR$datadir/aclocal
export PKG_CONFIG_PATH ACLOCAL_PATH CC
if [ -n "$DESTDIR" ]; then
    PKG_CONFIG_SYSROOT_DIR=$DESTDIR
    export PKG_CONFIG_SYSROOT_DIR
fi
unset MAKEFLAGS MAKELEVEL MFLAGS VPATH srcdir CPATH C_INCLUDE_PATH LIBRARY_PATH || :

# --- what is installed ----------------------------------------------------------------------------

[ "$(pkg-config --variable=moduledir weir-sdk)" = "$moduledir" ] ||
    fail "weir-sdk.pc gives another moduledir than $moduledir"
[ -f "$DESTDIR$includedir/weir/weir.h" ] || fail "no weir.h in $DESTDIR$includedir/weir"
say 'the headers alone, in C and C++'
WEIR_INCLUDE=$DESTDIR$includedir sh "${0%/*}/test_headers.sh"

# --- the template, by make alone and by autotools -------------------------------------------------

cp -r "$DESTDIR$pkgdatadir/template" "$scratch/plain"
cp -r "$DESTDIR$pkgdatadir/template" "$scratch/auto"
chmod -R u+w "$scratch/plain" "$scratch/auto"
mkdir "$scratch/modules" "$scratch/auto-modules"

# module_is_sound FILE: one symbol out, none of Weir's in.
module_is_sound()
{
    [ -f "$1" ] || fail "$1 was not installed"
    out=$(nm -D --defined-only "$1" | awk '$2 != "A" { print $3 }' |
        grep -Ev '^__(asan|ubsan|tsan|odr_asan)' | tr '\n' ' ')
    [ "$out" = 'weir_module_entry ' ] || fail "$1 exports: $out"
    ! nm -D --undefined-only "$1" | grep -w 'weir_[a-z_]*' || fail "$1 needs the symbols above"
}

say 'the template with make: build, check, install'
quietly make -C "$scratch/plain" ${CFLAGS:+"CFLAGS=$CFLAGS"} ${LDFLAGS:+"LDFLAGS=$LDFLAGS"} \
    MODULEDIR="$scratch/modules" DESTDIR= balance_two_choices.so check install
module_is_sound "$scratch/modules/balance_two_choices.so"

say 'the template with autotools: build, check, install'
mkdir "$scratch/auto/build"
(
    cd "$scratch/auto"
    quietly autoreconf -fi
    cd build
    quietly ../configure ${CFLAGS:+"CFLAGS=$CFLAGS"} ${LDFLAGS:+"LDFLAGS=$LDFLAGS"} \
        --with-weir-moduledir="$scratch/auto-modules"
    quietly make DESTDIR=
    quietly make check DESTDIR=
    grep -q '^# PASS: *1$' test-suite.log || fail 'its make check has not run the test'
    quietly make install DESTDIR=
)
module_is_sound "$scratch/auto-modules/balance_two_choices.so"

# --- the installed check of modules ----------------------------------------------------------------

say 'weir-module-check: the built module, its source with sanitizers, a bad one'
check=$DESTDIR$bindir/weir-module-check
quietly "$check" --seeds 20 "$scratch/modules/balance_two_choices.so"
quietly "$DESTDIR$bindir/weirctl" module check --seeds 2 "$scratch/auto-modules/balance_two_choices.so"
if echo 'int main(void) { return 0; }' >"$scratch/empty.c" &&
    ${CC:-cc} -fsanitize=address,undefined -o "$scratch/empty" "$scratch/empty.c" 2>/dev/null; then
    quietly env -u CFLAGS -u LDFLAGS "$check" --seeds 5 --sanitize "$scratch/plain/balance_two_choices.c"
fi
cp "$scratch/modules/balance_two_choices.so" "$scratch/renamed.so"
! "$check" --seeds 1 "$scratch/renamed.so" >"$scratch/log" || fail 'weir-module-check takes a wrong name'
grep -q 'it calls itself balance_two_choices.*; right: ' "$scratch/log" || fail "$(cat "$scratch/log")"

# --- the installed weir with it -------------------------------------------------------------------

weir=$DESTDIR$sbindir/weir
[ -x "$weir" ] || fail "no program $weir"
mkdir "$scratch/all"
cp "$DESTDIR$moduledir"/*.so "$scratch/all/"
for built in modules auto-modules; do
    say "requests through the installed weir and the module in $built"
    cp "$scratch/$built/balance_two_choices.so" "$scratch/all/"
    mkdir "$scratch/run-$built"
    "$PYTHON" "${0%/*}/installcheck.py" "$weir" "$scratch/all" "$scratch/run-$built"
done
say 'all is well'
