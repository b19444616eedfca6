# SPDX-License-Identifier: MIT
# The configuration that is installed: weir_conf into $(sysconfdir)/weir, weir_confd into conf.d
# beside it. Both list plain names (conf.d/20-route_path.conf). A file that is made from NAME.in is
# in weir_templates too; any other is in EXTRA_DIST.
weir_conf = conf.d/weir.conf
weir_templates += conf.d/weir.conf
weir_confd = \
    conf.d/10-listeners.conf \
    conf.d/20-route_path.conf \
    conf.d/30-balance_least_conn.conf \
    conf.d/31-balance_round_robin.conf \
    conf.d/32-balance_random.conf \
    conf.d/33-balance_hash.conf \
    conf.d/34-balance_first.conf \
    conf.d/35-balance_ewma.conf \
    conf.d/40-sticky_cookie.conf \
    conf.d/50-health_http.conf \
    conf.d/51-health_passive.conf \
    conf.d/60-access_log.conf \
    conf.d/70-admin.conf \
    conf.d/70-headers.conf \
    conf.d/71-metrics_prometheus.conf \
    conf.d/71-rate_limit.conf \
    conf.d/80-pools.conf
if HAVE_SQLITE
weir_confd += conf.d/05-store_sqlite.conf
endif
if HAVE_COMPRESS
weir_confd += conf.d/72-compress.conf
endif
EXTRA_DIST += $(weir_confd) conf.d/05-store_sqlite.conf conf.d/72-compress.conf
