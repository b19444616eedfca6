# SPDX-License-Identifier: MIT
# Sources of core/proxy/downstream, headers too (they go into the release): one line a file, sorted.
core_libcore_a_SOURCES += \
    core/proxy/downstream/address_count.c \
    core/proxy/downstream/address_count.h \
    core/proxy/downstream/downstream.c \
    core/proxy/downstream/downstream.h \
    core/proxy/downstream/greeting.c \
    core/proxy/downstream/greeting.h \
    core/proxy/downstream/listener.c \
    core/proxy/downstream/listener.h \
    core/proxy/downstream/listening.c \
    core/proxy/downstream/listening.h
