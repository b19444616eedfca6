/* SPDX-License-Identifier: MIT */
/*
 * Records of fatal signals. See crash.h.
 */
#include "base/crash.h"

#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define STACK_MOST   32
#define FILE_MOST    192
#define HANDLER_SIZE (64u * 1024)

struct place {
    uintptr_t address, offset; /* in the file; `file` empty: in none */
    char file[FILE_MOST];
};

static const struct {
    int number;
    const char *name;
} signals[] = {
    {SIGSEGV, "SIGSEGV"}, {SIGBUS, "SIGBUS"},   {SIGILL, "SIGILL"}, {SIGFPE, "SIGFPE"},
    {SIGABRT, "SIGABRT"}, {SIGTRAP, "SIGTRAP"}, {SIGSYS, "SIGSYS"},
};

static struct {
    char path[4096];   /* empty: no file */
    char staged[4096]; /* where it is written before it has that name */
    const char *version;
    crash_calls *more;
    uint64_t begin_ms; /* of the program, by the clock of uptime_ms */
    struct sigaction before[ARRAY_COUNT(signals)];
    atomic_flag taken; /* a thread records */
    struct crash_text text;
    struct place places[1 + STACK_MOST]; /* where it happened, and the stack */
} crash = {.taken = ATOMIC_FLAG_INIT};

static _Thread_local struct {
    crash_calls *calls;
    void *arg;
    void *stack;    /* of the handler */
    stack_t before; /* a sanitizer's, or none */
    bool records;   /* it is in the handler */
} mine;

void crash_others(sigset_t *set)
{
    sigfillset(set);
    for (size_t i = 0; i < ARRAY_COUNT(signals); i++) {
        sigdelset(set, signals[i].number);
    }
}

/* ---- text ---- */

static void put(struct crash_text *text, const char *bytes, size_t len)
{
    size_t room = sizeof(text->bytes) - text->len;

    len = len < room ? len : room;
    memcpy(text->bytes + text->len, bytes, len);
    text->len += len;
}

void crash_put(struct crash_text *text, const char *plain)
{
    put(text, plain, strlen(plain));
}

void crash_put_string(struct crash_text *text, const char *string)
{
    crash_put(text, "\"");
    for (; *string != '\0'; string++) {
        unsigned char c = (unsigned char)*string;
        put(text, c < 0x20 || c >= 0x7f || c == '"' || c == '\\' ? "?" : string, 1);
    }
    crash_put(text, "\"");
}

static void put_digits(struct crash_text *text, uint64_t number, unsigned base)
{
    char digits[24];
    size_t at = sizeof(digits);

    do {
        digits[--at] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number > 0);
    put(text, digits + at, sizeof(digits) - at);
}

void crash_put_number(struct crash_text *text, uint64_t number)
{
    put_digits(text, number, 10);
}

void crash_put_hex(struct crash_text *text, uint64_t number)
{
    crash_put(text, "\"0x");
    put_digits(text, number, 16);
    crash_put(text, "\"");
}

static void put_field(struct crash_text *text, const char *name, const char *value)
{
    crash_put(text, ",\"");
    crash_put(text, name);
    crash_put(text, "\":");
    crash_put_string(text, value);
}

/* ---- addresses ---- */

static uintptr_t hex_from(const char **at)
{
    uintptr_t value = 0;

    for (;; (*at)++) {
        unsigned char c = (unsigned char)**at;
        if (c >= '0' && c <= '9') {
            value = value * 16 + (c - '0');
        } else if (c >= 'a' && c <= 'f') {
            value = value * 16 + (c - 'a' + 10);
        } else {
            return value;
        }
    }
}

/* Modules are loaded from a memory of their name; the kernel says "/memfd:NAME (deleted)". */
static void put_file(struct place *place, const char *file)
{
    static const char memory[] = "/memfd:";
    bool module = strncmp(file, memory, sizeof(memory) - 1) == 0;
    const char *name = module ? file + sizeof(memory) - 1 : file;
    const char *end = module ? strchr(name, ' ') : NULL;
    size_t len = end != NULL ? (size_t)(end - name) : strlen(name);
    size_t most = FILE_MOST - sizeof(".so");

    len = len < most ? len : most;
    memcpy(place->file, name, len);
    memcpy(place->file + len, module ? ".so" : "", module ? sizeof(".so") : 1);
}

/* A line of proc_pid_maps(5): "from-to rights offset device inode   file". */
static void match_line(const char *line, struct place *places, size_t count)
{
    const char *at = line;
    uintptr_t from = hex_from(&at);
    uintptr_t to = *at == '-' ? (at++, hex_from(&at)) : 0;
    const char *file = strchr(line, '/');

    if (file == NULL || strlen(at) < 6) {
        return;
    }
    at += 6; /* the rights */
    uintptr_t offset = hex_from(&at);
    for (size_t i = 0; i < count; i++) {
        struct place *place = &places[i];
        if (place->address >= from && place->address < to) {
            put_file(place, file);
            place->offset = place->address - from + offset;
        }
    }
}

