/* SPDX-License-Identifier: MIT */
/*
 * Tests in processes of their own. What a child is at stands in memory that both share; what it
 * tells and what it writes to standard error goes into files without names.
 */
#include "check.h"

#include <errno.h>
#include <execinfo.h>
#include <link.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "module_file.h"

#define FRAMES_MAX 64
#define ASK_MS     2000              /* how long a child that hangs may take to say where */
#define DATA_MAX   ((rlim_t)2 << 30) /* bytes that a module may take */
#define LOOK_MS    20
#define ERRORS_MAX ((off_t)1 << 20)

struct shared {
    struct weir_test_watch watch;
    uint64_t seed;
    volatile uint64_t beats; /* the child goes on */
    int signal;
    bool told; /* the child ends by itself: all that it found is written */
    const void *address;
    const char *lent;
    uintptr_t offset;
};

/* In the child. */
static struct shared *shared;
static int lines_fd = -1;
static uintptr_t module_from, module_to;
static int kind; /* that the test is of */

/* ---- the child's side ---- */

static void on_signal(int number, siginfo_t *info, void *context)
{
    void *frames[FRAMES_MAX];
    (void)context;

    if (number != SIGUSR2) { /* which asks where it is */
        shared->signal = number;
        shared->address = info->si_addr;
        shared->lent = number == SIGSEGV || number == SIGBUS ? weir_test_lent(info->si_addr) : NULL;
    }
    int count = backtrace(frames, FRAMES_MAX);
    for (int i = 0; i < count && shared->offset == 0; i++) {
        uintptr_t frame = (uintptr_t)frames[i];
        if (frame >= module_from && frame < module_to) {
            shared->offset = frame - module_from;
        }
    }
    _exit(1);
}

static void catch_signals(void)
{
    static char stack[1 << 16];
    static const int signals[] = {SIGSEGV, SIGBUS,  SIGFPE, SIGILL,
                                  SIGABRT, SIGTRAP, SIGSYS, SIGUSR2};
    const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    void *frames[2];

    backtrace(frames, 2); /* loads what it needs now */
    sigaltstack(&alternate, NULL);
    sigfillset(&action.sa_mask);
    for (size_t i = 0; i < COUNT(signals); i++) {
        sigaction(signals[i], &action, NULL);
    }
}

static const char *right_for(const char *problem)
{
    static char header[64];
    static const char *const hints[][2] = {
        {"another thread", "weir_post, weir_log and weir_file_write alone, from other threads"},
        {" failed: ", "no exception, panic or weir_fault in a hook"},
        {"chose none", "WEIR_PICK_NONE only where weir_pick_usable is false for all"},
        {"pick", "the index of a candidate that weir_pick_usable takes, or WEIR_PICK_NONE"},
        {"cost", "a number, INFINITY at most: never NAN"},
        {"timer", "weir_timer_free in destroy, and no use after it"},
        {"posted", "no weir_post that destroy cannot wait for"},
        {"changed its options", "option structs are constant: copy what changes"},
        {"prepared", "conf_create frees what it made when it fails"},
        {"gauge", "take back in destroy and conf_free what was added"},
        {"file", "weir_file_close in destroy, and no use after it"},
        {"WEIR_DONE", "WEIR_DONE with a whole reply, or WEIR_OK with none"},
        {"reply", "one reply: begin, write what its length says, end"},
        {"reason", "a reason in words with each verdict and ejection, ended by NUL"},
        {"answer", "one answer to each operation"},
        {"route", "a pool or route from weir_check_..., or a status that can be answered with"},
        {"log line", "one line, of a level of <weir/host.h>"},
    };
    for (size_t i = 0; i < COUNT(hints); i++) {
        if (strstr(problem, hints[i][0]) != NULL) {
            return hints[i][1];
        }
    }
    snprintf(header, sizeof(header), "what <weir/%s.h> says of the hook", kind_names[kind]);
    return header;
}

static void on_problem(const char *problem)
{
    tell(NULL, right_for(problem), "%s", problem);
}

/* ---- calls that wait or take long ---- */

#define NESTED_MAX   8
#define HOOKS_MAX    64
#define LONG_NS      UINT64_C(10000000) /* of the processor: ten times what operators allow */
#define REPEATED     10                 /* calls, so that a page that is read is none */
#define ONE_OF_CALLS 50

static struct {
    bool on;
    size_t depth;
    struct measured {
        long waits; /* the processor was given up */
        uint64_t cpu_ns;
    } begun[NESTED_MAX];
    struct {
        const char *hook;
        uint32_t calls, waiting, lengthy;
    } hooks[HOOKS_MAX];
} calls;

static struct measured measure(void)
{
    struct rusage usage;
    struct timespec cpu;

