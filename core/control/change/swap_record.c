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

void swap_add_subject(struct changes *changes, const struct swap_subject *subject)
{
    size_t i = 0;

    while (i < SWAP_SUBJECTS && changes->swaps->subjects[i] != NULL) {
        i++;
    }
    ASSERT(i < SWAP_SUBJECTS);
    changes->swaps->subjects[i] = subject;
}

/* Whose key it is: that with the longest prefix. */
static const struct swap_subject *subject_of(const struct changes *changes, const char *key)
{
    const struct swap_subject *found = NULL;

    for (size_t i = 0; i < SWAP_SUBJECTS; i++) {
        const struct swap_subject *one = changes->swaps->subjects[i];
        if (one != NULL && strncmp(key, one->prefix, strlen(one->prefix)) == 0 &&
            (found == NULL || strlen(one->prefix) > strlen(found->prefix))) {
            found = one;
        }
    }
    return found;
}

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

struct swap *swap_find(const struct changes *changes, const char *key)
{
    list_each(link, &changes->swaps->all)
    {
        struct swap *swap = container_of(link, struct swap, link);
        if (strcmp(swap->key, key) == 0) {
            return swap;
        }
    }
    return NULL;
}

struct swap *swap_tried(const struct changes *changes)
{
    list_each(link, &changes->swaps->all)
    {
        struct swap *swap = container_of(link, struct swap, link);
        if (swap_is(swap, "trying")) {
            return swap;
        }
    }
    return NULL;
}

void swap_release_copies(struct swap *swap)
{
    module_unref(&swap->old);
    module_unref(&swap->now);
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
    swap_release_copies(gone);
    cJSON_Delete(gone->record);
    free(gone->verdict);
    free(gone->key);
    free(gone);
}

void swap_add(struct changes *changes, struct swap *swap)
{
    struct swap *before = swap_find(changes, swap->key);

    swap_free(&before);
    list_push_back(&changes->swaps->all, &swap->link);
}

void swap_load(struct changes *changes, const char *key, const char *value)
{
    const struct swap_subject *subject = subject_of(changes, key);
    cJSON *record = cJSON_Parse(value);

    if (subject == NULL || json_text(record, "state") == NULL || !subject->reads(record)) {
        log_write(WEIR_LOG_WARNING, "weir", "the swap of %s cannot be read; left out", key);
        cJSON_Delete(record);
        return;
    }
    struct swap *swap = swap_new(subject, key + strlen(subject->prefix));
    swap->record = record;
    swap_add(changes, swap);
}
