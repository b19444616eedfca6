# SPDX-License-Identifier: MIT
# Programs that tests/bench/run uses: weir_test_programs += tests/bench/NAME.
