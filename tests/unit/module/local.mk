# SPDX-License-Identifier: MIT
# Unit tests of core/module. A new file is one more line at the end.
weir_tests += tests/unit/test_module
tests_unit_test_module_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_module_LDADD = $(UNIT_LIBS)
tests_unit_test_module_SOURCES = $(UNIT_RUNNER)
