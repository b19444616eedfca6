# SPDX-License-Identifier: MIT
# The demo: a shop to stand behind Weir, its visitors, and what demo/run needs. Nothing of it is
# installed.

noinst_PROGRAMS += demo/weir-shop demo/weir-visitors

demo_weir_shop_SOURCES = \
    demo/shop.c demo/shop.h \
    demo/shop_account.c \
    demo/shop_api.c \
    demo/shop_catalogue.c demo/shop_catalogue.h \
    demo/shop_control.c \
    demo/shop_http.c \
    demo/shop_input.c \
    demo/shop_page.c \
    demo/shop_session.c demo/shop_session.h \
    demo/shop_web.c
demo_weir_shop_CPPFLAGS = $(AM_CPPFLAGS) $(LIBEVENT_EXTRA_CFLAGS) $(CJSON_CFLAGS)
demo_weir_shop_LDADD = $(LIBEVENT_EXTRA_LIBS) $(CJSON_LIBS)

demo_weir_visitors_SOURCES = \
    demo/visitors.c demo/visitors.h \
    demo/visitors_acts.c \
    demo/visitors_basket.c \
    demo/visitors_api.c \
    demo/visitors_channel.c demo/visitors_channel.h \
    demo/visitors_cookies.c demo/visitors_cookies.h \
    demo/visitors_http.c demo/visitors_http.h \
    demo/visitors_life.c \
    demo/visitors_report.c \
    demo/visitors_target.c \
    demo/visitors_web.c \
    demo/visitors_world.c
demo_weir_visitors_CPPFLAGS = $(AM_CPPFLAGS) $(LIBEVENT_CFLAGS) $(OPENSSL_CFLAGS) $(CJSON_CFLAGS)
demo_weir_visitors_LDADD = $(LIBEVENT_LIBS) $(OPENSSL_LIBS) $(CJSON_LIBS)