/* In which files the addresses are. */
static void find_files(struct place *places, size_t count)
{
    char bytes[4096 + 1];
    size_t have = 0;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    ssize_t n = 0;

    while (fd != -1 && (n = read(fd, bytes + have, sizeof(bytes) - 1 - have)) > 0) {
        char *line = bytes, *end = NULL;
        have += (size_t)n;
        bytes[have] = '\0';
        while ((end = strchr(line, '\n')) != NULL) {
            *end = '\0';
            match_line(line, places, count);
            line = end + 1;
        }
        have = (size_t)(bytes + have - line);
        memmove(bytes, line, have);
        have = have < sizeof(bytes) - 1 ? have : 0; /* a line as long as that is no file's */
    }
    if (fd != -1) {
        close(fd);
    }
}

/* "/usr/lib/weir/balance_x.so+0x1139"; an address in no file as it is. */
static void put_place(struct crash_text *text, const struct place *place)
{
    bool known = place->file[0] != '\0';

    if (known) {
        crash_put_string(text, place->file);
        text->len--; /* the quote */
    }
    crash_put(text, known ? "+0x" : "\"0x");
    put_digits(text, known ? place->offset : place->address, 16);
    crash_put(text, "\"");
}

/* ---- the record ---- */

/* Replaces the file as a whole, or not at all. */
static bool write_file(const struct crash_text *text)
{
    int fd = crash.path[0] != '\0'
                 ? open(crash.staged, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640)
                 : -1;
    size_t at = 0;
    ssize_t n = 0;

    if (fd == -1) {
        return false;
    }
    while (at < text->len && (n = write(fd, text->bytes + at, text->len - at)) > 0) {
        at += (size_t)n;
    }
    close(fd);
    return at == text->len && rename(crash.staged, crash.path) == 0;
}

static uint64_t uptime_ms(void)
{
    struct timespec now = {0};

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / NS_PER_MS - crash.begin_ms;
}

static void begin_record(struct crash_text *text, const char *kind, const char *thread,
                         crash_calls *calls, void *arg)
{
    text->len = 0;
    crash_put(text, "{\"kind\":");
    crash_put_string(text, kind);
    crash_put(text, ",\"time\":");
    crash_put_number(text, (uint64_t)time(NULL));
    crash_put(text, ",\"uptime_ms\":");
    crash_put_number(text, uptime_ms());
    crash_put(text, ",\"pid\":");
    crash_put_number(text, (uint64_t)getpid());
    put_field(text, "version", crash.version);
    put_field(text, "thread", thread);
    if (calls != NULL && crash.more != NULL) {
        crash.more(text, arg);
    }
    crash_put(text, ",\"calls\":[");
    if (calls != NULL) {
        calls(text, arg);
    }
    crash_put(text, "]");
}

bool crash_tell_stall(const char *thread, uint64_t for_ms, crash_calls *calls, void *arg)
{
    struct crash_text *text = &crash.text;

    if (atomic_flag_test_and_set(&crash.taken)) {
        return false; /* another thread dies meanwhile */
    }
    mine.records = true; /* a fault in here waits for nobody */
    begin_record(text, "stall", thread, calls, arg);
    crash_put(text, ",\"for_ms\":");
    crash_put_number(text, for_ms);
    crash_put(text, "}\n");
    bool written = write_file(text);
    mine.records = false;
    atomic_flag_clear(&crash.taken);
    return written;
}

