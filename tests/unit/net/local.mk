# SPDX-License-Identifier: MIT
# Unit tests of core/net. A new file is one more line at the end.
weir_tests += tests/unit/test_net
tests_unit_test_net_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_net_LDADD = $(UNIT_LIBS)
tests_unit_test_net_SOURCES = $(UNIT_RUNNER)
