# SPDX-License-Identifier: MIT
# The program weir, and libcore.a: all of it but main.c, so that unit tests can link it.
# Each folder of the core lists its own sources in its own local.mk.

# Headers are named from core/ ("conf/conf.h"); config.h comes first in every file by itself.
# WEIR_SYSCONFDIR holds weir.conf and conf.d/, WEIR_MODULEDIR the modules, WEIR_STATEDIR the state.
CORE_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/core -I$(top_srcdir)/sdk -include $(top_builddir)/config.h \
    -DWEIR_SYSCONFDIR='"$(weirsysconfdir)"' \
    -DWEIR_MODULEDIR='"$(pkgmoduledir)"' \
    -DWEIR_STATEDIR='"$(weirstatedir)"' \
    $(LIBEVENT_CFLAGS) $(OPENSSL_CFLAGS) $(NGHTTP2_CFLAGS) $(CARES_CFLAGS) $(CJSON_CFLAGS) $(SYSTEMD_CFLAGS)
CORE_CFLAGS = $(AM_CFLAGS) -fPIE
CORE_LIBS = core/libcore.a -lm -lresolv $(LIBEVENT_LIBS) $(OPENSSL_LIBS) $(NGHTTP2_LIBS) $(CARES_LIBS) $(CJSON_LIBS) $(SYSTEMD_LIBS) \
    $(SYSTEM_LIBS)

noinst_LIBRARIES += core/libcore.a
core_libcore_a_CPPFLAGS = $(CORE_CPPFLAGS)
core_libcore_a_CFLAGS = $(CORE_CFLAGS) $(LTO_CFLAGS)
core_libcore_a_SOURCES =

include core/base/local.mk
include core/conf/local.mk
include core/module/local.mk
include core/net/local.mk
include core/http/local.mk
include core/proxy/local.mk
include core/control/local.mk

# No -rdynamic: a module finds nothing of the program, and reaches the host by its table alone.
sbin_PROGRAMS += weir
weir_SOURCES = core/main.c
weir_CPPFLAGS = $(CORE_CPPFLAGS)
weir_CFLAGS = $(CORE_CFLAGS) $(LTO_CFLAGS)
weir_LDFLAGS = $(LTO_LDFLAGS) $(PROGRAM_LDFLAGS) $(HARDENING_LDFLAGS)
weir_LDADD = $(CORE_LIBS)
