# SPDX-License-Identifier: MIT
# The rooms of core/control, lowest first, and the sources on top of them, headers too: one line a file, sorted.
include core/control/api/local.mk
include core/control/change/local.mk

core_libcore_a_SOURCES += \
    core/control/control.c \
    core/control/control.h \
    core/control/control_state.h \
    core/control/leaving.c \
    core/control/loops.c \
    core/control/loops.h \
    core/control/parts.c \
    core/control/parts.h \
    core/control/privileges.c \
    core/control/privileges.h \
    core/control/report.c \
    core/control/report.h \
    core/control/restoring.c \
    core/control/sentry.c \
    core/control/sentry.h \
    core/control/status.c \
    core/control/status.h \
    core/control/stopping.c \
    core/control/takeover.c \
    core/control/try_start.c \
    core/control/try_start.h \
    core/control/watch.c \
    core/control/watch.h
