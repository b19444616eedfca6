# SPDX-License-Identifier: MIT
# Programs that the end-to-end tests use: weir_test_programs += tests/e2e/NAME.
