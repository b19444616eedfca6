/* SPDX-License-Identifier: MIT */
/*
 * What makes up the part of changes that is about servers; see changes.h. Control thread.
 */
#ifndef CONTROL_CHANGE_SERVER_PART_H
#define CONTROL_CHANGE_SERVER_PART_H

#include "control/change/changes.h"

/* Those that drain: the next one that is quiet, or whose time is over. */
bool drain_upkeep(struct changes *changes);

/* undo_server.c */
const char *server_undo_refusal(const struct changes *changes, const cJSON *entry);
void server_take_back(struct change *change, const cJSON *entry);

#endif
