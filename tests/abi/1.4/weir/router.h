/* SPDX-License-Identifier: MIT */
/*
 * Router: a rule table that gives each request a pool, or answers by a redirect.
 */
#ifndef WEIR_ROUTER_H
#define WEIR_ROUTER_H

#include <weir/http.h>
#include <weir/option.h>

WEIR_BEGIN_DECLS

/** Where a request goes. Zeroed (refs WEIR_NO_REF) by the host, filled by the router. */
struct weir_route_result {
    uint32_t size;
    weir_pool_ref pool;       /**< from weir_check_pool; WEIR_NO_REF with a redirect */
    weir_route_ref route;     /**< from weir_check_route; WEIR_NO_REF: not counted by route */
    uint32_t status;          /**< 0: to the pool; 301, 302, 303, 307, 308: redirect to `location`;
                               any other from 400 on: answer with it */
    struct weir_str location; /**< from the request's pool or the configuration */
};

/** A router's verdict on one of its rules, for a request. */
enum weir_rule_verdict {
    WEIR_RULE_DIFFERS = 0, /**< it is not for such requests */
    WEIR_RULE_FITS = 1,    /**< it is, but another rule takes precedence */
    WEIR_RULE_WINS = 2,    /**< it decides; at most one a request */
};

/** One rule, shown to the operator. Since 1.3. */
struct weir_rule {
    uint32_t size;
    enum weir_rule_verdict verdict;
    struct weir_str name; /**< as the configuration or weir_check_route calls it */
    struct weir_str why;  /**< a few words: "host differs", "a longer prefix won" */
    weir_route_ref route; /**< from weir_check_route; WEIR_NO_REF: it has none */
};

/** Receives rules. Owner: the host; valid until the hook returns. Since 1.3. */
struct weir_rule_sink {
    uint32_t size;
    /** The number of rules shown, at least one; beyond it only the winner is. */
    uint32_t limit;
    void (*tell)(const struct weir_rule_sink *sink, const struct weir_rule *rule);
    void (*leave_out)(const struct weir_rule_sink *sink, uint32_t count);
};

/** Reports one rule. Its strings are copied. */
static inline void weir_rule_tell(const struct weir_rule_sink *sink, const struct weir_rule *rule)
{
    sink->tell(sink, rule);
}

/** Reports that `count` more rules were checked, without details. */
static inline void weir_rule_leave_out(const struct weir_rule_sink *sink, uint32_t count)
{
    sink->leave_out(sink, count);
}

/** Routers are asked in the order of their module blocks; the first that does not decline decides.
 * Enabled by the module block alone. */
struct weir_router {
    uint32_t size;

    /** Makes the instance of one worker; `conf` and `prepared` are the module block's. Optional:
     * the instance is then `prepared` itself. */
    enum weir_status (*create)(struct weir_context *ctx, const void *conf, void *prepared,
                               void **instance);
    void (*destroy)(struct weir_context *ctx, void *instance);

    /** Runs once a request, after the filters. WEIR_OK: `*out` says where it goes; WEIR_DECLINED:
     * no rule of mine. Anything else is answered with 500. Mandatory. */
    enum weir_status (*route)(struct weir_context *ctx, void *instance, struct weir_request *req,
                              struct weir_route_result *out);

    /**
     * Reports to `sink` the rules checked for the request, in order of precedence, each with its
     * verdict and reason. Which of them wins, and whether one does, is as `route` says for this
     * request; `route` has run just before, and has decided. For an operator who asks where a
     * request would go: on the control thread's instance, never for a visitor's request, so that a
     * look at every rule is no harm. Of many rules tell the nearest ones, and how many were left
     * out. Must change nothing. Optional: the module is shown as one rule. Since 1.3.
     */
    void (*explain)(struct weir_context *ctx, void *instance, struct weir_request *req,
                    const struct weir_rule_sink *sink);
};

WEIR_END_DECLS

#endif
