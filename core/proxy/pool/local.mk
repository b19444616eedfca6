# SPDX-License-Identifier: MIT
# Sources of core/proxy/pool, headers too (they go into the release): one line a file, sorted.
core_libcore_a_SOURCES += \
    core/proxy/pool/attempt.c \
    core/proxy/pool/attempt.h \
    core/proxy/pool/balancer.c \
    core/proxy/pool/balancer.h \
    core/proxy/pool/connections.c \
    core/proxy/pool/connections.h \
    core/proxy/pool/etags.c \
    core/proxy/pool/etags.h \
    core/proxy/pool/home.c \
    core/proxy/pool/home.h \
    core/proxy/pool/members.c \
    core/proxy/pool/members.h \
    core/proxy/pool/outcomes.c \
    core/proxy/pool/outcomes.h \
    core/proxy/pool/pick.c \
    core/proxy/pool/pick.h \
    core/proxy/pool/pool.c \
    core/proxy/pool/pool.h \
    core/proxy/pool/queue.c \
    core/proxy/pool/queue.h \
    core/proxy/pool/ranking.c \
    core/proxy/pool/ranking.h \
    core/proxy/pool/recovery.c \
    core/proxy/pool/recovery.h \
    core/proxy/pool/retry_budget.h \
    core/proxy/pool/server.c \
    core/proxy/pool/server.h \
    core/proxy/pool/sessions.c \
    core/proxy/pool/sessions.h \
    core/proxy/pool/shadow.c \
    core/proxy/pool/shadow.h \
    core/proxy/pool/spares.c \
    core/proxy/pool/spares.h \
    core/proxy/pool/turns.c \
    core/proxy/pool/turns.h
