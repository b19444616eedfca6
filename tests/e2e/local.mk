# SPDX-License-Identifier: MIT
# Programs that the end-to-end tests use: weir_test_programs += tests/e2e/NAME.
weir_test_programs += tests/e2e/clock_shim.so
tests_e2e_clock_shim_so_SOURCES = tests/e2e/clock_shim.c
tests_e2e_clock_shim_so_LDFLAGS = $(MODULE_LINK)
weir_test_programs += tests/e2e/etc_shim.so
tests_e2e_etc_shim_so_SOURCES = tests/e2e/etc_shim.c
tests_e2e_etc_shim_so_LDFLAGS = $(MODULE_LINK)
weir_test_programs += tests/e2e/malloc_shim.so
tests_e2e_malloc_shim_so_SOURCES = tests/e2e/malloc_shim.c
tests_e2e_malloc_shim_so_LDFLAGS = $(MODULE_LINK)
weir_test_programs += tests/e2e/ports_shim.so
tests_e2e_ports_shim_so_SOURCES = tests/e2e/ports_shim.c
tests_e2e_ports_shim_so_LDFLAGS = $(MODULE_LINK)
