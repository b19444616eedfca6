# SPDX-License-Identifier: MIT
# Unit tests of core/conf. A new file is one more line at the end.
weir_tests += tests/unit/test_conf
tests_unit_test_conf_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_conf_LDADD = $(UNIT_LIBS)
tests_unit_test_conf_SOURCES = $(UNIT_RUNNER) \
    tests/unit/temporary.h \
    tests/unit/conf/test_conf_files.c \
    tests/unit/conf/test_conf_fill.c \
    tests/unit/conf/test_conf_read.c
