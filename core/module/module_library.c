/* SPDX-License-Identifier: MIT */
/*
 * A shared object is copied into memory that has a descriptor and no name on disk, sealed, and
 * loaded from there: whoever overwrites the file changes nothing that runs, and two versions
 * have two inodes, so that the loader keeps them apart.
 *
 * The descriptor stays open as long as the object: the loader knows objects by their path, which
 * is the descriptor's under /proc, and debuggers find symbols there.
 */
#include "module/module_library.h"

#include <dirent.h>
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "option/option_value.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

#define IMAGE_MAX ((size_t)256 << 20)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define KEEP_LOADED true
#else
#define KEEP_LOADED false
#endif

struct module_library {
    void *handle;
    int fd;
};

/* ---- reading ---- */

static bool read_whole(struct library_image *image, int fd)
{
    struct stat status;

    if (fstat(fd, &status) == -1) {
        return false;
    }
    if (!S_ISREG(status.st_mode)) {
        errno = S_ISDIR(status.st_mode) ? EISDIR : EINVAL;
        return false;
    }
    if (status.st_size > (off_t)IMAGE_MAX) {
        errno = EFBIG;
        return false;
    }
    size_t capacity = (size_t)status.st_size;
    image->bytes = base_alloc(capacity);
    /* Of a file that grows meanwhile, the original length is read. */
    while (image->len < capacity) {
        ssize_t got = read(fd, image->bytes + image->len, capacity - image->len);
        if (got == 0) {
            break;
        }
        if (got == -1 && errno != EINTR) {
            return false;
        }
        image->len += got > 0 ? (size_t)got : 0;
    }
    return true;
}

bool library_image_read(struct library_image *image, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool ok;

    *image = (struct library_image){0};
    if (fd == -1) {
        return false;
    }
    ok = read_whole(image, fd);
    int why = errno;
    close(fd);
    if (ok) {
        ok = EVP_Digest(image->bytes, image->len, image->identity, NULL, EVP_sha256(), NULL) == 1;
        why = EIO;
    }
    if (!ok) {
        library_image_free(image);
        errno = why;
    }
    return ok;
}

void library_image_free(struct library_image *image)
{
    free(image->bytes);
    *image = (struct library_image){0};
}

/* ---- is it a whole shared object for this machine? ---- */

/* The loader maps what the headers say, which would raise a signal for a truncated file. */
static const char *check_elf(const struct library_image *image)
{
    ElfW(Ehdr) head;
    ElfW(Phdr) part;

    if (image->len < sizeof(head) || memcmp(image->bytes, ELFMAG, SELFMAG) != 0) {
        return "it is not a shared object";
    }
    memcpy(&head, image->bytes, sizeof(head));
    if (head.e_ident[EI_CLASS] != (__ELF_NATIVE_CLASS == 64 ? ELFCLASS64 : ELFCLASS32)) {
        return "it is built for another kind of machine";
    }
    if (head.e_type != ET_DYN) {
        return "it is not a shared object; link it with -shared";
    }
    if (head.e_phentsize != sizeof(part) || head.e_phoff > image->len ||
        (image->len - head.e_phoff) / sizeof(part) < head.e_phnum) {
        return "it is cut short";
    }
    for (size_t i = 0; i < head.e_phnum; i++) {
        memcpy(&part, image->bytes + head.e_phoff + i * sizeof(part), sizeof(part));
        if (part.p_type == PT_LOAD &&
            (part.p_offset > image->len || part.p_filesz > image->len - part.p_offset)) {
            return "it is cut short; copy it again";
        }
    }
    return NULL;
}

/* ---- loading ---- */

static bool write_whole(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t written = write(fd, bytes, len);
        if (written == -1 && errno != EINTR) {
            return false;
        }
        bytes += written > 0 ? written : 0;
        len -= written > 0 ? (size_t)written : 0;
    }
    return true;
}

