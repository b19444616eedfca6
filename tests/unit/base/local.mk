# SPDX-License-Identifier: MIT
# Unit tests of core/base. A new file is one more line at the end.
weir_tests += tests/unit/test_base
tests_unit_test_base_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_base_LDADD = $(UNIT_LIBS)
tests_unit_test_base_SOURCES = $(UNIT_RUNNER) \
    tests/unit/temporary.h \
    tests/unit/base/test_arena.c \
    tests/unit/base/test_cold.c \
    tests/unit/base/test_crash.c \
    tests/unit/base/test_file_open.c \
    tests/unit/base/test_lanes.c \
    tests/unit/base/test_list.c \
    tests/unit/base/test_log.c \
    tests/unit/base/test_log_target.c \
    tests/unit/base/test_logfile.c \
    tests/unit/base/test_mistakes.c \
    tests/unit/base/test_random_ids.c \
    tests/unit/base/test_slabs.c \
    tests/unit/base/test_table.c \
    tests/unit/base/test_trim.c \
    tests/unit/base/test_utf8.c
