/* SPDX-License-Identifier: MIT */
/*
 * The plane behind the services of control.h. Private to core/control.
 */
#ifndef CONTROL_API_SERVICES_H
#define CONTROL_API_SERVICES_H

#include "module/host.h"

struct plane;

/* The services that modules call. */
void control_services_fill(struct weir_host *host);
/* NULL: none any more. */
void control_services_set_plane(struct plane *plane);
struct plane *control_services_plane(void);

/* And those of the kind `control` (provider_services.c). */
void provider_services_fill(struct weir_host *host);

#endif
