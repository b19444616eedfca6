# SPDX-License-Identifier: MIT
# Sources of core/control, headers too (they go into the release): one line a file, sorted.
core_libcore_a_SOURCES +=
