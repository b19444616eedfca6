# SPDX-License-Identifier: MIT
# Sources of core/control/change, headers too (they go into the release): one line a file, sorted.
core_libcore_a_SOURCES += \
    core/control/change/change.c \
    core/control/change/change.h \
    core/control/change/changes.c \
    core/control/change/changes.h \
    core/control/change/drain.c \
    core/control/change/export.c \
    core/control/change/journal.c \
    core/control/change/journal.h \
    core/control/change/module_part.c \
    core/control/change/module_part.h \
    core/control/change/module_release.c \
    core/control/change/module_retry.c \
    core/control/change/overlay.c \
    core/control/change/overlay.h \
    core/control/change/pool_block.c \
    core/control/change/pool_block.h \
    core/control/change/pool_part.h \
    core/control/change/reload.c \
    core/control/change/reload.h \
    core/control/change/server_part.h \
    core/control/change/store.c \
    core/control/change/store.h \
    core/control/change/swap.c \
    core/control/change/swap.h \
    core/control/change/swap_ask.c \
    core/control/change/swap_files.c \
    core/control/change/swap_judge.c \
    core/control/change/swap_judge.h \
    core/control/change/swap_module.c \
    core/control/change/swap_pool.c \
    core/control/change/swap_record.c \
    core/control/change/swap_trial.c \
    core/control/change/undo_server.c \
    core/control/change/write_journal.c \
    core/control/change/write_pool.c \
    core/control/change/write_server.c
