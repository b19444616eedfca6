# SPDX-License-Identifier: MIT
# Programs of ours beside weir.
weir_dist_dirs += tools

# --- weirctl: shows and changes a running Weir, by its API ----------------------------------------

weirrundir = $(runstatedir)/weir
weirsampledir = $(pkgdatadir)/conf.d
# What `weirctl module enable` begins with; plain copies, which nobody edits.
weirsample_DATA = $(weir_confd)

WEIRCTL_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tools/weirctl \
    -include $(top_builddir)/config.h \
    -DWEIR_RUNDIR='"$(weirrundir)"' \
    -DWEIR_SYSCONFDIR='"$(weirsysconfdir)"' \
    -DWEIR_SAMPLEDIR='"$(weirsampledir)"' \
    -DWEIR_PKGDATADIR='"$(pkgdatadir)"' \
    $(CURL_CFLAGS) $(CJSON_CFLAGS)
WEIRCTL_LIBS = $(CURL_LIBS) $(CJSON_LIBS) -lm

# All but main.c: what the unit tests link as well.
WEIRCTL_SOURCES = \
    tools/weirctl/api.c tools/weirctl/api.h \
    tools/weirctl/call.c \
    tools/weirctl/check.c \
    tools/weirctl/command.c tools/weirctl/command.h \
    tools/weirctl/complete.c \
    tools/weirctl/config.c \
    tools/weirctl/confscan.c tools/weirctl/confscan.h \
    tools/weirctl/events.c \
    tools/weirctl/explain.c \
    tools/weirctl/http.c tools/weirctl/http.h \
    tools/weirctl/journal.c \
    tools/weirctl/look.c \
    tools/weirctl/module.c \
    tools/weirctl/new.c \
    tools/weirctl/pools.c \
    tools/weirctl/print.c tools/weirctl/print.h \
    tools/weirctl/server.c \
    tools/weirctl/swap.c \
    tools/weirctl/table.c \
    tools/weirctl/terminal.c tools/weirctl/terminal.h \
    tools/weirctl/top.c \
    tools/weirctl/user.c \
    tools/weirctl/util.c tools/weirctl/util.h

bin_PROGRAMS += weirctl
weirctl_SOURCES = tools/weirctl/main.c $(WEIRCTL_SOURCES)
weirctl_CPPFLAGS = $(WEIRCTL_CPPFLAGS)
weirctl_CFLAGS = $(AM_CFLAGS) -fPIE
weirctl_LDADD = $(WEIRCTL_LIBS)

# bash finds a completion by its command's name.
bashcompletiondir = $(datadir)/bash-completion/completions
install-data-hook: install-completion
uninstall-hook: uninstall-completion
install-completion: tools/weirctl/weirctl.bash
	@$(MKDIR_P) '$(DESTDIR)$(bashcompletiondir)'
	$(INSTALL_DATA) $(srcdir)/tools/weirctl/weirctl.bash '$(DESTDIR)$(bashcompletiondir)/weirctl'
uninstall-completion:
	rm -f '$(DESTDIR)$(bashcompletiondir)/weirctl'
.PHONY: install-completion uninstall-completion

# What weirsim and weir-module-check share.
MODULE_FILE_SOURCES = tools/module_file/module_file.c tools/module_file/module_file.h

# --- weirsim: judges balancers before they go live -------------------------------------------------

bin_PROGRAMS += weirsim
weirsim_SOURCES = \
    tools/weirsim/balancer.c \
    tools/weirsim/engine.c \
    tools/weirsim/main.c \
    tools/weirsim/model.c \
    tools/weirsim/report.c \
    tools/weirsim/sim.h \
    tools/weirsim/spec.c \
    tools/weirsim/trace.c \
    $(MODULE_FILE_SOURCES)
weirsim_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tools/weirsim -I$(top_srcdir)/tools/module_file \
    -include $(top_builddir)/config.h \
    -DWEIR_MODULEDIR='"$(pkgmoduledir)"' $(CJSON_CFLAGS)
weirsim_CFLAGS = $(AM_CFLAGS) -fPIE
weirsim_LDADD = $(SDK_TESTING) $(CRYPTO_LIBS) $(CJSON_LIBS) $(SYSTEM_LIBS) -lm

# --- weir-module-check: holds a module to its contract ----------------------------------------------

bin_PROGRAMS += weir-module-check
weir_module_check_SOURCES = \
    tools/module_check/balancers.c \
    tools/module_check/check.h \
    tools/module_check/child.c \
    tools/module_check/conf.c \
    tools/module_check/contract.c \
    tools/module_check/describe.c \
    tools/module_check/elf.c \
    tools/module_check/leaks.c \
    tools/module_check/main.c \
    tools/module_check/messages.c \
    tools/module_check/report.c \
    tools/module_check/sanitize.c \
    tools/module_check/services.c \
    tools/module_check/symbols.c \
    tools/module_check/timing.c \
    $(MODULE_FILE_SOURCES)
weir_module_check_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tools/module_check \
    -I$(top_srcdir)/tools/module_file -include $(top_builddir)/config.h \
    -DWEIR_MODULEDIR='"$(pkgmoduledir)"' $(CJSON_CFLAGS)
weir_module_check_CFLAGS = $(AM_CFLAGS) -fPIE
weir_module_check_LDADD = $(SDK_TESTING) $(CRYPTO_LIBS) $(CJSON_LIBS) $(SYSTEM_LIBS) -lm
