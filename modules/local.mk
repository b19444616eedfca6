# SPDX-License-Identifier: MIT
# Our modules. Each is modules/NAME/NAME.c, built with the SDK's headers alone into
# modules/built/NAME.so (so module_dir = "BUILD/modules/built" runs them without an install), and
# installed into $(pkglibdir)/modules. To add one, with NAME in place of example:
#
#   pkgmodule_PROGRAMS += modules/built/example.so
#   modules_built_example_so_SOURCES = modules/example/example.c
#   modules_built_example_so_LDFLAGS = $(MODULE_LINK)
#
# and its test, a Check program that gives it the fake host of the SDK:
#
#   weir_tests += modules/example/test_example
#   modules_example_test_example_SOURCES = modules/example/test_example.c modules/example/example.c
#   modules_example_test_example_LDADD = $(MODULE_TEST_LIBS)
#
# A module that uses a library says so: modules_built_example_so_LDADD = $(CRYPTO_LIBS).
weir_dist_dirs += modules

# What every test of a module shares.
MODULE_TEST_SOURCES = modules/test_main.c modules/test_main.h tests/unit/runner.c \
    tests/unit/runner.h

# --- route_path ----------------------------------------------------------------------------------

ROUTE_PATH_SOURCES = \
    modules/route_path/explain.c \
    modules/route_path/normalise.c \
    modules/route_path/redirect.c modules/route_path/redirect.h \
    modules/route_path/route_path.c modules/route_path/route_path.h \
    modules/route_path/table.c modules/route_path/table.h
pkgmodule_PROGRAMS += modules/built/route_path.so
modules_built_route_path_so_SOURCES = $(ROUTE_PATH_SOURCES)
modules_built_route_path_so_LDFLAGS = $(MODULE_LINK)
weir_tests += modules/route_path/test_explain modules/route_path/test_route_path
modules_route_path_test_explain_SOURCES = $(ROUTE_PATH_SOURCES) $(MODULE_TEST_SOURCES) \
    modules/route_path/test_explain.c modules/route_path/test_route_path.h
modules_route_path_test_explain_LDADD = $(MODULE_TEST_LIBS)
modules_route_path_test_route_path_SOURCES = $(ROUTE_PATH_SOURCES) $(MODULE_TEST_SOURCES) \
    modules/route_path/test_route_path.c modules/route_path/test_route_path.h
modules_route_path_test_route_path_LDADD = $(MODULE_TEST_LIBS)

# --- balance_round_robin -------------------------------------------------------------------------

BALANCE_ROUND_ROBIN_SOURCES = modules/balance_round_robin/balance_round_robin.c
pkgmodule_PROGRAMS += modules/built/balance_round_robin.so
modules_built_balance_round_robin_so_SOURCES = $(BALANCE_ROUND_ROBIN_SOURCES)
modules_built_balance_round_robin_so_LDFLAGS = $(MODULE_LINK)
weir_tests += modules/balance_round_robin/test_balance_round_robin
modules_balance_round_robin_test_balance_round_robin_SOURCES = $(BALANCE_ROUND_ROBIN_SOURCES) \
    $(MODULE_TEST_SOURCES) modules/balance_round_robin/test_balance_round_robin.c
modules_balance_round_robin_test_balance_round_robin_LDADD = $(MODULE_TEST_LIBS)

# --- balance_least_conn --------------------------------------------------------------------------

BALANCE_LEAST_CONN_SOURCES = modules/balance_least_conn/balance_least_conn.c
pkgmodule_PROGRAMS += modules/built/balance_least_conn.so
modules_built_balance_least_conn_so_SOURCES = $(BALANCE_LEAST_CONN_SOURCES)
modules_built_balance_least_conn_so_LDFLAGS = $(MODULE_LINK)
weir_tests += modules/balance_least_conn/test_balance_least_conn
modules_balance_least_conn_test_balance_least_conn_SOURCES = $(BALANCE_LEAST_CONN_SOURCES) \
    $(MODULE_TEST_SOURCES) modules/balance_least_conn/test_balance_least_conn.c
