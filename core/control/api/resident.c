/* SPDX-License-Identifier: MIT */
/*
 * Instances that outlive generations. See resident.h.
 */
#include "control/api/resident.h"

#include <stdlib.h>

#include "base/log.h"
#include "module/check.h"

/* Fills the options anew: the same block was right in the generation. */
static bool configure(struct resident *resident)
{
    static const char *const no_blocks[] = {NULL};
    const struct weir_module *descriptor = &resident->module->descriptor;
    const struct weir_options *options = descriptor->options;
    struct mistakes mistakes = {0};
    struct weir_check check = {.mistakes = &mistakes, .block_place = resident->block->place};
    struct conf_fill filling = {.arena = &resident->arena,
                                .places = conf_places_new(&resident->arena),
                                .mistakes = &mistakes,
                                .context = WEIR_CONTEXT_MODULE};

    if (options != NULL) {
        resident->conf = arena_zalloc(&resident->arena, options->conf_size + 1);
        const struct weir_options *tables[GUARD_TABLES];
        struct conf_target targets[1 + GUARD_TABLES] = {{options, resident->conf}};
        struct guard_conf unused = {0};
        size_t count = guard_tables(resident->module, tables);
        for (size_t i = 0; i < count; i++) {
            targets[i + 1] = (struct conf_target){tables[i], &unused};
        }
        conf_fill_block(&filling, resident->block, targets, count + 1, no_blocks, true);
    }
    check.places = filling.places;
    if (mistakes.count == 0 && descriptor->conf_create != NULL) {
        struct call *call = call_begin(&resident->conf_context, HOOK_CONF_CREATE);
        resident->conf_created =
            descriptor->conf_create(&resident->conf_context.base, &check, resident->conf,
                                    &resident->prepared) == WEIR_OK;
        call_end(call);
    }
    for (size_t i = 0; i < mistakes.count; i++) {
        log_write(WEIR_LOG_ERROR, resident->module->name, "%s", mistakes.texts[i]);
    }
    bool good = mistakes.count == 0 && (resident->conf_created || descriptor->conf_create == NULL);
    mistakes_free(&mistakes);
    return good;
}

struct resident *resident_new(const struct use *use, const struct plan *plan, struct loop *loop)
{
    struct resident *resident = base_zalloc(sizeof(*resident));

    resident->module = module_ref(use->module);
    arena_init(&resident->arena, NULL, 0);
    resident->block = conf_node_copy(&resident->arena, use->block);
    module_context_init(&resident->conf_context, plan->host, resident->module, NULL);
    module_context_init(&resident->context, plan->host, resident->module, loop);
    if (loop == NULL) {
        resident->context.meter = NULL; /* a thread of its own runs it */
    }
    resident->conf_context.worker_index = resident->conf_context.worker_count = plan->workers;
    resident->context.worker_index = resident->context.worker_count = plan->workers;
    if (!configure(resident)) {
        resident_free(&resident);
    }
    return resident;
}

void resident_free(struct resident **pointer)
{
    struct resident *resident = *pointer;
    const struct weir_module *descriptor = &resident->module->descriptor;

    *pointer = NULL;
    if (resident->conf_created && descriptor->conf_free != NULL) {
        struct call *call = call_begin(&resident->conf_context, HOOK_CONF_FREE);
        descriptor->conf_free(&resident->conf_context.base, resident->prepared);
        call_end(call);
    }
    module_context_end(&resident->conf_context);
    module_context_end(&resident->context);
    module_unref(&resident->module);
    arena_reset(&resident->arena);
    free(resident);
}

bool resident_is(const struct resident *resident, const struct use *use)
{
    return use->module == resident->module &&
           conf_nodes_equal(use->block->children, resident->block->children);
}
