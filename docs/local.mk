# SPDX-License-Identifier: MIT
# Documents and manual pages: dist_doc_DATA and dist_man_MANS.
weir_dist_dirs += docs