modules_balance_least_conn_test_balance_least_conn_LDADD = $(MODULE_TEST_LIBS)

# --- balance_ewma --------------------------------------------------------------------------------

BALANCE_EWMA_SOURCES = modules/balance_ewma/balance_ewma.c \
    modules/balance_ewma/fading.c modules/balance_ewma/fading.h
pkgmodule_PROGRAMS += modules/built/balance_ewma.so
modules_built_balance_ewma_so_SOURCES = $(BALANCE_EWMA_SOURCES)
modules_built_balance_ewma_so_LDFLAGS = $(MODULE_LINK)
modules_built_balance_ewma_so_LDADD = -lm
weir_tests += modules/balance_ewma/test_balance_ewma
modules_balance_ewma_test_balance_ewma_SOURCES = $(BALANCE_EWMA_SOURCES) \
    $(MODULE_TEST_SOURCES) modules/balance_ewma/test_balance_ewma.c \
    modules/balance_ewma/test_fading.c
modules_balance_ewma_test_balance_ewma_LDADD = $(MODULE_TEST_LIBS)
# --- balance_hash --------------------------------------------------------------------------------

BALANCE_HASH_SOURCES = modules/balance_hash/balance_hash.c \
    modules/balance_hash/circles.c modules/balance_hash/circles.h
pkgmodule_PROGRAMS += modules/built/balance_hash.so
modules_built_balance_hash_so_SOURCES = $(BALANCE_HASH_SOURCES)
modules_built_balance_hash_so_LDFLAGS = $(MODULE_LINK)
modules_built_balance_hash_so_LDADD = -lm
weir_tests += modules/balance_hash/test_balance_hash
modules_balance_hash_test_balance_hash_SOURCES = $(BALANCE_HASH_SOURCES) \
    $(MODULE_TEST_SOURCES) modules/balance_hash/test_balance_hash.c
modules_balance_hash_test_balance_hash_LDADD = $(MODULE_TEST_LIBS) -lm

# --- balance_random ------------------------------------------------------------------------------

BALANCE_RANDOM_SOURCES = modules/balance_random/balance_random.c
pkgmodule_PROGRAMS += modules/built/balance_random.so
modules_built_balance_random_so_SOURCES = $(BALANCE_RANDOM_SOURCES)
modules_built_balance_random_so_LDFLAGS = $(MODULE_LINK)
weir_tests += modules/balance_random/test_balance_random
modules_balance_random_test_balance_random_SOURCES = $(BALANCE_RANDOM_SOURCES) \
    $(MODULE_TEST_SOURCES) modules/balance_random/test_balance_random.c
modules_balance_random_test_balance_random_LDADD = $(MODULE_TEST_LIBS)

# --- balance_first -------------------------------------------------------------------------------

BALANCE_FIRST_SOURCES = modules/balance_first/balance_first.c
pkgmodule_PROGRAMS += modules/built/balance_first.so
modules_built_balance_first_so_SOURCES = $(BALANCE_FIRST_SOURCES)
modules_built_balance_first_so_LDFLAGS = $(MODULE_LINK)
modules_built_balance_first_so_LDADD = -lm
weir_tests += modules/balance_first/test_balance_first
modules_balance_first_test_balance_first_SOURCES = $(BALANCE_FIRST_SOURCES) \
    $(MODULE_TEST_SOURCES) modules/balance_first/test_balance_first.c
modules_balance_first_test_balance_first_LDADD = $(MODULE_TEST_LIBS) -lm

# --- sticky_cookie -------------------------------------------------------------------------------

STICKY_COOKIE_SOURCES = \
    modules/sticky_cookie/check.c modules/sticky_cookie/check.h \
    modules/sticky_cookie/cookie.c modules/sticky_cookie/cookie.h \
    modules/sticky_cookie/sticky_cookie.c \
    modules/sticky_cookie/token.c modules/sticky_cookie/token.h
