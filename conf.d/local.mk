# SPDX-License-Identifier: MIT
# The configuration that is installed: weir_conf into $(sysconfdir)/weir, weir_confd into conf.d
# beside it. Both list plain names (conf.d/20-route_path.conf). A file that is made from NAME.in is
# in weir_templates too; any other is in EXTRA_DIST.
weir_conf =
weir_confd =
