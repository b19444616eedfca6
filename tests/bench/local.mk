# SPDX-License-Identifier: MIT
# The benchmark's helpers, built on demand: `make bench BENCH_OPTIONS='--rounds 5'`.
# tests/bench/run builds them by itself where there is no build tree.
weir_bench_programs = tests/bench/origin tests/bench/grpc_origin tests/bench/floor tests/bench/load \
    tests/bench/open_load tests/bench/scripted
weir_test_programs += $(weir_bench_programs)

tests_bench_origin_SOURCES = tests/bench/origin.c tests/bench/sockets.h
tests_bench_grpc_origin_SOURCES = tests/bench/grpc_origin.c tests/bench/sockets.h
tests_bench_grpc_origin_CPPFLAGS = $(AM_CPPFLAGS) $(NGHTTP2_CFLAGS)
tests_bench_grpc_origin_LDADD = $(NGHTTP2_LIBS)
tests_bench_floor_SOURCES = tests/bench/floor.c tests/bench/sockets.h
tests_bench_load_SOURCES = tests/bench/load.c tests/bench/sockets.h
tests_bench_load_CPPFLAGS = $(AM_CPPFLAGS) $(OPENSSL_CFLAGS)
tests_bench_load_LDADD = $(OPENSSL_LIBS)
tests_bench_open_load_SOURCES = tests/bench/open_load.c tests/bench/draws.h tests/bench/sockets.h
tests_bench_open_load_LDADD = -lm
tests_bench_scripted_SOURCES = \
    tests/bench/scripted.c tests/bench/draws.h tests/bench/service.h tests/bench/sockets.h
tests_bench_scripted_LDADD = -lm

bench: all $(weir_bench_programs)
	$(srcdir)/tests/bench/run --build-dir '$(abs_top_builddir)' $(BENCH_OPTIONS)
.PHONY: bench

# What a pick costs: `make tests/bench/picks`, then tests/bench/picks MODULE.so ...
weir_test_programs += tests/bench/picks
tests_bench_picks_SOURCES = tests/bench/picks.c $(SDK_OPTION_SOURCES) \
    core/proxy/pool/ranking.c core/proxy/pool/ranking.h core/proxy/pool/turns.c core/proxy/pool/turns.h
tests_bench_picks_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/core -I$(top_srcdir)/sdk
tests_bench_picks_LDADD = -ldl -lm