pkgmodule_PROGRAMS += modules/built/sticky_cookie.so
modules_built_sticky_cookie_so_SOURCES = $(STICKY_COOKIE_SOURCES)
modules_built_sticky_cookie_so_LDFLAGS = $(MODULE_LINK)
weir_tests += modules/sticky_cookie/test_sticky_cookie
modules_sticky_cookie_test_sticky_cookie_SOURCES = $(STICKY_COOKIE_SOURCES) \
    $(MODULE_TEST_SOURCES) modules/sticky_cookie/test_sticky_cookie.c
modules_sticky_cookie_test_sticky_cookie_LDADD = $(MODULE_TEST_LIBS)

# --- health_http ---------------------------------------------------------------------------------

HEALTH_HTTP_SOURCES = \
    modules/health_http/check.c modules/health_http/check.h \
    modules/health_http/grpc.c modules/health_http/grpc.h \
    modules/health_http/health_http.c \
    modules/health_http/response.c modules/health_http/response.h
pkgmodule_PROGRAMS += modules/built/health_http.so
modules_built_health_http_so_SOURCES = $(HEALTH_HTTP_SOURCES)
modules_built_health_http_so_LDFLAGS = $(MODULE_LINK)
weir_tests += modules/health_http/test_health_http
modules_health_http_test_health_http_SOURCES = $(HEALTH_HTTP_SOURCES) $(MODULE_TEST_SOURCES) \
    modules/health_http/test_health_http.c
modules_health_http_test_health_http_LDADD = $(MODULE_TEST_LIBS)

# --- access_log ----------------------------------------------------------------------------------

ACCESS_LOG_SOURCES = modules/access_log/access_log.c
pkgmodule_PROGRAMS += modules/built/access_log.so
modules_built_access_log_so_SOURCES = $(ACCESS_LOG_SOURCES)
modules_built_access_log_so_LDFLAGS = $(MODULE_LINK)
weir_tests += modules/access_log/test_access_log
modules_access_log_test_access_log_SOURCES = $(ACCESS_LOG_SOURCES) $(MODULE_TEST_SOURCES) \
    modules/access_log/test_access_log.c
modules_access_log_test_access_log_LDADD = $(MODULE_TEST_LIBS)

# --- compress ------------------------------------------------------------------------------------

if HAVE_COMPRESS
COMPRESS_SOURCES = \
    modules/compress/accept.c modules/compress/accept.h \
    modules/compress/compress.c \
    modules/compress/encoder.c modules/compress/encoder.h
pkgmodule_PROGRAMS += modules/built/compress.so
modules_built_compress_so_SOURCES = $(COMPRESS_SOURCES)
modules_built_compress_so_CPPFLAGS = $(AM_CPPFLAGS) $(ZLIB_CFLAGS) $(BROTLI_CFLAGS)
modules_built_compress_so_LDFLAGS = $(MODULE_LINK)
modules_built_compress_so_LDADD = $(BROTLI_LIBS) $(ZLIB_LIBS)
weir_tests += modules/compress/test_compress
modules_compress_test_compress_SOURCES = $(COMPRESS_SOURCES) $(MODULE_TEST_SOURCES) \
    modules/compress/test_compress.c
modules_compress_test_compress_CPPFLAGS = $(AM_CPPFLAGS) $(ZLIB_CFLAGS) $(BROTLI_CFLAGS) \
    $(CHECK_CFLAGS)
modules_compress_test_compress_LDADD = $(MODULE_TEST_LIBS) $(BROTLI_LIBS) -lbrotlidec $(ZLIB_LIBS)
endif

# --- headers -------------------------------------------------------------------------------------

