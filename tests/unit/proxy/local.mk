# SPDX-License-Identifier: MIT
# Unit tests of core/proxy. A new file is one more line at the end.
weir_tests += tests/unit/test_proxy
tests_unit_test_proxy_CPPFLAGS = $(UNIT_CPPFLAGS) \
    -DWEIR_MODULES='"$(abs_top_builddir)/modules/built"'
tests_unit_test_proxy_LDADD = $(UNIT_LIBS)
tests_unit_test_proxy_SOURCES = $(UNIT_RUNNER) \
    tests/unit/metered.h \
    tests/unit/proxy/pool/pool_stage.c \
    tests/unit/proxy/pool/pool_stage.h \
    tests/unit/proxy/downstream/test_address_count.c \
    tests/unit/proxy/downstream/test_downstream.c \
    tests/unit/proxy/downstream/test_greeting.c \
    tests/unit/proxy/stream/script.c \
    tests/unit/proxy/stream/script.h \
    tests/unit/proxy/stream/test_chain.c \
    tests/unit/proxy/stream/test_replay.c \
    tests/unit/proxy/stream/test_stream.c \
    tests/unit/proxy/stream/test_stream_failures.c \
    tests/unit/proxy/stream/test_stream_many.c \
    tests/unit/proxy/stream/test_stream_phases.c \
    tests/unit/proxy/pool/test_connections.c \
    tests/unit/proxy/pool/test_etags.c \
    tests/unit/proxy/pool/test_balancer.c \
    tests/unit/proxy/pool/test_pick.c \
    tests/unit/proxy/pool/test_queue.c \
    tests/unit/proxy/pool/test_ranking.c \
    tests/unit/proxy/pool/test_recovery.c \
    tests/unit/proxy/pool/test_retry_budget.c \
    tests/unit/proxy/pool/test_server.c \
    tests/unit/proxy/pool/test_sessions.c \
    tests/unit/proxy/pool/test_shadow.c \
    tests/unit/proxy/pool/test_spares.c \
    tests/unit/temporary.h \
    tests/unit/proxy/plan/test_build.c \
    tests/unit/proxy/plan/test_trial.c \
    tests/unit/proxy/plan/test_expand.c \
    tests/unit/proxy/plan/test_lifetime.c \
    tests/unit/proxy/plan/test_traffic.c \
    tests/unit/proxy/upstream/test_connecting.c \
    tests/unit/proxy/upstream/test_probe_http.c \
    tests/unit/proxy/stream/test_waiting.c \
    tests/unit/proxy/test_generation.c \
    tests/unit/http/fake_up.c \
    tests/unit/http/fake_up.h \
    tests/unit/http/h2_peer.c \
    tests/unit/http/h2_peer.h \
    tests/unit/http/notes.c \
    tests/unit/http/notes.h \
    tests/unit/net/net_help.c \
    tests/unit/net/net_help.h
