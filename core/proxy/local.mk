# SPDX-License-Identifier: MIT
# Sources of core/proxy, headers too (they go into the release): one line a file, sorted.
core_libcore_a_SOURCES += \
    core/proxy/address_count.c \
    core/proxy/address_count.h \
    core/proxy/bound.c \
    core/proxy/bound.h \
    core/proxy/client.c \
    core/proxy/client.h \
    core/proxy/forwarding.c \
    core/proxy/forwarding.h \
    core/proxy/generation.c \
    core/proxy/generation.h \
    core/proxy/generation_build.c \
    core/proxy/greeting.c \
    core/proxy/greeting.h \
    core/proxy/names.c \
    core/proxy/names.h \
    core/proxy/outcomes.c \
    core/proxy/outcomes.h \
    core/proxy/pick.c \
    core/proxy/pool.c \
    core/proxy/pool.h \
    core/proxy/probe.c \
    core/proxy/probe.h \
    core/proxy/queue.c \
    core/proxy/queue.h \
    core/proxy/recovery.c \
    core/proxy/recovery.h \
    core/proxy/retry_budget.h \
    core/proxy/sdk_request.c \
    core/proxy/server.c \
    core/proxy/server.h \
    core/proxy/settings.c \
    core/proxy/settings.h \
    core/proxy/stats.c \
    core/proxy/stats.h \
    core/proxy/stream.c \
    core/proxy/stream.h \
    core/proxy/stream_filter.c \
    core/proxy/stream_filter.h \
    core/proxy/stream_head.c \
    core/proxy/stream_log.c \
    core/proxy/stream_reply.c \
    core/proxy/stream_up.c \
    core/proxy/worker.c \
    core/proxy/worker.h
