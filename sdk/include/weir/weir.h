/* SPDX-License-Identifier: MIT */
/*
 * All of the SDK.
 */
#ifndef WEIR_WEIR_H
#define WEIR_WEIR_H

#include <weir/balancer.h>
#include <weir/control.h>
#include <weir/filter.h>
#include <weir/handler.h>
#include <weir/health.h>
#include <weir/host.h>
#include <weir/http.h>
#include <weir/json.h>
#include <weir/key.h>
#include <weir/logger.h>
#include <weir/metric.h>
#include <weir/module.h>
#include <weir/option.h>
#include <weir/router.h>
#include <weir/stats.h>
#include <weir/sticky.h>
#include <weir/store.h>
#include <weir/text.h>

#endif
