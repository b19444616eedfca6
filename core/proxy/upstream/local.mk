# SPDX-License-Identifier: MIT
# Sources of core/proxy/upstream, headers too (they go into the release): one line a file, sorted.
core_libcore_a_SOURCES += \
    core/proxy/upstream/connecting.c \
    core/proxy/upstream/connecting.h \
    core/proxy/upstream/names.c \
    core/proxy/upstream/names.h \
    core/proxy/upstream/probe.c \
    core/proxy/upstream/probe.h \
    core/proxy/upstream/probe_attempt.c \
    core/proxy/upstream/probe_http.c \
    core/proxy/upstream/probe_http.h \
    core/proxy/upstream/probe_parts.h
