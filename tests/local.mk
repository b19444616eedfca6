# SPDX-License-Identifier: MIT
# Unit tests of the core: one Check program a folder, tests/unit/FOLDER/local.mk lists its files.
# Each file registers its suite (see tests/unit/runner.h); the programs have their main from there.
weir_dist_dirs += tests

UNIT_CPPFLAGS = $(CORE_CPPFLAGS) -I$(top_srcdir)/tests/unit $(CHECK_CFLAGS)
UNIT_LIBS = $(CORE_LIBS) $(CHECK_LIBS)
UNIT_RUNNER = tests/unit/runner.c tests/unit/runner.h

include tests/unit/base/local.mk
include tests/unit/bench/local.mk
include tests/unit/conf/local.mk
include tests/unit/module/local.mk
include tests/unit/net/local.mk
include tests/unit/http/local.mk
include tests/unit/proxy/local.mk
include tests/unit/control/local.mk
include tests/unit/sdk/local.mk
include tests/unit/tools/local.mk

include tests/bench/local.mk
include tests/e2e/local.mk
include tests/modules/local.mk
