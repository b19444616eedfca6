# SPDX-License-Identifier: MIT
# Unit tests of the balancing benchmark's own parts. A new file is one more line at the end.
weir_tests += tests/unit/test_bench
tests_unit_test_bench_CPPFLAGS = $(UNIT_CPPFLAGS) -I$(top_srcdir)/tests/bench
tests_unit_test_bench_LDADD = $(UNIT_LIBS) -lm
tests_unit_test_bench_SOURCES = $(UNIT_RUNNER) tests/bench/draws.h tests/bench/service.h \
    tests/unit/bench/test_draws.c \
    tests/unit/bench/test_service.c
