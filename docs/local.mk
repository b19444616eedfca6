# SPDX-License-Identifier: MIT
# Documents and manual pages: dist_doc_DATA and man_MANS.
weir_dist_dirs += docs
dist_doc_DATA += \
    docs/API.md \
    docs/ARCHITECTURE.md \
    docs/FORWARDING.md \
    docs/GRPC.md \
    docs/HTTP.md \
    docs/LIMITS.md \
    docs/NAMES.md \
    docs/OPERATIONS.md \
    docs/PLUGINS.md \
    docs/RESILIENCE.md \
    docs/benchmarks.md
# Their paths are those of the installation.
weir_manuals = \
    docs/weir-module-check.1 \
    docs/weir.8 \
    docs/weir.conf.5 \
    docs/weirctl.1 \
    docs/weirsim.1
man_MANS = $(weir_manuals)
weir_templates += $(weir_manuals)
