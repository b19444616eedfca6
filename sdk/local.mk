# SPDX-License-Identifier: MIT
# The SDK: headers, fake host, template, pkg-config and aclocal files.
weir_dist_dirs += sdk

# Installed headers, one a line.
sdkincludedir = $(includedir)/weir
dist_sdkinclude_DATA = \
    sdk/include/weir/balancer.h \
    sdk/include/weir/control.h \
    sdk/include/weir/filter.h \
    sdk/include/weir/handler.h \
    sdk/include/weir/health.h \
    sdk/include/weir/host.h \
    sdk/include/weir/http.h \
    sdk/include/weir/json.h \
    sdk/include/weir/key.h \
    sdk/include/weir/logger.h \
    sdk/include/weir/metric.h \
    sdk/include/weir/module.h \
    sdk/include/weir/option.h \
    sdk/include/weir/router.h \
    sdk/include/weir/stats.h \
    sdk/include/weir/sticky.h \
    sdk/include/weir/store.h \
    sdk/include/weir/testing.h \
    sdk/include/weir/text.h \
    sdk/include/weir/weir.h \
    sdk/include/weir/weir.hpp \
    sdk/include/weir/weir_tables.hpp

# From text to option fields: compiled into the core and into the fake host, so that both take and
# refuse the same. The core includes it as "option/option_value.h".
SDK_OPTION_SOURCES = \
    sdk/option/metric_table.c \
    sdk/option/metric_table.h \
    sdk/option/option_address.c \
    sdk/option/option_nearest.c \
    sdk/option/option_number.c \
    sdk/option/option_number.h \
    sdk/option/option_table.c \
    sdk/option/option_table.h \
    sdk/option/option_value.c \
    sdk/option/option_value.h
core_libcore_a_SOURCES += $(SDK_OPTION_SOURCES)

# What reads the configuration, and what it stands on: the fake host has the program's own.
SDK_TESTING_CORE = \
    core/base/arena.c core/base/arena.h \
    core/base/base.c core/base/base.h \
    core/base/file_open.c core/base/file_open.h \
    core/base/mistakes.c core/base/mistakes.h \
    core/base/poison.h \
    core/conf/conf.h \
    core/conf/conf_fill.c \
    core/conf/conf_lex.c core/conf/conf_lex.h \
    core/conf/conf_parse.c core/conf/conf_parse.h \
    core/conf/conf_path.c core/conf/conf_path.h \
    core/conf/conf_places.c core/conf/conf_places.h \
    core/conf/conf_read.c \
    core/conf/conf_value.c core/conf/conf_value.h \
    core/proxy/pool/ranking.c core/proxy/pool/ranking.h \
    core/proxy/pool/turns.c core/proxy/pool/turns.h

# The fake host that modules are tested with; installed, so that a stranger's are too. It is one object
# in which only weir_ names are global: a module's test may have functions called like ours.
SDK_TESTING = sdk/libweir-testing.a
SDK_TESTING_PARTS = sdk/libtesting.a
noinst_LIBRARIES += $(SDK_TESTING_PARTS)
sdk_libtesting_a_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/sdk -I$(top_srcdir)/core \
    -include $(top_builddir)/config.h $(CRYPTO_CFLAGS)
sdk_libtesting_a_SOURCES = $(SDK_OPTION_SOURCES) $(SDK_TESTING_CORE) \
    sdk/testing/balancer.c \
    sdk/testing/conf.c \
    sdk/testing/control.c \
    sdk/testing/descriptor.c \
    sdk/testing/explain.c \
    sdk/testing/fake.h \
    sdk/testing/guard.h \
    sdk/testing/fields.c \
    sdk/testing/files.c \
    sdk/testing/guard.c \
    sdk/testing/health.c \
    sdk/testing/host.c \
    sdk/testing/instances.c \
    sdk/testing/loop.c \
    sdk/testing/memory.c \
    sdk/testing/metrics.c \
    sdk/testing/operations.c \
    sdk/testing/outside.c \
    sdk/testing/pool.c \
    sdk/testing/reply.c \
    sdk/testing/request.c \
    sdk/testing/services.c \
    sdk/testing/transform.c
sdk/testing.o: $(SDK_TESTING_PARTS)
	$(AM_V_GEN)$(CC) -r -nostdlib -o $@.tmp -Wl,--whole-archive $(SDK_TESTING_PARTS) \
	    -Wl,--no-whole-archive && $(OBJCOPY) -w --keep-global-symbol='weir_*' $@.tmp $@ && \
	    rm -f $@.tmp
$(SDK_TESTING): sdk/testing.o
	$(AM_V_AR)rm -f $@ && $(AR) $(ARFLAGS) $@ sdk/testing.o && $(RANLIB) $@
weirlibdir = $(libdir)
weirlib_DATA = $(SDK_TESTING)
CLEANFILES += $(SDK_TESTING) sdk/testing.o

