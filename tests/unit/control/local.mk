# SPDX-License-Identifier: MIT
# Unit tests of core/control. A new file is one more line at the end.
weir_tests += tests/unit/test_control
tests_unit_test_control_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_control_LDADD = $(UNIT_LIBS)
tests_unit_test_control_SOURCES = $(UNIT_RUNNER) \
    tests/unit/control/change/change_stage.c \
    tests/unit/control/change/change_stage.h \
    tests/unit/control/change/test_change.c \
    tests/unit/control/api/test_config_text.c \
    tests/unit/control/change/test_drain.c \
    tests/unit/control/api/test_events.c \
    tests/unit/control/change/test_export.c \
    tests/unit/control/change/test_journal.c \
    tests/unit/control/api/test_operation.c \
    tests/unit/control/change/test_overlay.c \
    tests/unit/control/change/test_reload.c \
    tests/unit/control/change/test_undo.c \
    tests/unit/control/change/test_write_server.c \
    tests/unit/control/test_loops.c \
    tests/unit/control/test_parts.c \
    tests/unit/control/test_takeover.c \
    tests/unit/control/api/test_sdk_stats.c \
    tests/unit/control/change/test_provider.c \
    tests/unit/control/api/test_explain.c \
    tests/unit/control/change/test_store.c \
    tests/unit/control/api/test_lately.c \
    tests/unit/control/change/test_swap_judge.c
