# SPDX-License-Identifier: MIT
# The rooms of core/proxy, lowest first, and the sources on top of them, headers too: one line a file, sorted.
include core/proxy/plan/local.mk
include core/proxy/pool/local.mk
include core/proxy/upstream/local.mk
include core/proxy/downstream/local.mk
include core/proxy/stream/local.mk

core_libcore_a_SOURCES += \
    core/proxy/generation.c \
    core/proxy/generation.h \
    core/proxy/runtime.c \
    core/proxy/runtime.h \
    core/proxy/worker.c \
    core/proxy/worker.h
