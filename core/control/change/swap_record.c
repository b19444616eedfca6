/* SPDX-License-Identifier: MIT */
/*
 * Records of swaps, and their list. See swap.h.
 *
 * A record: {"state", "old", "new", "began", "ended", "author", "reason", and of a trial "canary",
 * "until", "max_error_ratio", "max_latency_ratio"}.
 *
 * Of a module, "old" and "new" are {"version", "path", "identity"}, and there is "instead_of", the
 * identity of the module's own file when the swap began. As long as that file is the same, the copy
 * in force is the record's, also for a start or reload: "new" where it was promoted, else "old".
 * Another file there is a newer word, which a start or reload takes.
 *
 * Of a pool they are {"balance", "options"}, and "old" has "from_files": whether that was the
 * files' own block. What is in force is kept in the space "pools".
 */
#include <stdlib.h>

#include "base/log.h"
#include "control/change/swap.h"

struct swap *swap_new(const struct swap_subject *subject, const char *name)
{
    struct swap *swap = base_zalloc(sizeof(*swap));

    swap->subject = subject;
    swap->key = base_printf("%s%s", subject->prefix, name);
    swap->name = swap->key + strlen(subject->prefix);
    return swap;
}

const char *swap_state(const struct swap *swap)
{
    return json_text(swap->record, "state");
}

bool swap_is(const struct swap *swap, const char *state)
{
    return swap != NULL && strcmp(swap_state(swap), state) == 0;
}

struct swap *swap_find(const struct changes *changes, const struct swap_subject *subject,
                       const char *name)
{
    list_each(link, &changes->swaps->all)
    {
        struct swap *swap = container_of(link, struct swap, link);
        if (swap->subject == subject && strcmp(swap->name, name) == 0) {
            return swap;
        }
    }
    return NULL;
}

void swap_free(struct swap **swap)
{
    struct swap *gone = *swap;

    *swap = NULL;
    if (gone == NULL) {
        return;
    }
    if (list_linked(&gone->link)) {
        list_remove(&gone->link);
    }
    module_unref(&gone->old);
    module_unref(&gone->now);
    cJSON_Delete(gone->record);
    free(gone->verdict);
    free(gone->key);
    free(gone);
}

void swap_add(struct changes *changes, struct swap *swap)
{
    struct swap *before = swap_find(changes, swap->subject, swap->name);

    swap_free(&before);
    list_push_back(&changes->swaps->all, &swap->link);
}

void swap_load(struct changes *changes, const char *key, const char *value)
{
    size_t prefix = strlen(swap_pool.prefix);
    bool pool = strncmp(key, swap_pool.prefix, prefix) == 0;
    cJSON *record = cJSON_Parse(value);
    bool named = pool ? json_text(json_get(record, "old"), "balance") != NULL &&
                            json_text(json_get(record, "new"), "balance") != NULL
                      : swap_names_copies(record);

    if (json_text(record, "state") == NULL || !named) {
        log_write(WEIR_LOG_WARNING, "weir", "the swap of %s cannot be read; left out", key);
        cJSON_Delete(record);
        return;
    }
    struct swap *swap = pool ? swap_new(&swap_pool, key + prefix) : swap_new(&swap_module, key);
    swap->record = record;
    swap_add(changes, swap);
}
