# SPDX-License-Identifier: MIT
# The demo: a shop to stand behind Weir, its visitors, and what demo/run needs. Nothing of it is
# installed.

noinst_PROGRAMS += demo/weir-shop

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
