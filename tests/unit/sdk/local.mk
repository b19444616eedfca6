# SPDX-License-Identifier: MIT
# Unit tests of sdk: of the option values (which the core has too), and of the fake host.
weir_tests += tests/unit/test_sdk
tests_unit_test_sdk_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/sdk -I$(top_srcdir)/tests/unit \
    $(CHECK_CFLAGS)
tests_unit_test_sdk_LDADD = $(SDK_TESTING_PARTS) $(MODULE_TEST_LIBS)
tests_unit_test_sdk_SOURCES = $(UNIT_RUNNER) \
    tests/unit/sdk/mock_module.c \
    tests/unit/sdk/mock_module.h \
    tests/unit/sdk/test_balancer.c \
    tests/unit/sdk/test_conf.c \
    tests/unit/sdk/test_descriptor.c \
    tests/unit/sdk/test_guard.c \
    tests/unit/sdk/test_json.c \
    tests/unit/sdk/test_key.c \
    tests/unit/sdk/test_kinds.c \
    tests/unit/sdk/test_loop.c \
    tests/unit/sdk/test_metrics.c \
    tests/unit/sdk/test_option_address.c \
    tests/unit/sdk/test_option_table.c \
    tests/unit/sdk/test_option_value.c \
    tests/unit/sdk/test_ranked.c \
    tests/unit/sdk/test_request.c \
    tests/unit/sdk/test_text.c \
    tests/unit/sdk/test_transform.c

# weir.hpp, by a module in C++.
if HAVE_CXX
weir_tests += tests/unit/test_cxx
tests_unit_test_cxx_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/unit $(CHECK_CFLAGS)
tests_unit_test_cxx_LDADD = $(MODULE_TEST_LIBS)
tests_unit_test_cxx_SOURCES = $(UNIT_RUNNER) tests/unit/sdk/test_cxx.c tests/modules/balance_throws.cc
endif
