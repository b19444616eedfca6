/* SPDX-License-Identifier: MIT */
/*
 * What this module adds to the control plane: users and who they are, the last hour, the OpenAPI
 * document. Control thread.
 */
#ifndef ADMIN_CONTROL_H
#define ADMIN_CONTROL_H

#include <weir/control.h>

extern const struct weir_control admin_control;

/* ---- openapi.c ---- */

/* Schemas of what this module's operations answer. */
extern const struct weir_schema admin_schemas[];
/* JSON text of the OpenAPI 3.1 document, for cJSON_free. */
char *openapi_text(struct weir_context *ctx);

#endif
