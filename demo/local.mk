# SPDX-License-Identifier: MIT
# The shop and its visitors: noinst_PROGRAMS += demo/NAME; they are not installed.
weir_dist_dirs += demo
