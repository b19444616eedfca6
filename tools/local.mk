# SPDX-License-Identifier: MIT
# Programs of ours beside weir.
weir_dist_dirs += tools
