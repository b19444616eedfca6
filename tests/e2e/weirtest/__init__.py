# SPDX-License-Identifier: MIT
"""A harness for tests of the program `weir` from outside: weir itself, peers on both of its sides, and
conditions to wait for."""