    getrusage(RUSAGE_THREAD, &usage);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
    return (struct measured){usage.ru_nvcsw,
                             (uint64_t)cpu.tv_sec * 1000000000u + (uint64_t)cpu.tv_nsec};
}

static void end_here(void)
{
    shared->told = true;
    _exit(0);
}

static void judge(const char *hook, const struct measured *begun, const struct measured *now)
{
    uint64_t most = sanitized() ? 5 * LONG_NS : LONG_NS; /* sanitizers take their time */
    size_t i = 0;

    while (i < HOOKS_MAX - 1 && calls.hooks[i].hook != NULL && calls.hooks[i].hook != hook) {
        i++;
    }
    calls.hooks[i].hook = hook;
    calls.hooks[i].calls++;
    calls.hooks[i].waiting += now->waits > begun->waits ? 1 : 0;
    calls.hooks[i].lengthy += now->cpu_ns - begun->cpu_ns > most ? 1 : 0;
    if (calls.hooks[i].waiting >= REPEATED &&
        calls.hooks[i].waiting * ONE_OF_CALLS >= calls.hooks[i].calls) {
        tell(hook, "no hook blocks: a timer, weir_post and weir_file_write wait for it",
             "it waits: %u of %u calls slept, or waited for a lock, a disk or a thread",
             calls.hooks[i].waiting, calls.hooks[i].calls);
        end_here();
    }
    if (calls.hooks[i].lengthy >= REPEATED &&
        calls.hooks[i].lengthy * ONE_OF_CALLS >= calls.hooks[i].calls) {
        tell(hook, "well below call_budget, which is 1 ms if operators do not change it",
             "it takes long: %u of %u calls took more than %u ms of the processor's time",
             calls.hooks[i].lengthy, calls.hooks[i].calls, (unsigned)(most / 1000000));
        end_here();
    }
}

/* What may wait: conf_create reads files, and what weir_control_work runs has a thread. */
static bool may_wait(const char *hook)
{
    return strncmp(hook, "conf_", 5) == 0 || strcmp(hook, "a posted function") == 0;
}

static void on_call(const char *hook, bool begins)
{
    if (begins && calls.depth < NESTED_MAX) {
        calls.begun[calls.depth] = calls.on ? measure() : (struct measured){-1, 0};
    }
    calls.depth = begins ? calls.depth + 1 : calls.depth - 1;
    if (!begins && calls.on && calls.depth < NESTED_MAX && calls.begun[calls.depth].waits >= 0 &&
        !may_wait(hook)) {
        struct measured now = measure();
        judge(hook, &calls.begun[calls.depth], &now);
    }
}

void child_watch_calls(bool on)
{
    calls.on = on;
}

static void write_line(cJSON *line)
{
    char *text = cJSON_PrintUnformatted(line);
    if (text == NULL || dprintf(lines_fd, "%s\n", text) < 0) {
        abort();
    }
    cJSON_free(text);
    cJSON_Delete(line);
}

void tell(const char *where, const char *right, const char *format, ...)
{
    const struct weir_test_watch *watch = &shared->watch;
    char what[1024], place[128];
    va_list args;

    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    snprintf(place, sizeof(place), "%s",
             where != NULL         ? where
             : watch->last != NULL ? watch->last
                                   : "module");
    cJSON *line = cJSON_CreateObject();
    cJSON_AddStringToObject(line, "what", what);
    cJSON_AddStringToObject(line, "where", place);
    cJSON_AddStringToObject(line, "right", right);
    if (shared->seed > 0) {
        cJSON_AddNumberToObject(line, "seed", (double)shared->seed);
    }
    write_line(line);
}

void tell_fact(const char *name, cJSON *value)
{
    cJSON *line = cJSON_CreateObject();
    cJSON_AddStringToObject(line, "fact", name);
    cJSON_AddItemToObject(line, "value", value);
    write_line(line);
}

void child_at_seed(uint64_t seed)
{
    shared->seed = seed;
    child_beats();
}

void child_beats(void)
{
    shared->beats++;
}

static int find_range(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    if (info->dlpi_addr != (uintptr_t)arg) {
        return 0;
    }
    module_from = info->dlpi_addr;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        uintptr_t end = module_from + info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz;
        if (info->dlpi_phdr[i].p_type == PT_LOAD && end > module_to) {
            module_to = end;
        }
    }
    return 1;
}

const struct weir_module *child_load(const struct job *job)
{
    char error[4096];
    void *library;

    shared->watch.hook = shared->watch.last = WEIR_MODULE_ENTRY;
    const struct weir_module *module = module_file_load(job->path, &library, error, sizeof(error));
    if (module == NULL) {
        tell("loading", "a file that dlopen takes, with the entry that WEIR_DEFINE_MODULE makes",
             "%s", error);
        end_here();
    }
    dl_iterate_phdr(find_range, (void *)((struct link_map *)library)->l_addr);
    shared->watch.hook = NULL;
    return module;
}