# What the test of a module links.
MODULE_TEST_LIBS = $(SDK_TESTING) $(CRYPTO_LIBS) $(CHECK_LIBS) $(SYSTEM_LIBS)

# What a stranger builds a module with: pkg-config, autoconf, a module to begin with.
pkgconfigdir = $(libdir)/pkgconfig
pkgconfig_DATA = sdk/weir-sdk.pc sdk/weir-testing.pc
weir_templates += $(pkgconfig_DATA)
aclocaldir = $(datadir)/aclocal
dist_aclocal_DATA = sdk/weir.m4
sdktemplatedir = $(pkgdatadir)/template
dist_sdktemplate_DATA = \
    sdk/template/Makefile \
    sdk/template/Makefile.am \
    sdk/template/README.md \
    sdk/template/balance_two_choices.c \
    sdk/template/configure.ac \
    sdk/template/test_two_choices.c \
    sdk/template/two_choices.conf
# Those of other kinds; weirctl adds build files of the first one, where they have none of their own.
templatefilterdir = $(pkgdatadir)/templates/filter
dist_templatefilter_DATA = sdk/templates/filter/field_stamp.c \
    sdk/templates/filter/test_field_stamp.c sdk/templates/filter/field_stamp.conf
templaterouterdir = $(pkgdatadir)/templates/router
dist_templaterouter_DATA = sdk/templates/router/route_host_table.c \
    sdk/templates/router/test_host_table.c sdk/templates/router/host_table.conf
templatestickydir = $(pkgdatadir)/templates/sticky
dist_templatesticky_DATA = sdk/templates/sticky/sticky_server_hint.c \
    sdk/templates/sticky/test_server_hint.c sdk/templates/sticky/server_hint.conf
templatehealthdir = $(pkgdatadir)/templates/health
dist_templatehealth_DATA = sdk/templates/health/health_line_probe.c \
    sdk/templates/health/test_line_probe.c sdk/templates/health/line_probe.conf
templateloggerdir = $(pkgdatadir)/templates/logger
dist_templatelogger_DATA = sdk/templates/logger/slow_requests.c \
    sdk/templates/logger/test_slow_requests.c sdk/templates/logger/slow_requests.conf
templatehandlerdir = $(pkgdatadir)/templates/handler
dist_templatehandler_DATA = sdk/templates/handler/hello_page.c \
    sdk/templates/handler/test_hello_page.c sdk/templates/handler/hello_page.conf
templatecxxdir = $(pkgdatadir)/templates/balancer-c++
dist_templatecxx_DATA = sdk/templates/balancer-c++/Makefile \
    sdk/templates/balancer-c++/README.md \
    sdk/templates/balancer-c++/balance_least_time.cc \
    sdk/templates/balancer-c++/exports.map \
    sdk/templates/balancer-c++/least_time.conf \
    sdk/templates/balancer-c++/test_least_time.cc
templaterustdir = $(pkgdatadir)/templates/balancer-rust
dist_templaterust_DATA = sdk/templates/balancer-rust/Cargo.toml \
    sdk/templates/balancer-rust/Makefile \
    sdk/templates/balancer-rust/README.md \
    sdk/templates/balancer-rust/balance_least_time.rs \
    sdk/templates/balancer-rust/least_time.conf \
    sdk/templates/balancer-rust/test_least_time.c
dist_doc_DATA += sdk/MANUAL.md

# The crate: cargo builds it, where it is, with a module's own.
sdkrustdir = $(pkgdatadir)/rust
dist_sdkrust_DATA = sdk/rust/Cargo.lock sdk/rust/Cargo.toml sdk/rust/README.md
sdkrustsrcdir = $(sdkrustdir)/src
dist_sdkrustsrc_DATA = sdk/rust/src/balancer.rs \
    sdk/rust/src/filter.rs \
    sdk/rust/src/guard.rs \
    sdk/rust/src/host.rs \
    sdk/rust/src/lib.rs \
    sdk/rust/src/message.rs \
    sdk/rust/src/options.rs \
    sdk/rust/src/router.rs \
    sdk/rust/src/sys.rs
sdkrustexamplesdir = $(sdkrustdir)/examples
dist_sdkrustexamples_DATA = sdk/rust/examples/balance_panics.rs
sdkrusttestsdir = $(sdkrustdir)/tests
dist_sdkrusttests_DATA = sdk/rust/tests/layout.rs

# weirctl finds templates beside itself: in a build folder of its own by links.
all-local: sdk-links
sdk-links:
	@$(MKDIR_P) sdk; for d in rust template templates; do \
	    test -e sdk/$$d || $(LN_S) $(abs_top_srcdir)/sdk/$$d sdk/$$d; done
clean-local:
	for d in rust template templates; do test ! -h sdk/$$d || rm -f sdk/$$d; done
.PHONY: sdk-links
