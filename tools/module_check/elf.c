/* SPDX-License-Identifier: MIT */
/*
 * The symbols of a shared object, read from its file: nothing of it runs.
 */
#include "check.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX ((off_t)256 << 20)

static bool read_file(struct elf_file *elf, const char *path)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool good = fd != -1 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
                status.st_size <= FILE_MAX;

    if (good) {
        elf->bytes = calloc(1, (size_t)status.st_size + 1);
        while (elf->bytes != NULL && elf->size < (size_t)status.st_size) {
            ssize_t got = read(fd, elf->bytes + elf->size, (size_t)status.st_size - elf->size);
            if (got <= 0) {
                break;
            }
            elf->size += (size_t)got;
        }
        good = elf->bytes != NULL && elf->size == (size_t)status.st_size;
    }
    if (fd != -1) {
        close(fd);
    }
    return good;
}

/* `count` things of `size` bytes at an offset of the file; NULL: they do not lie within it. */
static const void *at(const struct elf_file *elf, uint64_t offset, uint64_t size, uint64_t count)
{
    bool fits = offset <= elf->size && (size == 0 || count <= (elf->size - offset) / size);
    return fits ? elf->bytes + offset : NULL;
}

static const ElfW(Shdr) * sections(const struct elf_file *elf, size_t *count)
{
    ElfW(Ehdr) head;
    memcpy(&head, elf->bytes, sizeof(head));
    *count = head.e_shnum;
    return head.e_shentsize == sizeof(ElfW(Shdr)) && head.e_shoff % _Alignof(ElfW(Shdr)) == 0
               ? at(elf, head.e_shoff, sizeof(ElfW(Shdr)), head.e_shnum)
               : NULL;
}

/* A text of the string table in that section. */
static const char *text(const struct elf_file *elf, size_t section, uint64_t offset)
{
    size_t count;
    const ElfW(Shdr) *all = sections(elf, &count);
    if (section >= count || offset >= all[section].sh_size ||
        at(elf, all[section].sh_offset, 1, all[section].sh_size) == NULL) {
        return "";
    }
    const char *begin = elf->bytes + all[section].sh_offset + offset;
    return memchr(begin, '\0', all[section].sh_size - offset) != NULL ? begin : "";
}

/* What linkers put there by themselves, and what sanitizers want. */
static bool is_of_tools(const char *name)
{
    static const char *const prefixes[] = {"__asan",      "__ubsan",  "__tsan",   "__odr_asan",
                                           "__sanitizer", "__sancov", "__lsan",   "__gcov",
                                           "__llvm",      "_fini",    "_init",    "__bss_start",
                                           "_edata",      "_end",     "__start_", "__stop_"};
    for (size_t i = 0; i < COUNT(prefixes); i++) {
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0) {
            return true;
        }
    }
    return false;
}

static bool add_symbols(struct elf_file *elf, const ElfW(Shdr) * section, bool dynamic)
{
    size_t count = section->sh_size / sizeof(ElfW(Sym));
    const char *table = at(elf, section->sh_offset, sizeof(ElfW(Sym)), count);
    struct elf_symbol *symbols =
        reallocarray(elf->symbols, elf->count + count + 1, sizeof(*symbols));

    if (table == NULL || symbols == NULL) {
        return false;
    }
    elf->symbols = symbols;
    for (size_t i = 1; i < count; i++) {
        ElfW(Sym) symbol;
        memcpy(&symbol, table + i * sizeof(symbol), sizeof(symbol));
        unsigned bind = symbol.st_info >> 4, visibility = symbol.st_other & 3;
        const char *name = text(elf, section->sh_link, symbol.st_name);
        bool global = bind != STB_LOCAL && name[0] != '\0' && !is_of_tools(name);
        elf->symbols[elf->count++] = (struct elf_symbol){
            .name = name,
            .from = symbol.st_value,
            .to = symbol.st_value + (symbol.st_size > 0 ? symbol.st_size : 1),
            .exported = dynamic && global && symbol.st_shndx != SHN_UNDEF &&
                        symbol.st_shndx != SHN_ABS &&
                        (visibility == STV_DEFAULT || visibility == STV_PROTECTED),
            .undefined = dynamic && global && symbol.st_shndx == SHN_UNDEF,
            .weak = bind == STB_WEAK,
            .function = (symbol.st_info & 15) == STT_FUNC && symbol.st_shndx != SHN_UNDEF,
        };
    }
    return true;
}

static void add_needed(struct elf_file *elf, const ElfW(Shdr) * section)
{
    size_t count = section->sh_size / sizeof(ElfW(Dyn));
    const char *table = at(elf, section->sh_offset, sizeof(ElfW(Dyn)), count);

    for (size_t i = 0; table != NULL && i < count; i++) {
        ElfW(Dyn) entry;
        memcpy(&entry, table + i * sizeof(entry), sizeof(entry));
        if (entry.d_tag == DT_NULL) {
            break;
        }
        if (entry.d_tag == DT_NEEDED && elf->needed_count < COUNT(elf->needed)) {
            elf->needed[elf->needed_count++] = text(elf, section->sh_link, entry.d_un.d_val);
        }
    }
}

static const char *check_head(const struct elf_file *elf)
{
    static const ElfW(Half) machine =
#if defined(__x86_64__)
        EM_X86_64;
#elif defined(__aarch64__)
        EM_AARCH64;
#else
        EM_NONE;
#endif
    ElfW(Ehdr) head;

    if (elf->size < sizeof(head) || memcmp(elf->bytes, ELFMAG, SELFMAG) != 0) {
        return "it is not a shared object";
    }
    memcpy(&head, elf->bytes, sizeof(head));
    if (head.e_ident[EI_CLASS] != (__ELF_NATIVE_CLASS == 64 ? ELFCLASS64 : ELFCLASS32) ||
        (machine != EM_NONE && head.e_machine != machine)) {
        return "it is built for another kind of machine";
    }
    if (head.e_type != ET_DYN) {
        return "it is not a shared object";
    }
    return NULL;
}

const char *elf_read(struct elf_file *elf, const char *path)
{
    size_t count = 0;

    *elf = (struct elf_file){0};
    errno = 0;
    if (!read_file(elf, path)) {
        return errno != 0 ? strerror(errno) : "it is no file that can be read";
    }
    const char *wrong = check_head(elf);
    if (wrong != NULL) {
        return wrong;
    }
    const ElfW(Shdr) *all = sections(elf, &count);
    if (all == NULL || count == 0) {
        return "it is cut, or has no section headers";
    }
    for (size_t i = 0; i < count; i++) {
        if (all[i].sh_type == SHT_DYNSYM && !add_symbols(elf, &all[i], true)) {
            return "it is cut";
        } else if (all[i].sh_type == SHT_DYNAMIC) {
            add_needed(elf, &all[i]);
        }
    }
    elf->dynamic_count = elf->count;
    for (size_t i = 0; i < count; i++) {
        if (all[i].sh_type == SHT_SYMTAB && !add_symbols(elf, &all[i], false)) {
            return "it is cut";
        }
    }
    return NULL;
}

void elf_free(struct elf_file *elf)
{
    free(elf->symbols);
    free(elf->bytes);
    *elf = (struct elf_file){0};
}

const struct elf_symbol *elf_function(const struct elf_file *elf, uintptr_t offset)
{
    for (size_t i = 0; i < elf->count; i++) {
        const struct elf_symbol *symbol = &elf->symbols[i];
        if (symbol->function && offset >= symbol->from && offset < symbol->to) {
            return symbol;
        }
    }
    return NULL;
}
