# SPDX-License-Identifier: MIT
# Sources of core/proxy/stream, headers too (they go into the release): one line a file, sorted.
core_libcore_a_SOURCES += \
    core/proxy/stream/chain.c \
    core/proxy/stream/chain.h \
    core/proxy/stream/forwarding.c \
    core/proxy/stream/forwarding.h \
    core/proxy/stream/home.c \
    core/proxy/stream/home.h \
    core/proxy/stream/replay.c \
    core/proxy/stream/replay.h \
    core/proxy/stream/sdk_request.c \
    core/proxy/stream/stream.c \
    core/proxy/stream/stream.h \
    core/proxy/stream/stream_connect.c \
    core/proxy/stream/stream_etags.c \
    core/proxy/stream/stream_etags.h \
    core/proxy/stream/stream_filter.c \
    core/proxy/stream/stream_filter.h \
    core/proxy/stream/stream_keep.c \
    core/proxy/stream/stream_log.c \
    core/proxy/stream/stream_reply.c \
    core/proxy/stream/stream_time.c \
    core/proxy/stream/stream_up.c
