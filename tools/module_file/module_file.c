/* SPDX-License-Identifier: MIT */
#include "module_file.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *module_file_path(const char *what, const char *prefix, char *path, size_t size)
{
    const char *folder = getenv("WEIR_MODULE_DIR");
    size_t len = strlen(what);

    if (strchr(what, '/') != NULL || (len > 3 && strcmp(what + len - 3, ".so") == 0)) {
        return what;
    }
    bool prefixed = prefix == NULL || strncmp(what, prefix, strlen(prefix)) == 0;
    snprintf(path, size, "%s/%s%s.so",
             folder != NULL && folder[0] != '\0' ? folder : WEIR_MODULEDIR, prefixed ? "" : prefix,
             what);
    return path;
}

const struct weir_module *module_file_load(const char *path, void **library, char *error,
                                           size_t error_size)
{
    char here[4096];
    weir_module_entry_fn entry;

    if (strchr(path, '/') == NULL) { /* else the loader would look elsewhere */
        snprintf(here, sizeof(here), "./%s", path);
        path = here;
    }
    *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (*library == NULL) {
        snprintf(error, error_size, "%s", dlerror());
        return NULL;
    }
    *(void **)&entry = dlsym(*library, WEIR_MODULE_ENTRY);
    const struct weir_module *module = entry != NULL ? entry() : NULL;
    if (module == NULL) {
        snprintf(error, error_size, "%s: %s", path,
                 entry == NULL ? "it has no symbol " WEIR_MODULE_ENTRY
                               : WEIR_MODULE_ENTRY " returned nothing");
        dlclose(*library);
        *library = NULL;
    }
    return module;
}
