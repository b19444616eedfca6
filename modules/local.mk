# SPDX-License-Identifier: MIT
# Our modules. Each is modules/NAME/NAME.c, built with the SDK's headers alone into
# modules/built/NAME.so (so module_dir = "BUILD/modules/built" runs them without an install), and
# installed into $(pkglibdir)/modules. To add one, with NAME in place of example:
#
#   pkgmodule_PROGRAMS += modules/built/example.so
#   modules_built_example_so_SOURCES = modules/example/example.c
#   modules_built_example_so_LDFLAGS = $(MODULE_LINK)
#
# and its test, a Check program that gives it the fake host of the SDK:
#
#   weir_tests += modules/example/test_example
#   modules_example_test_example_LDADD = $(MODULE_TEST_LIBS)
#
# A module that uses a library says so: modules_built_example_so_LDADD = $(CRYPTO_LIBS).
weir_dist_dirs += modules
