# SPDX-License-Identifier: MIT
# The dashboards, served by the admin module from $(pkgdatadir)/web.
webdir = $(pkgdatadir)/web
weir_dist_dirs += web
