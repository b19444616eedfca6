/* SPDX-License-Identifier: MIT */
/*
 * Pages and what belongs to them: ETag, compression, methods.
 */
#ifndef ADMIN_PAGES_H
#define ADMIN_PAGES_H

#include "assets.h"

/* Answers with the asset: 200, 304 or 405. */
void pages_serve(struct weir_request *req, const struct asset *asset);

#endif
