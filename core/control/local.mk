# SPDX-License-Identifier: MIT
# Sources of core/control, headers too (they go into the release): one line a file, sorted.
core_libcore_a_SOURCES += \
    core/control/apply.c \
    core/control/apply.h \
    core/control/control.c \
    core/control/control.h \
    core/control/privileges.c \
    core/control/privileges.h \
    core/control/report.c \
    core/control/report.h \
    core/control/sdk_stats.c \
    core/control/sdk_stats.h
