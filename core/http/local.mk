# SPDX-License-Identifier: MIT
# Sources of core/http, headers too (they go into the release): one line a file, sorted.
core_libcore_a_SOURCES += \
    core/http/batch.c \
    core/http/batch.h \
    core/http/codec.h \
    core/http/codecs.c \
    core/http/down_conn.c \
    core/http/down_conn.h \
    core/http/forwarded.c \
    core/http/forwarded.h \
    core/http/h1_chunk.c \
    core/http/h1_down.c \
    core/http/h1_down.h \
    core/http/h1_down_parts.h \
    core/http/h1_down_request.c \
    core/http/h1_down_response.c \
    core/http/h1_fields.c \
    core/http/h1_fields.h \
    core/http/h1_parse.h \
    core/http/h1_request.c \
    core/http/h1_response.c \
    core/http/h1_send.c \
    core/http/h1_send.h \
    core/http/h1_up.c \
    core/http/h1_up.h \
    core/http/h1_write.c \
    core/http/h1_write.h \
    core/http/h2.c \
    core/http/h2.h \
    core/http/h2_down.c \
    core/http/h2_down.h \
    core/http/h2_fields.c \
    core/http/message.c \
    core/http/message.h \
    core/http/reason.c \
    core/http/syntax.c \
    core/http/syntax.h \
    core/http/up_conn.c \
    core/http/up_conn.h \
    core/http/uri.c \
    core/http/uri.h
