# SPDX-License-Identifier: MIT
"""The parts of tests/bench/run: programs, processes, contenders, rows, report."""
