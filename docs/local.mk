# SPDX-License-Identifier: MIT
# Documents and manual pages: dist_doc_DATA and dist_man_MANS.
weir_dist_dirs += docs
dist_doc_DATA += \
    docs/API.md \
    docs/ARCHITECTURE.md \
    docs/FORWARDING.md \
    docs/HTTP.md \
    docs/LIMITS.md \
    docs/NAMES.md \
    docs/OPERATIONS.md \
    docs/RESILIENCE.md \
    docs/benchmarks.md
dist_man_MANS += \
    docs/weir.8 \
    docs/weir.conf.5 \
    docs/weirctl.1
