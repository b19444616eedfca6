/* SPDX-License-Identifier: MIT */
/* Records of fatal signals, from children that die. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "base/crash.h"
#include "base/file_open.h"
#include "runner.h"
#include "temporary.h"

static const char *folder;

static void set_up(void)
{
    folder = temporary_folder();
}

static void tear_down(void)
{
    temporary_remove(folder);
}

static void calls(struct crash_text *text, void *arg)
{
    crash_put(text, "{\"module\":");
    crash_put_string(text, arg);
    crash_put(text, "}");
}

/* The record of a child that does that to itself; *status as waitpid(2) gives it. */
static char *record_of(void (*die)(void), int *status)
{
    static char text[16384];
    const char *why = NULL;
    size_t len = 0;
    pid_t child = fork();

    ck_assert_int_ne(child, -1);
    if (child == 0) {
        int quiet = open("/dev/null", O_WRONLY);
        dup2(quiet, STDERR_FILENO);
        signal(SIGSEGV, SIG_DFL);
        signal(SIGABRT, SIG_DFL);
        crash_begin(folder, "1.0");
        crash_thread_begins(calls, "a \"b\"");
        die();
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, status, 0), child);
    int fd = file_open(temporary_path(folder, CRASH_FILE), &why);
    ck_assert_msg(fd != -1, "%s", why);
    char *read = file_read(fd, sizeof(text) - 1, &len);
    ck_assert_ptr_nonnull(read);
    close(fd);
    memcpy(text, read, len + 1);
    free(read);
    return text;
}

static void is_in(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "no %s in %s", part, text);
}

static void write_nowhere(void)
{
    volatile char *volatile nowhere = (char *)(uintptr_t)24;
    *nowhere = 1;
}

UNIT_TEST(a_fault)
{
    int status = 0;
    const char *text = record_of(write_nowhere, &status);

    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    is_in(text, "{\"kind\":\"signal\",\"time\":");
    is_in(text, "\"calls\":[{\"module\":\"a ?b?\"}],\"signal\":\"SIGSEGV\",\"address\":\"0x18\"");
    is_in(text, "/test_base+0x"); /* where: in this program */
    is_in(text, "\"stack\":[\"");
    ck_assert_str_eq(text + strlen(text) - 4, "\"]}\n");
}

static int deeper(int depth)
{
    volatile char room[4096];

    room[depth % 4096] = (char)depth;
    return depth < 0 ? 0 : deeper(depth + 1) + room[depth % 4096];
}

static void overflow(void)
{
    deeper(0);
}

static void *fail_too(void *start)
{
    crash_thread_begins(calls, "other");
    pthread_barrier_wait(start);
    write_nowhere();
    return NULL;
}

static void fail_at_once(void)
{
    pthread_barrier_t start;
    pthread_t others[3];

    pthread_barrier_init(&start, NULL, 4);
    for (unsigned i = 0; i < 3; i++) {
        pthread_create(&others[i], NULL, fail_too, &start);
    }
    pthread_barrier_wait(&start);
    write_nowhere();
}

UNIT_TEST(threads_that_fail_at_once)
{
    for (unsigned i = 0; i < 20; i++) {
        int status = 0;
        const char *text = record_of(fail_at_once, &status);

        ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
        is_in(text, "{\"kind\":\"signal\",\"time\":");
        ck_assert_msg(strcmp(text + strlen(text) - 4, "\"]}\n") == 0, "cut: %s", text);
    }
}

UNIT_TEST(an_overflow_of_the_stack)
{
    int status = 0;
    const char *text = record_of(overflow, &status);

    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    is_in(text, "\"signal\":\"SIGSEGV\"");
}

#if !defined(__SANITIZE_THREAD__) /* which makes threads in its own way */
static void *measure_guard(void *out)
{
    pthread_attr_t attributes;

    ck_assert_int_eq(pthread_getattr_np(pthread_self(), &attributes), 0);
    ck_assert_int_eq(pthread_attr_getguardsize(&attributes, out), 0);
    pthread_attr_destroy(&attributes);
    return NULL;
}

/* A frame as large as a buffer of a plugin does not jump over what ends a thread's stack. */
UNIT_TEST(threads_are_guarded)
{
    pthread_t thread;
    size_t guard = 0;

    crash_begin(folder, "1.0");
    ck_assert_int_eq(pthread_create(&thread, NULL, measure_guard, &guard), 0);
    pthread_join(thread, NULL);
    ck_assert_uint_ge(guard, CRASH_GUARD);
}
#endif

UNIT_TEST(an_abort)
{
    int status = 0;
    const char *text = record_of(abort, &status);

    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    is_in(text, "\"signal\":\"SIGABRT\",\"at\":\"/");
}

#if defined(__x86_64__)
/* Unlike other faults it does not come again where it is gone on from. */
static void fall_into_a_trap(void)
{
    __asm__ volatile("int3");
}

UNIT_TEST(a_trap)
{
    int status = 0;
    const char *text = record_of(fall_into_a_trap, &status);

    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGTRAP);
    is_in(text, "\"signal\":\"SIGTRAP\"");
}
#endif

static void leave(void)
{
    exit(0);
}

UNIT_TEST(an_exit_in_a_call)
{
    int status = 0;
    const char *text = record_of(leave, &status);

    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    is_in(text, "\"calls\":[{\"module\":\"a ?b?\"}],\"signal\":\"SIGABRT\"");
}

static void fail_while_told(struct crash_text *text, void *arg)
{
    (void)text;
    (void)arg;
    write_nowhere();
}

/* Whoever looks at another thread may find nonsense; it must not wait for itself. */
UNIT_TEST(a_fault_while_a_stall_is_told)
{
    int status = 0;
    pid_t child = fork();

    ck_assert_int_ne(child, -1);
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        crash_begin(folder, "1.0");
        alarm(20);
        crash_tell_stall("weir-1", 5000, fail_while_told, NULL);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void be_killed(void)
{
    kill(getpid(), SIGSEGV);
}

UNIT_TEST(a_signal_that_was_sent)
{
    int status = 0;
    const char *text = record_of(be_killed, &status);

    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    is_in(text, "\"signal\":\"SIGSEGV\",\"at\":");
}

UNIT_TEST(a_stall)
{
    crash_begin(folder, "1.0");
    ck_assert(crash_tell_stall("weir-1", 5000, calls, "x"));
    crash_begin("/nowhere/at/all", "1.0");
    ck_assert(!crash_tell_stall("weir-1", 5000, NULL, NULL));
}

UNIT_TEST(text_is_bounded)
{
    struct crash_text *text = base_zalloc(sizeof(*text));

    for (unsigned i = 0; i < 2000; i++) {
        crash_put_string(text, "0123456789");
    }
    ck_assert_uint_eq(text->len, sizeof(text->bytes));
    free(text);
}

UNIT_FIXTURE(set_up, tear_down);
