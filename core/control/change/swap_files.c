/* SPDX-License-Identifier: MIT */
/*
 * Files of modules' copies that records name, and which of them a start or reload takes. See swap.h
 * and swap_record.c.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "control/change/swap.h"

#define HEX_SIZE 65u

/* ---- identities ---- */

static void to_hex(const uint8_t identity[32], char hex[HEX_SIZE])
{
    for (unsigned i = 0; i < 32; i++) {
        snprintf(hex + (size_t)2 * i, 3, "%02x", identity[i]);
    }
}

static bool from_hex(const char *hex, uint8_t identity[32])
{
    for (unsigned i = 0; i < 32; i++) {
        unsigned byte = 0;
        if (hex == NULL || sscanf(hex + (size_t)2 * i, "%2x", &byte) != 1) {
            return false;
        }
        identity[i] = (uint8_t)byte;
    }
    return true;
}

static const char *identity_of(const cJSON *record, const char *member)
{
    const char *hex = json_text(json_get(record, member), "identity");
    return hex != NULL && strlen(hex) == HEX_SIZE - 1 ? hex : NULL;
}

cJSON *swap_copy_json(const struct module *module)
{
    cJSON *copy = cJSON_CreateObject();
    char hex[HEX_SIZE];

    to_hex(module->identity, hex);
    json_set(copy, "version", module->descriptor.version);
    json_set(copy, "path", module->path);
    json_set(copy, "identity", hex);
    return copy;
}

char *swap_own_file(const struct changes *changes, const char *module)
{
    const struct plan *plan = changes->plane.runtime->current->plan;
    char *path = base_printf("%s/%s.so", plan->global.module_dir.ptr, module);
    uint8_t identity[32];
    char hex[HEX_SIZE] = "";

    if (module_identify(path, identity)) {
        to_hex(identity, hex);
    }
    free(path);
    return base_strdup(hex);
}

bool swap_names_copies(const cJSON *record)
{
    return identity_of(record, "old") != NULL && identity_of(record, "new") != NULL &&
           json_text(record, "instead_of") != NULL;
}

/* ---- files ---- */

static char *folder_of(const struct changes *changes)
{
    return base_printf("%s/modules", changes->plane.runtime->started->state_dir.ptr);
}

/* Of the copy with that identity. */
static char *path_of(const struct changes *changes, const char *module, const char *hex)
{
    char *folder = folder_of(changes);
    char *path = base_printf("%s/%s-%s.so", folder, module, hex);
    free(folder);
    return path;
}

/* What lies there may be damaged. */
static bool is_kept(const struct module *module, const char *path)
{
    uint8_t identity[32];

    return module_identify(path, identity) &&
           memcmp(identity, module->identity, sizeof(identity)) == 0;
}

char *swap_keep_file(const struct changes *changes, const struct module *module)
{
    char *folder = folder_of(changes), *error = NULL;
    char hex[HEX_SIZE];

    to_hex(module->identity, hex);
    char *path = path_of(changes, module->name, hex);
    if ((mkdir(folder, 0700) == -1 && errno != EEXIST) ||
        (!is_kept(module, path) && !module_write(module, path))) {
        error = base_printf("the copy cannot be kept as %s: %s", path, strerror(errno));
    }
    free(path);
    free(folder);
    return error;
}

static bool is_named(const struct swap *swap, const char *hex)
{
    static const char *const members[] = {"old", "new"};

    for (size_t i = 0; swap != NULL && i < ARRAY_COUNT(members); i++) {
        const char *named = identity_of(swap->record, members[i]);
        if (named != NULL && strncmp(hex, named, HEX_SIZE - 1) == 0) {
            return true;
        }
    }
    return false;
}

void swap_drop_files(const struct changes *changes, const char *module)
{
    const struct swap *swap = swap_find(changes, module);
    char *folder_name = folder_of(changes);
    size_t len = strlen(module);
    /* Before the records are read nobody knows which files they name. */
    DIR *folder = store_is_loaded(changes->store) ? opendir(folder_name) : NULL;
    const struct dirent *entry;

    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        const char *name = entry->d_name;
        if (strncmp(name, module, len) == 0 && name[len] == '-' &&
            !is_named(swap, name + len + 1)) {
            unlinkat(dirfd(folder), name, 0);
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
    free(folder_name);
}

struct module *swap_load_copy(const struct changes *changes, const struct swap *swap,
                              const char *member, struct mistakes *mistakes)
{
    const struct runtime *runtime = changes->plane.runtime;
    const char *hex = identity_of(swap->record, member);
    char *path = path_of(changes, swap->name, hex);
    struct module *copy = module_load_file(runtime->modules, path, swap->name, runtime->host,
                                           (struct place){NULL, 0}, mistakes);
    uint8_t identity[32];

    if (copy != NULL &&
        (!from_hex(hex, identity) || memcmp(identity, copy->identity, sizeof(identity)) != 0)) {
        mistakes_add(mistakes, (struct place){NULL, 0},
                     "%s has other contents than were kept there", path);
        module_unref(&copy);
    }
    free(path);
    return copy;
}

/* ---- what a start or reload takes ---- */

static const char *in_force(const struct swap *swap)
{
    return swap_is(swap, "promoted") ? "new" : "old";
}

/* For the modules' registry: the copy in force, while the module's own file is that of then. */
static bool instead(void *arg, const char *name, const uint8_t identity[32],
                    struct module_instead *out)
{
    const struct changes *changes = arg;
    const struct swap *swap = swap_find(changes, name);
    char hex[HEX_SIZE];

    to_hex(identity, hex);
    if (swap == NULL || strcmp(json_text(swap->record, "instead_of"), hex) != 0) {
        return false;
    }
    const char *wanted = identity_of(swap->record, in_force(swap));
    if (strcmp(wanted, hex) == 0 || !from_hex(wanted, out->identity)) {
        return false;
    }
    out->path = path_of(changes, name, wanted);
    return true;
}

bool swap_restore(struct changes *changes, const struct generation *generation, size_t *at,
                  struct plan_swap *out)
{
    module_registry_on_file(changes->plane.runtime->modules, instead, changes);
    while (*at < generation->plan->modules.count) {
        size_t block = (*at)++;
        const struct module *module = generation->plan->modules.items[block]->module;
        struct module_instead wanted = {NULL, {0}};
        if (!instead(changes, module->name, module->identity, &wanted)) {
            continue;
        }
        free(wanted.path);
        struct mistakes mistakes = {0};
        const struct swap *swap = swap_find(changes, module->name);
        struct module *copy = swap_load_copy(changes, swap, in_force(swap), &mistakes);
        if (copy == NULL) {
            log_write(WEIR_LOG_ERROR, module->name,
                      "the copy that a swap has put in force cannot be had: %s", mistakes.texts[0]);
        }
        mistakes_free(&mistakes);
        if (copy != NULL) {
            *out = (struct plan_swap){.step = SWAP_TAKE, .module = block, .copy = copy};
            return true;
        }
    }
    return false;
}
