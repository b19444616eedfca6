# SPDX-License-Identifier: MIT
# Unit tests of core/net. A new file is one more line at the end.
weir_tests += tests/unit/test_net
tests_unit_test_net_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_net_LDADD = $(UNIT_LIBS)
tests_unit_test_net_SOURCES = $(UNIT_RUNNER) \
    tests/unit/net/conn_stage.c \
    tests/unit/net/conn_stage.h \
    tests/unit/net/net_help.c \
    tests/unit/net/net_help.h \
    tests/unit/net/test_address.c \
    tests/unit/net/test_conn.c \
    tests/unit/net/test_conn_close.c \
    tests/unit/net/test_conn_tls.c \
    tests/unit/net/test_conn_tls_open.c \
    tests/unit/net/test_dns_answer.c \
    tests/unit/net/test_follow.c \
    tests/unit/net/test_hosts.c \
    tests/unit/net/test_listener.c \
    tests/unit/net/test_loop.c \
    tests/unit/net/test_proxy_header.c \
    tests/unit/net/test_timer.c \
    tests/unit/net/test_tls.c \
    tests/unit/net/tls_help.c \
    tests/unit/net/tls_help.h \
    tests/unit/net/tls_stage.c \
    tests/unit/net/tls_stage.h
