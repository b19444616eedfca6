/* SPDX-License-Identifier: MIT */
/*
 * The option `nameservers`: IPV4[:PORT], IPV6 or [IPV6][:PORT], separated by commas.
 */
#ifndef NET_NAMESERVERS_H
#define NET_NAMESERVERS_H

#include <ares.h>

#include "base/base.h"

/* As c-ares wants them. NULL and no `error`: the list is empty. */
struct ares_addr_port_node *nameservers_parse(struct weir_str servers, char *error,
                                              size_t error_size);
void nameservers_free(struct ares_addr_port_node *nodes);
/* false: `error` says what is wrong. */
bool nameservers_check(struct weir_str servers, char *error, size_t error_size);

#endif
