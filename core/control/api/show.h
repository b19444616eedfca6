/* SPDX-License-Identifier: MIT */
/*
 * Parts of answers shared by the reading commands. Control thread.
 */
#ifndef CONTROL_API_SHOW_H
#define CONTROL_API_SHOW_H

#include "control/api/plane.h"

/* requests, responses, errors, protocols, retries, bytes. */
void show_counters(cJSON *object, const struct traffic *traffic);
/* gRPC calls by the words of their statuses; not of servers. */
void show_grpc(cJSON *object, const struct traffic *traffic);
/* HTTP/2's connections and requests, of a listener or server. */
void show_http2(cJSON *object, const struct traffic *traffic);
/* What a listener offers: `alpn`, empty for a plain one, and `h2c`. */
void show_offers(cJSON *object, const struct listener_plan *plan);
/* rates and latency_ms of a listener, route or pool; null where no module knows them. */
void show_rates(cJSON *object, const struct plane *plane, enum weir_stats_kind kind,
                const char *name);

/* Its health; "down" also if it is ejected or has no address. */
const char *show_health_word(const struct server *server);

cJSON *show_server(const struct plane *plane, const struct pool_plan *plan, size_t index);
cJSON *show_pool(const struct plane *plane, const struct pool_plan *plan);
/* Covers what an operator may change. The caller frees it. */
char *show_server_tag(const struct plane *plane, const struct pool_plan *plan, size_t index);
char *show_pool_tag(const struct plane *plane, const struct pool_plan *plan);
cJSON *show_stats(const struct plane *plane);
/* Settings of the files that need a restart, as a list of texts. */
cJSON *show_restart(const struct generation *g);
cJSON *show_mistakes(const struct mistakes *mistakes, size_t limit);
/* Adds a file to a list; frees `text`. */
void show_file(cJSON *files, const char *path, char *text);

#endif