/* Who calls exit ends no more than the test: nothing that is to run then, a search for leaks by a
 * sanitizer say, is wanted. */
static void leave(void)
{
    _exit(1);
}

static void run(const struct job *job, void (*test)(const struct job *job), int lines, int errors)
{
    const struct rlimit none = {0, 0}, much = {DATA_MAX, DATA_MAX};

    lines_fd = lines;
    kind = job->kind;
    setrlimit(RLIMIT_CORE, &none);
    if (!sanitized()) {
        setrlimit(RLIMIT_DATA, &much);
    }
    if (dup2(errors, STDERR_FILENO) == -1 || dup2(errors, STDOUT_FILENO) == -1) {
        abort();
    }
    mallopt(M_PERTURB, 0xdb); /* what is free is not what it was */
    catch_signals();
    if (atexit(leave) != 0) {
        abort();
    }
    shared->watch.problem = on_problem;
    shared->watch.call = on_call;
    weir_test_watch_hooks(&shared->watch);
    test(job);
    shared->told = true;
    _exit(0);
}

/* ---- the parent's side ---- */

static void *need(void *memory)
{
    if (memory == NULL || memory == MAP_FAILED) {
        perror("weir-module-check");
        exit(2);
    }
    return memory;
}

static int nameless(void)
{
    int fd = memfd_create("weir-module-check", MFD_CLOEXEC);
    if (fd == -1) {
        perror("weir-module-check: memfd_create");
        exit(2);
    }
    return fd;
}

static char *read_all(int fd)
{
    off_t size = lseek(fd, 0, SEEK_END);
    size = size < 0 ? 0 : size > ERRORS_MAX ? ERRORS_MAX : size;
    char *text = need(calloc(1, (size_t)size + 1));
    if (pread(fd, text, (size_t)size, 0) != size) {
        text[0] = '\0';
    }
    close(fd);
    return text;
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Whether the child has ended, or was still at the same life after `ms`. */
static bool wait_ms(int pidfd, uint64_t ms)
{
    struct pollfd poll_fd = {.fd = pidfd, .events = POLLIN};
    uint64_t since = now_ms(), beats = shared->beats;

    while (poll(&poll_fd, 1, LOOK_MS) != 1) {
        uint64_t now = now_ms();
        if (shared->beats != beats) {
            beats = shared->beats;
            since = now;
        } else if (now - since >= ms) {
            return false;
        }
    }
    return true;
}

static int watch_over(pid_t pid, uint64_t timeout_ms, bool *hung)
{
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    int status = 0;

    if (pidfd == -1) {
        perror("weir-module-check: pidfd_open");
        exit(2);
    }
    *hung = !wait_ms(pidfd, timeout_ms);
    if (*hung) {
        kill(pid, SIGUSR2);
        if (!wait_ms(pidfd, ASK_MS)) {
            kill(pid, SIGKILL);
        }
    }
    while (waitpid(pid, &status, 0) == -1 && errno == EINTR) {}
    close(pidfd);
    return status;
}

static cJSON *read_lines(int fd)
{
    cJSON *all = need(cJSON_CreateArray());
    char *text = read_all(fd), *rest = text, *line;

    while ((line = strsep(&rest, "\n")) != NULL) {
        cJSON *parsed = cJSON_Parse(line);
        if (parsed != NULL) {
            cJSON_AddItemToArray(all, parsed);
        }
    }
    free(text);
    return all;
}

void child_run(struct child *child, const struct job *job, void (*test)(const struct job *job))
{
    int lines = nameless(), errors = nameless();
    bool hung;

    shared = need(
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    fflush(NULL);
    pid_t pid = fork();
    if (pid == -1) {
        perror("weir-module-check: fork");
        exit(2);
    }
    if (pid == 0) {
        run(job, test, lines, errors);
    }
    int status = watch_over(pid, job->command->timeout_ms, &hung);
    *child = (struct child){
        .end = hung           ? CHILD_HUNG
               : shared->told ? CHILD_DONE
                              : CHILD_CRASHED,
        .signal = shared->signal != 0   ? shared->signal
                  : WIFSIGNALED(status) ? WTERMSIG(status)
                                        : 0,
        .seed = shared->seed,
        .hook = shared->watch.hook != NULL ? shared->watch.hook : shared->watch.last,
        .in_hook = shared->watch.hook != NULL,
        .offset = shared->offset,
        .address = shared->address,
        .lent = shared->lent,
        .lines = read_lines(lines),
        .errors = read_all(errors),
    };
    munmap(shared, sizeof(*shared));
    shared = NULL;
}

void child_clear(struct child *child)
{
    cJSON_Delete(child->lines);
    free(child->errors);
    *child = (struct child){0};
}
