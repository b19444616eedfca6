# SPDX-License-Identifier: MIT
# Sources of core/proxy/plan, headers too (they go into the release): one line a file, sorted.
core_libcore_a_SOURCES += \
    core/proxy/plan/build.c \
    core/proxy/plan/build.h \
    core/proxy/plan/build_check.c \
    core/proxy/plan/build_derived.c \
    core/proxy/plan/build_global.c \
    core/proxy/plan/build_listeners.c \
    core/proxy/plan/build_pools.c \
    core/proxy/plan/build_swap.c \
    core/proxy/plan/build_tools.c \
    core/proxy/plan/build_uses.c \
    core/proxy/plan/descriptors.c \
    core/proxy/plan/descriptors.h \
    core/proxy/plan/expand.c \
    core/proxy/plan/expand.h \
    core/proxy/plan/lifetime.c \
    core/proxy/plan/lifetime.h \
    core/proxy/plan/plan.c \
    core/proxy/plan/plan.h \
    core/proxy/plan/settings.c \
    core/proxy/plan/settings.h \
    core/proxy/plan/traffic.c \
    core/proxy/plan/traffic.h \
    core/proxy/plan/trial.c \
    core/proxy/plan/trial.h \
    core/proxy/plan/use.h
