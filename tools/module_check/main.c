/* SPDX-License-Identifier: MIT */
/*
 * weir-module-check: what a module is, and what is wrong with it.
 */
#include "check.h"

#include <dirent.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "module_file.h"

#define SEEDS_DEFAULT 100

static const char usage[] =
    "weir-module-check: holds a module to its contract, without a running Weir\n"
    "\n"
    "  weir-module-check [OPTION...] FILE.so\n"
    "  weir-module-check [OPTION...] --sanitize SOURCE.c\n"
    "\n"
    "  --conf TEXT        the inside of its block; found out by default\n"
    "  --seeds N          how many lives the contract test has; 100 by default\n"
    "  --seed N           the first of them; 1 by default\n"
    "  --timeout SECONDS  of one life; 30 by default\n"
    "  --sanitize FILE.c  builds the source with AddressSanitizer and UBSan, and checks that\n"
    "  --json             prints JSON\n"
    "  --help             prints this\n"
    "\n"
    "The exit status is 0 where all is good, 1 where something is wrong, and 2 where it could\n"
    "not be told. See weir-module-check(1).\n";

enum { CONF = 256, SEEDS, SEED, TIMEOUT, SANITIZE, JSON, HELP };

static const struct option options[] = {
    {"conf", required_argument, NULL, CONF},
    {"seeds", required_argument, NULL, SEEDS},
    {"seed", required_argument, NULL, SEED},
    {"timeout", required_argument, NULL, TIMEOUT},
    {"sanitize", required_argument, NULL, SANITIZE},
    {"json", no_argument, NULL, JSON},
    {"help", no_argument, NULL, HELP},
    {NULL, 0, NULL, 0},
};

static bool number(const char *name, const char *text, double least, double most, double *out)
{
    char *end;
    *out = strtod(text, &end);
    if (end == text || *end != '\0' || !(*out >= least && *out <= most)) {
        fprintf(stderr, "weir-module-check: --%s wants a number from %g to %.0f, not \"%s\"\n",
                name, least, most, text);
        return false;
    }
    return true;
}

static bool take(struct command *command, int option, const char *text)
{
    double value = 0;
    bool good = true;

    switch (option) {
    case CONF: command->conf = text; break;
    case SEEDS:
        good = number("seeds", text, 1, 1000000, &value);
        command->seeds = (uint64_t)value;
        break;
    case SEED:
        good = number("seed", text, 1, UINT32_MAX, &value);
        command->seed = (uint64_t)value;
        break;
    case TIMEOUT:
        good = number("timeout", text, 0.1, 86400, &value);
        command->timeout_ms = (uint64_t)(value * 1000);
        break;
    case SANITIZE: command->source = text; break;
    case JSON: command->json = true; break;
    default: return false;
    }
    return good;
}

/* ---- the checks ---- */

static void check_exports(struct report *report, const struct elf_file *elf)
{
    static const char hide[] =
        "hidden visibility: compile with -fvisibility=hidden, so that " WEIR_MODULE_ENTRY
        " alone is exported";
    char what[512];
    bool entry = false;

    for (size_t i = 0; i < elf->dynamic_count; i++) {
        const struct elf_symbol *symbol = &elf->symbols[i];
        if (symbol->exported && strcmp(symbol->name, WEIR_MODULE_ENTRY) == 0) {
            entry = true;
        } else if (symbol->exported) {
            snprintf(what, sizeof(what), "it exports the symbol %.400s", symbol->name);
            report_add(report, "exports", what, symbol->name, hide);
        }
    }
    if (!entry) {
        report_add(report, "exports", "it does not export " WEIR_MODULE_ENTRY, "symbols",
                   "WEIR_DEFINE_MODULE or WEIR_MODULE, once, at the end of the main file");
    }
}

static bool run_test(struct report *report, const char *name, const struct job *job,
                     void (*test)(const struct job *job))
{
    struct child child;
    child_run(&child, job, test);
    return report_take(report, name, &child);
}

/* The times of least_conn beside the module's. */
static void compare(struct report *report, const struct job *job)
{
    char path[2 * PATH_MAX];
    struct job other = {.command = job->command, .kind = WEIR_TEST_BALANCER, .conf = ""};
    struct child child;
    cJSON *row;

    other.path = module_file_path("balance_least_conn", NULL, path, sizeof(path));
    if (access(other.path, R_OK) != 0) {
        return;
    }
    child_run(&child, &other, test_timing);
    const cJSON *times = cJSON_GetObjectItem(cJSON_GetArrayItem(child.lines, 0), "value");
    int i = 0;
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(report->facts, "calls"))
    {
        const cJSON *ns = cJSON_GetObjectItem(cJSON_GetArrayItem(times, i++), "ns");
        if (ns != NULL) {
            cJSON_AddNumberToObject(row, "least_conn_ns", ns->valuedouble);
        }
    }
    child_clear(&child);
}

