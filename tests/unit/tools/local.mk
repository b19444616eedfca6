# SPDX-License-Identifier: MIT
# Unit tests of tools/weirctl. A new file is one more line at the end.
weir_tests += tests/unit/test_tools
tests_unit_test_tools_CPPFLAGS = $(WEIRCTL_CPPFLAGS) -I$(top_srcdir)/tests/unit $(CHECK_CFLAGS)
tests_unit_test_tools_LDADD = $(WEIRCTL_LIBS) $(CHECK_LIBS)
tests_unit_test_tools_SOURCES = $(UNIT_RUNNER) $(WEIRCTL_SOURCES) \
    tests/unit/tools/test_command.c \
    tests/unit/tools/test_confscan.c \
    tests/unit/tools/test_http.c \
    tests/unit/tools/test_print.c \
    tests/unit/tools/test_util.c
