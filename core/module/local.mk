# SPDX-License-Identifier: MIT
# Sources of core/module, headers too (they go into the release): one line a file, sorted.
core_libcore_a_SOURCES += \
    core/module/blame.c \
    core/module/blame.h \
    core/module/call.c \
    core/module/call.h \
    core/module/check.c \
    core/module/check.h \
    core/module/context.h \
    core/module/guard.c \
    core/module/guard.h \
    core/module/hmac.c \
    core/module/hmac.h \
    core/module/host.c \
    core/module/host.h \
    core/module/metrics.c \
    core/module/metrics.h \
    core/module/module.c \
    core/module/module.h \
    core/module/module_abi.c \
    core/module/module_abi.h \
    core/module/module_kind.c \
    core/module/module_library.c \
    core/module/module_library.h \
    core/module/secret.c \
    core/module/secret.h \
    core/module/shared.c \
    core/module/shared.h
