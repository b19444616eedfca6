# SPDX-License-Identifier: MIT
# Sources of core/control/api, headers too (they go into the release): one line a file, sorted.
core_libcore_a_SOURCES += \
    core/control/api/arguments.c \
    core/control/api/arguments.h \
    core/control/api/call.c \
    core/control/api/command.h \
    core/control/api/config.c \
    core/control/api/config_text.c \
    core/control/api/config_text.h \
    core/control/api/events.c \
    core/control/api/events.h \
    core/control/api/explain.c \
    core/control/api/explain.h \
    core/control/api/explain_answer.c \
    core/control/api/find.c \
    core/control/api/find.h \
    core/control/api/jobs.c \
    core/control/api/jobs.h \
    core/control/api/json.c \
    core/control/api/json.h \
    core/control/api/lately.c \
    core/control/api/lately.h \
    core/control/api/modules.c \
    core/control/api/modules.h \
    core/control/api/operation.c \
    core/control/api/operation.h \
    core/control/api/plane.c \
    core/control/api/plane.h \
    core/control/api/provider.c \
    core/control/api/provider.h \
    core/control/api/provider_services.c \
    core/control/api/read.c \
    core/control/api/resident.c \
    core/control/api/resident.h \
    core/control/api/schemas.c \
    core/control/api/sdk_stats.c \
    core/control/api/sdk_stats.h \
    core/control/api/services.c \
    core/control/api/services.h \
    core/control/api/show.c \
    core/control/api/show.h \
    core/control/api/totals.c \
    core/control/api/totals.h
