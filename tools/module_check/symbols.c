/* SPDX-License-Identifier: MIT */
/*
 * Whether somebody can give what the module's file leaves undefined: the C library with libm and
 * libpthread, which Weir has loaded, or a library that the file names. Weir itself gives nothing
 * by name.
 */
#include "check.h"

#include <dlfcn.h>
#include <string.h>
#if __has_include(<gnu/lib-names.h>)
#include <gnu/lib-names.h>
#else
#define LIBC_SO       NULL
#define LIBM_SO       NULL
#define LIBPTHREAD_SO NULL
#endif

static bool defined_in(void *const *libraries, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (libraries[i] != NULL && dlsym(libraries[i], name) != NULL) {
            return true;
        }
        if (libraries[i] != NULL) {
            (void)dlerror();
        }
    }
    return false;
}

void test_symbols(const struct job *job)
{
    struct elf_file elf;
    void *libraries[COUNT(elf.needed) + 3];
    size_t count = 0;

    if (elf_read(&elf, job->path) != NULL) {
        return; /* told by the parent */
    }
    const char *const given[] = {LIBC_SO, LIBM_SO, LIBPTHREAD_SO};
    for (size_t i = 0; i < COUNT(given); i++) {
        libraries[count++] = dlopen(given[i], RTLD_LAZY | RTLD_LOCAL);
    }
    for (size_t i = 0; i < elf.needed_count; i++) {
        libraries[count] = dlopen(elf.needed[i], RTLD_LAZY | RTLD_LOCAL);
        if (libraries[count] == NULL) {
            tell(elf.needed[i], "a library that is installed, or none", "it needs %s: %s",
                 elf.needed[i], dlerror());
            return; /* what it gives is not known */
        }
        count++;
    }
    for (size_t i = 0; i < elf.dynamic_count; i++) {
        const struct elf_symbol *symbol = &elf.symbols[i];
        if (!symbol->undefined || symbol->weak || defined_in(libraries, count, symbol->name)) {
            continue;
        }
        if (strncmp(symbol->name, "weir_", 5) == 0) {
            tell(symbol->name, "services come by the host's table: the functions in <weir/...h>",
                 "it needs the symbol %s, which Weir does not give by name", symbol->name);
        } else {
            tell(symbol->name, "link it, or the library that has it, with -Wl,-z,defs",
                 "it needs the symbol %s, which neither libc, libm, libpthread nor a library that "
                 "it names has",
                 symbol->name);
        }
    }
    elf_free(&elf);
}