static int private_copy(const struct library_image *image, const char *name)
{
    unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    int fd = memfd_create(name, flags | MFD_EXEC);

    if (fd == -1 && errno == EINVAL) {
        fd = memfd_create(name, flags); /* a kernel older than that flag */
    }
    if (fd == -1) {
        return -1;
    }
    if (!write_whole(fd, image->bytes, image->len) ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == -1) {
        int why = errno;
        close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

/* The loader's message without the copy's path, and with a remedy. */
static void explain(const char *words, const char *path, char *error)
{
    static const char undefined[] = "undefined symbol: ";
    size_t path_len = strlen(path);

    if (words == NULL) {
        words = "the loader does not say why";
    }
    if (strncmp(words, path, path_len) == 0 && strncmp(words + path_len, ": ", 2) == 0) {
        words += path_len + 2;
    }
    if (strncmp(words, undefined, sizeof(undefined) - 1) == 0) {
        const char *symbol = words + sizeof(undefined) - 1;
        snprintf(
            error, LIBRARY_ERROR_SIZE,
            "it needs the symbol `%.*s`, which nothing defines; link it with -Wl,-z,defs and the "
            "library that has it",
            (int)strcspn(symbol, " \t("), symbol);
        return;
    }
    snprintf(error, LIBRARY_ERROR_SIZE, "the loader refuses it: %s", words);
}

struct module_library *library_open(const struct library_image *image, const char *name,
                                    char *error)
{
    char path[64];
    const char *fault = check_elf(image);

    if (fault != NULL) {
        snprintf(error, LIBRARY_ERROR_SIZE, "%s", fault);
        return NULL;
    }
    int fd = private_copy(image, name);
    if (fd == -1) {
        snprintf(error, LIBRARY_ERROR_SIZE, "no private copy of it can be made: %s",
                 strerror(errno));
        return NULL;
    }
    /* Not /proc/self, which is another process in a debugger. */
    snprintf(path, sizeof(path), "/proc/%ld/fd/%d", (long)getpid(), fd);
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        explain(dlerror(), path, error);
        close(fd);
        return NULL;
    }
    struct module_library *library = base_alloc(sizeof(*library));
    *library = (struct module_library){handle, fd};
    return library;
}

void *library_symbol(const struct module_library *library, const char *name)
{
    return dlsym(library->handle, name);
}

static bool write_file(const struct module_library *library, int fd)
{
    char bytes[65536];
    off_t at = 0;
    ssize_t got;

    while ((got = pread(library->fd, bytes, sizeof(bytes), at)) > 0) {
        if (!write_whole(fd, bytes, (size_t)got)) {
            return false;
        }
        at += got;
    }
    return got == 0 && fsync(fd) == 0;
}

static bool sync_folder_of(const char *path)
{
    char *folder = base_strndup(path, (size_t)(strrchr(path, '/') - path));
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = fd != -1 && (fsync(fd) == 0 || errno == EINVAL);

    if (fd != -1) {
        close(fd);
    }
    free(folder);
    return good;
}

bool library_write(const struct module_library *library, const char *path)
{
    char *staged = base_printf("%s.new", path);
    int fd = open(staged, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool good = fd != -1 && write_file(library, fd);
    int why = errno;

    if (fd != -1) {
        close(fd);
    }
    if (good) {
        good = rename(staged, path) == 0 && sync_folder_of(path);
        why = errno;
    } else if (fd != -1) {
        unlink(staged);
    }
    free(staged);
    errno = why;
    return good;
}

void library_close(struct module_library **library)
{
    struct module_library *closed = *library;

    *library = NULL;
    if (closed != NULL && !KEEP_LOADED) {
        dlclose(closed->handle);
        close(closed->fd);
    }
    free(closed);
}

char *library_nearest(const char *module_dir, const char *prefix, const char *name)
{
    struct option_nearest search;
    size_t skip = strlen(prefix);
    DIR *folder = opendir(module_dir);
    struct dirent *entry;
    char *best = NULL;

    option_nearest_begin(&search, name, strlen(name));
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        size_t len = strlen(entry->d_name);
        if (len <= skip + 3 || strcmp(entry->d_name + len - 3, ".so") != 0 ||
            strncmp(entry->d_name, prefix, skip) != 0) {
            continue;
        }
        char *offered = base_strndup(entry->d_name + skip, len - 3 - skip);
        option_nearest_offer(&search, offered);
        if (search.best == offered) {
            free(best);
            best = offered;
        } else {
            free(offered);
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return best;
}
