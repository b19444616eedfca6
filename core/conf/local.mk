# SPDX-License-Identifier: MIT
# Sources of core/conf, headers too (they go into the release): one line a file, sorted.
core_libcore_a_SOURCES += \
    core/conf/conf.h \
    core/conf/conf_copy.c \
    core/conf/conf_fill.c \
    core/conf/conf_lex.c \
    core/conf/conf_lex.h \
    core/conf/conf_options.c \
    core/conf/conf_parse.c \
    core/conf/conf_parse.h \
    core/conf/conf_path.c \
    core/conf/conf_path.h \
    core/conf/conf_places.c \
    core/conf/conf_places.h \
    core/conf/conf_read.c \
    core/conf/conf_value.c \
    core/conf/conf_value.h
