# SPDX-License-Identifier: MIT
# Sources of core/net, headers too (they go into the release): one line a file, sorted.
core_libcore_a_SOURCES += \
    core/net/acceptor.c \
    core/net/acceptor.h \
    core/net/address.c \
    core/net/address.h \
    core/net/conn.c \
    core/net/conn.h \
    core/net/conn_buffer.c \
    core/net/conn_close.c \
    core/net/conn_error.c \
    core/net/conn_linger.c \
    core/net/conn_look.c \
    core/net/conn_pool.c \
    core/net/conn_pool.h \
    core/net/conn_tls.c \
    core/net/dns_answer.c \
    core/net/dns_answer.h \
    core/net/dns_question.c \
    core/net/dns_question.h \
    core/net/follow.c \
    core/net/follow.h \
    core/net/hosts.c \
    core/net/hosts.h \
    core/net/listener.c \
    core/net/listener.h \
    core/net/loop.c \
    core/net/loop.h \
    core/net/nameservers.c \
    core/net/nameservers.h \
    core/net/proxy_header.c \
    core/net/proxy_header.h \
    core/net/resolver.c \
    core/net/resolver.h \
    core/net/tcp_watch.c \
    core/net/tcp_watch.h \
    core/net/timer.c \
    core/net/timer.h \
    core/net/tls.c \
    core/net/tls.h \
    core/net/tls_context.c \
    core/net/tls_context.h \
    core/net/tls_names.c \
    core/net/tls_names.h \
    core/net/tls_server.c \
    core/net/tls_ticket.c
