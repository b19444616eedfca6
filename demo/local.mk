# SPDX-License-Identifier: MIT
# The demo: a shop to stand behind Weir, its visitors, and what demo/run needs. Nothing of it is
# installed. The catalogue and the pages are files of demo/shop, which the shop reads where they are.
weir_dist_dirs += demo

noinst_PROGRAMS += demo/weir-shop demo/weir-visitors

demo_weir_shop_SOURCES = \
    demo/demo.c demo/demo.h \
    demo/shop.c demo/shop.h \
    demo/shop_http.c \
    demo/shop_page.c \
    demo/shop_session.c \
    demo/shop_trade.c
demo_weir_shop_CPPFLAGS = $(AM_CPPFLAGS) -DSHOP_FILES='"$(abs_top_srcdir)/demo/shop"' \
    $(LIBEVENT_EXTRA_CFLAGS) $(CJSON_CFLAGS)
demo_weir_shop_LDADD = $(LIBEVENT_EXTRA_LIBS) $(CJSON_LIBS)

demo_weir_visitors_SOURCES = \
    demo/demo.c demo/demo.h \
    demo/visitors.c demo/visitors.h \
    demo/visitors_cart.c \
    demo/visitors_life.c \
    demo/visitors_web.c \
    demo/visitors_world.c
demo_weir_visitors_CPPFLAGS = $(AM_CPPFLAGS) $(CURL_CFLAGS) $(OPENSSL_CFLAGS) $(CJSON_CFLAGS)
demo_weir_visitors_LDADD = $(CURL_LIBS) $(OPENSSL_LIBS) $(CJSON_LIBS) $(SYSTEM_LIBS) -lm
