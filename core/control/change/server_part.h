/* SPDX-License-Identifier: MIT */
/*
 * The part of changes for servers; see changes.h. Control thread.
 */
#ifndef CONTROL_CHANGE_SERVER_PART_H
#define CONTROL_CHANGE_SERVER_PART_H

#include "control/change/changes.h"

/* Ends the next drain that is quiet or past its deadline. */
bool drain_upkeep(struct changes *changes);

/* undo_server.c */
const char *server_take_back(struct change *change, const cJSON *entry);
bool server_waits(const struct changes *changes, const cJSON *entry);

#endif
