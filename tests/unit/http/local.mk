# SPDX-License-Identifier: MIT
# Unit tests of core/http. A new file is one more line at the end.
weir_tests += tests/unit/test_http
tests_unit_test_http_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_http_LDADD = $(UNIT_LIBS)
tests_unit_test_http_SOURCES = $(UNIT_RUNNER) \
    tests/unit/http/heads.c \
    tests/unit/http/heads.h \
    tests/unit/http/notes.c \
    tests/unit/http/notes.h \
    tests/unit/http/test_chunk.c \
    tests/unit/http/test_forwarded.c \
    tests/unit/http/test_grpc.c \
    tests/unit/http/down_stage.h \
    tests/unit/http/up_stage.h \
    tests/unit/http/test_h1_down.c \
    tests/unit/http/test_h1_down_ends.c \
    tests/unit/http/test_h1_down_responses.c \
    tests/unit/http/test_h1_up.c \
    tests/unit/http/test_h1_up_ends.c \
    tests/unit/http/test_h1_up_requests.c \
    tests/unit/http/h2_down_stage.h \
    tests/unit/http/h2_peer.c \
    tests/unit/http/h2_peer.h \
    tests/unit/http/test_h2_block.c \
    tests/unit/http/test_h2_down.c \
    tests/unit/http/test_h2_down_ends.c \
    tests/unit/http/test_h2_up.c \
    tests/unit/http/test_message.c \
    tests/unit/http/test_request.c \
    tests/unit/http/test_response.c \
    tests/unit/http/test_retry_after.c \
    tests/unit/http/test_uri.c \
    tests/unit/http/test_write.c \
    tests/unit/net/net_help.c \
    tests/unit/net/net_help.h
