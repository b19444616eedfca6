# SPDX-License-Identifier: MIT
# The dashboards, served by the admin module from $(pkgdatadir)/web. They are installed as they are:
# there is nothing to build.
webdir = $(pkgdatadir)/web
web_DATA = web/index.html web/login.html web/traffic.html
webcssdir = $(webdir)/css
webcss_DATA = \
    web/css/base.css \
    web/css/login.css \
    web/css/panel.css \
    web/css/parts.css \
    web/css/traffic.css
webfontsdir = $(webdir)/fonts
webfonts_DATA = web/fonts/LICENSE web/fonts/inter.woff2
webimgdir = $(webdir)/img
webimg_DATA = web/img/weir.svg
webjsdir = $(webdir)/js
webjs_DATA = \
    web/js/actions.js \
    web/js/api.js \
    web/js/bars.js \
    web/js/chart.js \
    web/js/chartcard.js \
    web/js/dialog.js \
    web/js/dom.js \
    web/js/events.js \
    web/js/figures.js \
    web/js/format.js \
    web/js/history.js \
    web/js/icons.js \
    web/js/login.js \
    web/js/menu.js \
    web/js/model.js \
    web/js/modules.js \
    web/js/notice.js \
    web/js/palette.js \
    web/js/panel.js \
    web/js/shell.js \
    web/js/sparkline.js \
    web/js/state.js \
    web/js/table.js \
    web/js/theme.js \
    web/js/traffic.js
webjsviewsdir = $(webjsdir)/views
webjsviews_DATA = \
    web/js/views/configuration.js \
    web/js/views/detail.js \
    web/js/views/journal.js \
    web/js/views/lists.js \
    web/js/views/module.js \
    web/js/views/modules.js \
    web/js/views/servers.js \
    web/js/views/shadow.js \
    web/js/views/swap.js \
    web/js/views/tester.js
EXTRA_DIST += $(web_DATA) $(webcss_DATA) $(webfonts_DATA) $(webimg_DATA) $(webjs_DATA) \
    $(webjsviews_DATA)
