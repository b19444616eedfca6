# SPDX-License-Identifier: MIT
# Unit tests of core/base. A new file is one more line at the end.
weir_tests += tests/unit/test_base
tests_unit_test_base_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_base_LDADD = $(UNIT_LIBS)
tests_unit_test_base_SOURCES = $(UNIT_RUNNER)