HEADERS_SOURCES = \
    modules/headers/condition.c modules/headers/condition.h \
    modules/headers/headers.c \
    modules/headers/rule.c modules/headers/rule.h \
    modules/headers/template.c modules/headers/template.h
pkgmodule_PROGRAMS += modules/built/headers.so
modules_built_headers_so_SOURCES = $(HEADERS_SOURCES)
modules_built_headers_so_LDFLAGS = $(MODULE_LINK)
weir_tests += modules/headers/test_headers
modules_headers_test_headers_SOURCES = $(HEADERS_SOURCES) $(MODULE_TEST_SOURCES) \
    modules/headers/test_headers.c
modules_headers_test_headers_LDADD = $(MODULE_TEST_LIBS)

# --- rate_limit ----------------------------------------------------------------------------------

RATE_LIMIT_SOURCES = \
    modules/rate_limit/buckets.c modules/rate_limit/buckets.h \
    modules/rate_limit/key.c modules/rate_limit/key.h \
    modules/rate_limit/rate_limit.c
pkgmodule_PROGRAMS += modules/built/rate_limit.so
modules_built_rate_limit_so_SOURCES = $(RATE_LIMIT_SOURCES)
modules_built_rate_limit_so_LDFLAGS = $(MODULE_LINK)
weir_tests += modules/rate_limit/test_rate_limit
modules_rate_limit_test_rate_limit_SOURCES = $(RATE_LIMIT_SOURCES) $(MODULE_TEST_SOURCES) \
    modules/rate_limit/test_rate_limit.c
modules_rate_limit_test_rate_limit_LDADD = $(MODULE_TEST_LIBS)

# --- health_passive ------------------------------------------------------------------------------

HEALTH_PASSIVE_SOURCES = modules/health_passive/health_passive.c
pkgmodule_PROGRAMS += modules/built/health_passive.so
modules_built_health_passive_so_SOURCES = $(HEALTH_PASSIVE_SOURCES)
modules_built_health_passive_so_LDFLAGS = $(MODULE_LINK)
weir_tests += modules/health_passive/test_health_passive
modules_health_passive_test_health_passive_SOURCES = $(HEALTH_PASSIVE_SOURCES) \
    $(MODULE_TEST_SOURCES) modules/health_passive/test_health_passive.c
modules_health_passive_test_health_passive_LDADD = $(MODULE_TEST_LIBS)

# --- store_sqlite --------------------------------------------------------------------------------

if HAVE_SQLITE
STORE_SQLITE_SOURCES = \
    modules/store_sqlite/db.c modules/store_sqlite/db.h \
    modules/store_sqlite/store_sqlite.c \
    modules/store_sqlite/wal.c modules/store_sqlite/wal.h
pkgmodule_PROGRAMS += modules/built/store_sqlite.so
modules_built_store_sqlite_so_SOURCES = $(STORE_SQLITE_SOURCES)
modules_built_store_sqlite_so_CPPFLAGS = $(AM_CPPFLAGS) $(SQLITE_CFLAGS)
modules_built_store_sqlite_so_LDFLAGS = $(MODULE_LINK)
modules_built_store_sqlite_so_LDADD = $(SQLITE_LIBS)
weir_tests += modules/store_sqlite/test_store_sqlite
modules_store_sqlite_test_store_sqlite_SOURCES = $(STORE_SQLITE_SOURCES) $(MODULE_TEST_SOURCES) \
    modules/store_sqlite/test_db.c \
    modules/store_sqlite/test_store_sqlite.c modules/store_sqlite/test_store_sqlite.h
modules_store_sqlite_test_store_sqlite_CPPFLAGS = $(AM_CPPFLAGS) $(SQLITE_CFLAGS) $(CHECK_CFLAGS)
modules_store_sqlite_test_store_sqlite_LDADD = $(MODULE_TEST_LIBS) $(SQLITE_LIBS)
endif

# --- metrics_prometheus --------------------------------------------------------------------------

