/* SPDX-License-Identifier: MIT */
/*
 * Instances of balancers. See balancer.h.
 */
#include "proxy/pool/balancer.h"

#include <stdlib.h>

#include "proxy/generation.h"
#include "proxy/worker.h"

struct balancer *balancer_new(const struct pool_plan *plan, struct pool_home *home)
{
    const struct use *use = plan->balance;
    struct balancer *balancer = base_zalloc(sizeof(*balancer));

    use_context_init(&balancer->context, use, worker_of(home->loop));
    balancer->use = use;
    balancer->ops = use->module->descriptor.balancer;
    balancer->refs = 1;
    balancer->data = use->prepared;
    if (balancer->ops->create != NULL &&
        balancer->ops->create(&balancer->context.base, use->conf, use->prepared, &balancer->data) !=
            WEIR_OK) {
        module_context_end(&balancer->context);
        free(balancer);
        return NULL;
    }
    balancer->generation = plan->generation;
    generation_keep_balancer(use, worker_of(home->loop));
    return balancer;
}

void balancer_unref(struct balancer *balancer, struct pool_home *home)
{
    if (balancer == NULL || --balancer->refs > 0) {
        return;
    }
    if (balancer->ops->destroy != NULL) {
        balancer->ops->destroy(&balancer->context.base, balancer->data);
    }
    module_context_end(&balancer->context);
    generation_unkeep_balancer(balancer->use, worker_of(home->loop));
    free(balancer);
}
