# SPDX-License-Identifier: MIT
# The SDK: headers, fake host, template, pkg-config and aclocal files.
weir_dist_dirs += sdk

# Installed headers, one a line.
sdkincludedir = $(includedir)/weir
dist_sdkinclude_DATA =

# The fake host that modules are tested with; MODULE_TEST_LIBS is what such a test links.
MODULE_TEST_LIBS = $(SDK_TESTING) $(CHECK_LIBS) $(SYSTEM_LIBS)
SDK_TESTING =
