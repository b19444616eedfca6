/* SPDX-License-Identifier: MIT */
/*
 * Loaded modules as operations and events show them. Control thread.
 */
#ifndef CONTROL_API_MODULES_H
#define CONTROL_API_MODULES_H

#include "control/api/plane.h"
#include "module/blame.h"

cJSON *show_module(const struct plane *plane, const struct module *module);
/* Changes with what operations change of it: for ETag. The caller frees it. */
char *show_module_tag(const struct plane *plane, const struct module *module);
/* Whether the operation's If-Match, if it has one, is that tag; false: 412 is the answer. */
bool module_matches(struct operation *operation, const struct module *module);
/* The copy of that name that is in force, else the newest one; NULL: none. */
const struct module *find_module(const struct plane *plane, const char *name);
/* That of the operation's path; NULL: 404 is the answer. */
const struct module *find_module_of(struct operation *operation);
/* A list of the blocks of all modules that are out. */
cJSON *show_alarms(const struct plane *plane);
/* Once a second, while a generation runs. */
void modules_second(struct plane *plane);
/* Of a module in quarantine. */
cJSON *show_blame(const struct blame *blame);
/* How the run before ended; null: well, or an earlier start has told. */
cJSON *show_death(const struct plane *plane);
/* Sends that as an event. */
void modules_tell_death(struct plane *plane);
/* Sends an event for each block that is out and has not been told, and logs those in quarantine. */
void modules_tell_alarms(struct plane *plane);

#endif
