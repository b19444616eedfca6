/* SPDX-License-Identifier: MIT */
/*
 * What a program that judges modules wants to know of them: which hook runs, and whether memory
 * that was only lent is used after its time. A loan lies on pages of its own, at their end, and a
 * closed page follows; when its time is over they are closed for good, so that the address of a
 * fault tells what was touched, without a sanitizer.
 */
#include "fake.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Addresses are taken once and never again. */
#define PAGES ((size_t)1 << 22)

static struct {
    bool on;
    size_t page;       /* bytes of one */
    char *base;        /* NULL: nothing has been lent yet */
    size_t used;       /* pages */
    const char **what; /* by page: what lay there */
    uint32_t *count;   /* by first page of a loan: how many pages it has */
} guard;

static struct weir_test_watch *watch;
static const char *running; /* hook */
static size_t depth;        /* hooks that run inside each other */

/* Lent until the hook of that depth is over. */
static struct {
    struct loan {
        void *memory;
        size_t depth;
    } * items;
    size_t count, capacity;
} loans;

/* ---- hooks ---- */

void weir_test_watch_hooks(struct weir_test_watch *to)
{
    watch = to;
}

const char *fake_hook_enter(const char *name)
{
    const char *outer = running;
    running = name;
    depth++;
    if (watch != NULL) {
        watch->hook = watch->last = name;
        if (watch->call != NULL) {
            watch->call(name, true);
        }
    }
    return outer;
}

void fake_hook_leave(const char **outer)
{
    if (watch != NULL) {
        if (watch->call != NULL) {
            watch->call(running, false);
        }
        watch->hook = *outer;
    }
    running = *outer;
    while (loans.count > 0 && loans.items[loans.count - 1].depth == depth) {
        fake_take_back(loans.items[--loans.count].memory);
    }
    if (loans.count == 0) {
        free(loans.items);
        loans.items = NULL;
        loans.capacity = 0;
    }
    depth--;
}

const char *fake_hook_running(void)
{
    return running;
}

void fake_watch_problem(const char *text)
{
    if (watch != NULL && watch->problem != NULL) {
        watch->problem(text);
    }
}

/* ---- loans ---- */

static void *reserve(size_t size, int protection)
{
    void *memory = mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        fake_abort("weir_test_guard", "there are not enough addresses to guard memory with");
    }
    return memory;
}

void weir_test_guard(bool on)
{
    guard.on = on;
    if (on && guard.base == NULL) {
        guard.page = (size_t)sysconf(_SC_PAGESIZE);
        guard.what = reserve(PAGES * sizeof(*guard.what), PROT_READ | PROT_WRITE);
        guard.count = reserve(PAGES * sizeof(*guard.count), PROT_READ | PROT_WRITE);
        guard.base = reserve(PAGES * guard.page, PROT_NONE);
    }
}

bool fake_guards(void)
{
    return guard.on;
}

/* The page of an address of a loan; PAGES: it is none. */
static size_t page_of(const void *address)
{
    uintptr_t offset = (uintptr_t)address - (uintptr_t)guard.base;
    return guard.base != NULL && offset / guard.page < guard.used ? offset / guard.page : PAGES;
}

const char *weir_test_lent(const void *address)
{
    size_t page = page_of(address);
    return page < PAGES ? guard.what[page] : NULL;
}

void *fake_lend(size_t len, const char *what)
{
    size_t room = (len > 0 ? len + 15 : 16) / 16 * 16;
    size_t pages = guard.on ? (room + guard.page - 1) / guard.page : 0;

    if (!guard.on || pages + 1 > PAGES - guard.used) {
        return fake_alloc(len);
    }
    size_t first = guard.used;
    char *memory = guard.base + first * guard.page;
    if (mprotect(memory, pages * guard.page, PROT_READ | PROT_WRITE) != 0) {
        return fake_alloc(len);
    }
    guard.used += pages + 1;
    guard.count[first] = (uint32_t)pages;
    for (size_t i = 0; i < pages; i++) {
        guard.what[first + i] = what;
    }
    guard.what[first + pages] = "what lies behind the end of something lent";
    return memory + pages * guard.page - room;
}

void *fake_lend_copy(const void *data, size_t len, const char *what)
{
    void *copy = fake_lend(len, what);
    if (len > 0) {
        memcpy(copy, data, len);
    }
    return copy;
}

void fake_take_back(void *memory)
{
    size_t page = page_of(memory);
    if (page == PAGES) {
        free(memory);
        return;
    }
    size_t size = guard.count[page] * guard.page;
    (void)madvise(guard.base + page * guard.page, size, MADV_DONTNEED);
    (void)mprotect(guard.base + page * guard.page, size, PROT_NONE);
}

struct weir_str fake_lend_str(struct weir_str text, const char *what)
{
    if (!guard.on || depth == 0 || text.len == 0) {
        return text;
    }
    if (loans.count == loans.capacity) {
        loans.capacity = loans.capacity * 2 + 8;
        loans.items = fake_grow(loans.items, loans.capacity, sizeof(*loans.items));
    }
    char *copy = fake_lend(text.len + 1, what);
    memcpy(copy, text.ptr, text.len);
    loans.items[loans.count++] = (struct loan){copy, depth};
    return (struct weir_str){copy, text.len};
}

void fake_check_thread(struct weir_test *host, const char *function)
{
    const char *service = strchr(function, '_');

    if (host->elsewhere || pthread_equal(pthread_self(), host->thread) == 0) {
        fake_problem(host, "weir%s was called from another thread than the instance's",
                     service != NULL ? service : "");
    }
}