METRICS_PROMETHEUS_SOURCES = \
    modules/metrics_prometheus/accept.c modules/metrics_prometheus/accept.h \
    modules/metrics_prometheus/families.c modules/metrics_prometheus/families.h \
    modules/metrics_prometheus/metrics_prometheus.c \
    modules/metrics_prometheus/process.c modules/metrics_prometheus/process.h \
    modules/metrics_prometheus/snapshot.c modules/metrics_prometheus/snapshot.h
pkgmodule_PROGRAMS += modules/built/metrics_prometheus.so
modules_built_metrics_prometheus_so_SOURCES = $(METRICS_PROMETHEUS_SOURCES)
modules_built_metrics_prometheus_so_LDFLAGS = $(MODULE_LINK)
modules_built_metrics_prometheus_so_LDADD = -lm
weir_tests += modules/metrics_prometheus/test_metrics_prometheus
modules_metrics_prometheus_test_metrics_prometheus_SOURCES = $(METRICS_PROMETHEUS_SOURCES) \
    $(MODULE_TEST_SOURCES) modules/metrics_prometheus/test_metrics_prometheus.c
modules_metrics_prometheus_test_metrics_prometheus_LDADD = $(MODULE_TEST_LIBS) -lm

# --- admin ---------------------------------------------------------------------------------------

ADMIN_SOURCES = \
    modules/admin/admin.c modules/admin/admin.h \
    modules/admin/admin_token.c modules/admin/admin_token.h \
    modules/admin/api.c modules/admin/api.h \
    modules/admin/assets.c modules/admin/assets.h \
    modules/admin/check.c modules/admin/check.h \
    modules/admin/control.c modules/admin/control.h \
    modules/admin/events.c modules/admin/events.h \
    modules/admin/history.c modules/admin/history.h \
    modules/admin/login.c modules/admin/login.h \
    modules/admin/openapi.c \
    modules/admin/pages.c modules/admin/pages.h \
    modules/admin/password.c \
    modules/admin/reply.c modules/admin/reply.h \
    modules/admin/session.c modules/admin/session.h \
    modules/admin/text.c modules/admin/text.h \
    modules/admin/throttle.c modules/admin/throttle.h \
    modules/admin/user_changes.c \
    modules/admin/users.c modules/admin/users.h \
    modules/admin/who.c modules/admin/who.h
ADMIN_LIBS = -lm $(ZLIB_LIBS) $(CJSON_LIBS) $(CRYPTO_LIBS)
ADMIN_CPPFLAGS = $(AM_CPPFLAGS) $(CJSON_CFLAGS) $(CRYPTO_CFLAGS) -DADMIN_WEB_DIR='"$(pkgdatadir)/web"'
if HAVE_ZLIB
ADMIN_CPPFLAGS += -DADMIN_GZIP $(ZLIB_CFLAGS)
endif
pkgmodule_PROGRAMS += modules/built/admin.so
modules_built_admin_so_SOURCES = $(ADMIN_SOURCES)
modules_built_admin_so_CPPFLAGS = $(ADMIN_CPPFLAGS)
modules_built_admin_so_LDFLAGS = $(MODULE_LINK)
modules_built_admin_so_LDADD = $(ADMIN_LIBS)
weir_tests += modules/admin/test_admin
modules_admin_test_admin_SOURCES = $(ADMIN_SOURCES) $(MODULE_TEST_SOURCES) \
    modules/admin/test_events.c modules/admin/test_history.c modules/admin/test_logins.c \
    modules/admin/test_pages.c modules/admin/test_parts.c modules/admin/test_rest.c \
    modules/admin/test_site.c modules/admin/test_site.h \
    modules/admin/test_users.c
modules_admin_test_admin_CPPFLAGS = $(ADMIN_CPPFLAGS) $(CHECK_CFLAGS)
modules_admin_test_admin_LDADD = $(MODULE_TEST_LIBS) $(ADMIN_LIBS)
