# SPDX-License-Identifier: MIT
# Unit tests of core/module. A new file is one more line at the end.
weir_tests += tests/unit/test_module
tests_unit_test_module_CPPFLAGS = $(UNIT_CPPFLAGS) \
    -DWEIR_SAMPLES='"$(abs_top_builddir)/tests/unit/module/built"'
tests_unit_test_module_LDADD = $(UNIT_LIBS)
EXTRA_tests_unit_test_module_DEPENDENCIES = $(unit_samples)
tests_unit_test_module_SOURCES = $(UNIT_RUNNER) \
    tests/unit/metered.h \
    tests/unit/temporary.h \
    tests/unit/module/test_blame.c \
    tests/unit/module/test_call.c \
    tests/unit/module/test_check.c \
    tests/unit/module/test_guard.c \
    tests/unit/module/test_host.c \
    tests/unit/module/test_metrics.c \
    tests/unit/module/test_module.c

# The modules that are loaded there: one source, in three ways.
unit_samples = \
    tests/unit/module/built/sample.so \
    tests/unit/module/built/sample_no_entry.so \
    tests/unit/module/built/sample_undefined.so
weir_test_programs += $(unit_samples)
tests_unit_module_built_sample_so_SOURCES = tests/unit/module/sample.c
tests_unit_module_built_sample_so_LDFLAGS = $(MODULE_LINK)
tests_unit_module_built_sample_no_entry_so_SOURCES = tests/unit/module/sample.c
tests_unit_module_built_sample_no_entry_so_CPPFLAGS = $(AM_CPPFLAGS) -DSAMPLE_NO_ENTRY
tests_unit_module_built_sample_no_entry_so_LDFLAGS = $(MODULE_LINK)
tests_unit_module_built_sample_undefined_so_SOURCES = tests/unit/module/sample.c
tests_unit_module_built_sample_undefined_so_CPPFLAGS = $(AM_CPPFLAGS) -DSAMPLE_UNDEFINED
tests_unit_module_built_sample_undefined_so_LDFLAGS = $(MODULE_LINK) -Wl,-z,undefs