static uintptr_t pc_of(const ucontext_t *context)
{
#if defined(__x86_64__)
    return (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (uintptr_t)context->uc_mcontext.pc;
#else
    (void)context;
    return 0;
#endif
}

static size_t index_of(int number)
{
    size_t i = 0;

    while (i < ARRAY_COUNT(signals) - 1 && signals[i].number != number) {
        i++;
    }
    return i;
}

/* On standard error too, in a line. */
static void say(const char *name)
{
    struct crash_text *text = &crash.text;
    size_t len = text->len;

    crash_put(text, "weir: ended by ");
    crash_put(text, name);
    crash_put(text, ", calls of modules: [");
    if (mine.calls != NULL) {
        mine.calls(text, mine.arg);
    }
    crash_put(text, "]; recorded in ");
    crash_put(text, crash.path[0] != '\0' ? crash.path : "no file: there is no state_dir");
    crash_put(text, "\n");
    ssize_t written = write(STDERR_FILENO, text->bytes + len, text->len - len);
    (void)written; /* nobody is left to be told */
    text->len = len;
}

static void record(int number, const siginfo_t *info, const ucontext_t *context)
{
    struct crash_text *text = &crash.text;
    const char *name = signals[index_of(number)].name;
    char thread[16] = "?";
    void *stack[STACK_MOST];

    prctl(PR_GET_NAME, thread);
    crash.places[0].address = pc_of(context);
    find_files(crash.places, 1);
    begin_record(text, "signal", thread, mine.calls, mine.arg);
    put_field(text, "signal", name);
    if (info->si_code > 0) { /* the kernel's own; else somebody has sent it */
        crash_put(text, ",\"address\":");
        crash_put_hex(text, (uintptr_t)info->si_addr);
    }
    crash_put(text, ",\"at\":");
    put_place(text, &crash.places[0]);
    say(name);
    size_t without_stack = text->len;
    crash_put(text, "}\n");
    write_file(text);
    /* May fail where the stack is broken: then the record is there without it. */
    int count = backtrace(stack, STACK_MOST);
    for (int i = 0; i < count; i++) {
        crash.places[1 + i].address = (uintptr_t)stack[i];
    }
    find_files(crash.places + 1, (size_t)count);
    text->len = without_stack;
    crash_put(text, ",\"stack\":[");
    for (int i = 0; i < count; i++) {
        crash_put(text, i > 0 ? "," : "");
        put_place(text, &crash.places[1 + i]);
    }
    crash_put(text, "]}\n");
    write_file(text);
}

static void give_back(void)
{
    for (size_t i = 0; i < ARRAY_COUNT(signals); i++) {
        sigaction(signals[i].number, &crash.before[i], NULL);
    }
}

/* Threads may fail at once. The first one records; others must not end the program meanwhile. */
static void on_signal(int number, siginfo_t *info, void *context)
{
    int saved = errno;

    if (mine.records) { /* a fault in here, which ends it as far as it has come */
        give_back();
    } else if (!atomic_flag_test_and_set(&crash.taken)) {
        mine.records = true;
        record(number, info, context);
        give_back();
    } else {
        for (;;) { /* another thread records, and ends the program */
            pause();
        }
    }
    errno = saved;
    if (info->si_code <= 0 || number == SIGTRAP || number == SIGSYS) {
        raise(number); /* other faults come again by themselves */
    }
}

/* By exit(3), as a library does that knows no better: it would pass for a wish of the program's,
 * and nobody would be to blame. */
static void on_exit_of_program(void)
{
    struct crash_text *calls = mine.calls != NULL ? base_zalloc(sizeof(*calls)) : NULL;

    if (calls != NULL) {
        mine.calls(calls, mine.arg);
    }
    if (calls != NULL && calls->len > 0) {
        base_last_words("weir: a module has called exit");
        abort();
    }
    free(calls);
}

void crash_add(crash_calls *more)
{
    crash.more = more;
}

/* One page, as it is by default, is jumped over by a function with a buffer of 64 KiB: it would go
 * on in another thread's stack, and that one would be blamed. */
static void guard_stacks(void)
{
    pthread_attr_t attributes;

    if (pthread_getattr_default_np(&attributes) != 0) {
        return;
    }
    if (pthread_attr_setguardsize(&attributes, CRASH_GUARD) == 0) {
        pthread_setattr_default_np(&attributes);
    }
    pthread_attr_destroy(&attributes);
}

void crash_begin(const char *folder, const char *version)
{
    struct sigaction action = {.sa_sigaction = on_signal,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    void *once[1];

    crash.version = version;
    crash.begin_ms += uptime_ms();
    backtrace(once, 1); /* loads what it needs */
    guard_stacks();
    int len =
        folder != NULL ? snprintf(crash.path, sizeof(crash.path), "%s/" CRASH_FILE, folder) : 0;
    int staged = snprintf(crash.staged, sizeof(crash.staged), "%s.new", crash.path);
    if (len < 0 || (size_t)len >= sizeof(crash.path) || (size_t)staged >= sizeof(crash.staged)) {
        crash.path[0] = '\0';
    }
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < ARRAY_COUNT(signals); i++) {
        sigaction(signals[i].number, &action, &crash.before[i]);
    }
}

void crash_thread_begins(crash_calls *calls, void *arg)
{
    stack_t stack = {.ss_size = HANDLER_SIZE};

    mine.calls = calls;
    mine.arg = arg;
    if (calls != NULL) {
        atexit(on_exit_of_program); /* the last one runs first: before libraries end */
    }
    mine.stack = mmap(NULL, HANDLER_SIZE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (mine.stack == MAP_FAILED) {
        mine.stack = NULL; /* all but overflows are recorded */
        return;
    }
    stack.ss_sp = mine.stack;
    sigaltstack(&stack, &mine.before);
}

void crash_thread_ends(void)
{
    if (mine.stack != NULL) {
        sigaltstack(&mine.before, NULL);
        munmap(mine.stack, HANDLER_SIZE);
    }
    memset(&mine, 0, sizeof(mine));
}
