# SPDX-License-Identifier: MIT
# Sources of core/base, headers too (they go into the release): one line a file, sorted.
core_libcore_a_SOURCES += \
    core/base/arena.c \
    core/base/arena.h \
    core/base/base.c \
    core/base/base.h \
    core/base/cold.c \
    core/base/cold.h \
    core/base/crash.c \
    core/base/crash.h \
    core/base/file_open.c \
    core/base/file_open.h \
    core/base/lanes.c \
    core/base/lanes.h \
    core/base/list.h \
    core/base/log.c \
    core/base/log.h \
    core/base/log_target.c \
    core/base/log_target.h \
    core/base/log_writer.c \
    core/base/log_writer.h \
    core/base/logfile.c \
    core/base/logfile.h \
    core/base/mistakes.c \
    core/base/mistakes.h \
    core/base/poison.h \
    core/base/random_ids.c \
    core/base/random_ids.h \
    core/base/slabs.c \
    core/base/slabs.h \
    core/base/table.c \
    core/base/table.h \
    core/base/trim.c \
    core/base/trim.h \
    core/base/utf8.c \
    core/base/utf8.h