static void check_kind(struct report *report, struct job *job)
{
    const char *kind = kind_names[job->kind];
    char name[64];

    snprintf(name, sizeof(name), "configuration of the %s", kind);
    if (!run_test(report, name, job, test_conf)) {
        return;
    }
    char *conf = strdup(cJSON_GetStringValue(cJSON_GetObjectItem(report->facts, "conf")));
    job->conf = conf;
    snprintf(name, sizeof(name), "options of the %s", kind);
    bool good = run_test(report, name, job, test_options);
    snprintf(name, sizeof(name), "contract of the %s", kind);
    good = run_test(report, name, job, test_contract) && good;
    /* What crashes or hangs there would do so again. */
    if (good) {
        snprintf(name, sizeof(name), "leaks of the %s", kind);
        good = run_test(report, name, job, test_leaks);
    }
    if (good && job->kind == WEIR_TEST_BALANCER && !sanitized() &&
        run_test(report, "time of a pick", job, test_timing)) {
        compare(report, job);
    }
    free(conf);
}

static int check(const struct command *command)
{
    struct elf_file elf;
    struct report report;
    struct job job = {.command = command, .path = command->file};
    const char *wrong = elf_read(&elf, command->file);

    report_begin(&report, command, &elf);
    if (wrong != NULL) {
        report_add(&report, "file", wrong, "the file", "a shared object for this machine, whole");
    } else {
        check_exports(&report, &elf);
        if (run_test(&report, "symbols", &job, test_symbols)) {
            run_test(&report, "descriptor", &job, test_describe);
        }
    }
    const cJSON *kinds = cJSON_GetObjectItem(cJSON_GetObjectItem(report.facts, "module"), "kinds");
    for (int i = 0; i <= WEIR_TEST_CONTROL; i++) {
        const cJSON *kind;
        cJSON_ArrayForEach(kind, kinds)
        {
            if (strcmp(kind_names[i], cJSON_GetStringValue(kind)) == 0) {
                job.kind = i;
                check_kind(&report, &job);
            }
        }
    }
    int status = report_end(&report);
    elf_free(&elf);
    return status;
}

/* ---- the folder for what the module writes ---- */

static bool make_folder(struct command *command)
{
    const char *base = getenv("TMPDIR");
    if (base == NULL || strlen(base) > 30) {
        base = "/tmp";
    }
    snprintf(command->folder, sizeof(command->folder), "%s/weir-check-XXXXXX", base);
    if (mkdtemp(command->folder) == NULL) {
        perror("weir-module-check: a folder for its files");
        return false;
    }
    return true;
}

static void remove_folder(const struct command *command)
{
    DIR *dir = opendir(command->folder);
    const struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        (void)unlinkat(dirfd(dir), entry->d_name, 0);
    }
    if (dir != NULL) {
        closedir(dir);
    }
    (void)rmdir(command->folder);
}

/* What is free must not count as used: glibc takes this at the start of a program alone. */
static void start_without_caches(char **argv)
{
    static const char wanted[] = "glibc.malloc.tcache_count=0";
    const char *set = getenv("GLIBC_TUNABLES");

    if (set == NULL || strstr(set, wanted) == NULL) {
        setenv("GLIBC_TUNABLES", wanted, 1);
        execv("/proc/self/exe", argv); /* where that fails, leaks are looked for all the same */
    }
}

int main(int argc, char **argv)
{
    start_without_caches(argv);
    struct command command = {.seeds = SEEDS_DEFAULT, .seed = 1, .timeout_ms = 30000};
    char path[2 * PATH_MAX];
    int option;

    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == HELP || option == 'h') {
            fputs(usage, stdout);
            return 0;
        }
        if (!take(&command, option, optarg)) {
            return 2;
        }
    }
    if ((command.source == NULL) != (optind + 1 == argc)) {
        fprintf(stderr,
                "weir-module-check: name one module's file; see weir-module-check --help\n");
        return 2;
    }
    if (!make_folder(&command)) {
        return 2;
    }
    if (command.source == NULL) {
        command.file = module_file_path(argv[optind], NULL, path, sizeof(path));
        command.name = getenv(SANITIZED) != NULL ? getenv(SANITIZED) : command.file;
    }
    int status = command.source != NULL ? sanitize(&command) : check(&command);
    remove_folder(&command);
    return status;
}
