/* SPDX-License-Identifier: MIT */
/* The module host: sharing, replacing, unloading, and every reason to refuse a file. */
#include "runner.h"

#include "base/log.h"
#include "module/blame.h"
#include "module/call.h"
#include "module/host.h"
#include "module/module.h"
#include "temporary.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STAYS_LOADED true
#else
#define STAYS_LOADED false
#endif

static struct weir_host host;
static struct module_registry *registry;
static struct mistakes mistakes;
static const char *folder, *module_dir;
static const struct place place = {"weir.conf", 3};

static void set_up(void)
{
    folder = temporary_folder();
    module_dir = folder;
    module_host_fill(&host);
    registry = module_registry_new(3);
    log_set_level(WEIR_LOG_ERROR);
    unsetenv("WEIR_SAMPLE_LOADED");
}

static void tear_down(void)
{
    module_registry_free(&registry);
    ck_assert_ptr_null(registry);
    mistakes_free(&mistakes);
    temporary_remove(folder);
}

/* Puts the built FILE into the folder as NAME.so, followed by `tail`, which no loader looks at. */
static void install_as(const char *file, const char *name, const char *tail)
{
    char path[512];
    size_t len, tail_len = strlen(tail);
    snprintf(path, sizeof(path), "%s/%s.so", WEIR_SAMPLES, file);
    char *bytes = temporary_read(path, &len);
    ck_assert_msg(len > 0, "there is no %s", path);
    bytes = base_realloc(bytes, len + tail_len);
    memcpy(bytes + len, tail, tail_len);
    snprintf(path, sizeof(path), "%s/%s.so", folder, name);
    temporary_write_bytes(path, bytes, len + tail_len);
    free(bytes);
    setenv("WEIR_SAMPLE", name, 1);
}

static struct module *load(const char *name)
{
    return module_load(registry, module_dir, name, &host, place, &mistakes);
}

static struct module *load_well(const char *name)
{
    struct module *module = load(name);
    ck_assert_msg(module != NULL, "%s", mistakes.count > 0 ? mistakes.texts[0] : "no mistake");
    return module;
}

static void expect_refused(const char *name, const char *mistake)
{
    mistakes_free(&mistakes);
    ck_assert_ptr_null(load(name));
    ck_assert_uint_eq(mistakes.count, 1);
    ck_assert_msg(strncmp(mistakes.texts[0], "weir.conf:3: ", 13) == 0, "%s", mistakes.texts[0]);
    ck_assert_msg(strstr(mistakes.texts[0], mistake) != NULL, "it is: %s\nnot: %s",
                  mistakes.texts[0], mistake);
    ck_assert_ptr_null(module_next(registry, NULL));
}

static const char *times_loaded(void)
{
    const char *times = getenv("WEIR_SAMPLE_LOADED");
    return times != NULL ? times : "0";
}

static uint32_t pick_of(const struct module *module)
{
    struct module_context ctx;
    module_context_init(&ctx, &host, NULL, NULL);
    uint32_t picked = module->balancer.pick(&ctx.base, NULL, NULL);
    module_context_end(&ctx);
    return picked;
}

UNIT_TEST(a_module_is_loaded)
{
    install_as("sample", "balance_sample", "");
    struct module *module = load_well("balance_sample");
    ck_assert_str_eq(module->name, "balance_sample");
    ck_assert_str_eq(module->descriptor.version, "1.2.3");
    ck_assert_ptr_nonnull(strstr(module->path, "/balance_sample.so"));
    ck_assert_ptr_eq(module->descriptor.balancer, &module->balancer);
    ck_assert_uint_eq(pick_of(module), 7);
    ck_assert_uint_eq(module->descriptor.options->count, 1);
    ck_assert_str_eq(times_loaded(), "1");
    for (enum module_kind kind = 0; kind < MODULE_KIND_COUNT; kind++) {
        ck_assert_int_eq(module_has_kind(module, kind),
                         kind == MODULE_BALANCER || kind == MODULE_FILTER);
    }
    ck_assert_str_eq(module_kind_name(MODULE_BALANCER), "balancer");
    ck_assert_ptr_eq(module_next(registry, NULL), module);
    ck_assert_ptr_null(module_next(registry, module));
    module_unref(&module);
    ck_assert_ptr_null(module);
    ck_assert_ptr_null(module_next(registry, NULL));
}

/* In the hook that is named, twice. */
static struct blame_book *quarantined(const char *hook)
{
    char text[512];

    snprintf(text, sizeof(text),
             "{\"modules\":{\"balance_sample\":{\"since\":9,\"faults\":[{\"time\":9,\"what\":"
             "\"SIGSEGV\",\"hook\":\"%s\",\"place\":\"\"}]}}}",
             hook);
    temporary_write(temporary_path(folder, BLAME_FILE), text);
    struct blame_book *book = blame_book_new(folder);
    blame_begin(book, true);
    module_registry_set_blame(registry, book);
    return book;
}

UNIT_TEST(a_module_in_quarantine_has_no_hooks)
{
    install_as("sample", "balance_sample", "");
    struct blame_book *book = quarantined("pick");
    struct module *module = load_well("balance_sample");
    ck_assert_ptr_nonnull(module->quarantine);
    ck_assert_str_eq(times_loaded(), "0");
    ck_assert(module_has_kind(module, MODULE_BALANCER) && module_has_kind(module, MODULE_FILTER));
    ck_assert_msg(module->descriptor.options->count == 1, "its options are known");
    ck_assert(module->balancer.pick == NULL && module->balancer.on_assign == NULL);
    ck_assert(module->filter.on_response == NULL && module->descriptor.load == NULL);
    ck_assert_ptr_eq(module->descriptor.balancer, &module->balancer);
    struct module *again = load_well("balance_sample");
    ck_assert_ptr_eq(again, module);
    blame_pardon(book, "balance_sample");
    struct module *released = load_well("balance_sample");
    ck_assert_msg(released != module, "the released one is another copy");
    ck_assert_uint_eq(pick_of(released), 7);
    ck_assert_str_eq(times_loaded(), "1");
    module_unref(&released);
    module_unref(&again);
    module_unref(&module);
    blame_book_free(&book);
}

UNIT_TEST(one_that_died_while_it_was_loaded_is_not_opened)
{
    install_as("sample", "balance_sample", "");
    struct blame_book *book = quarantined("load");
    struct module *module = load_well("balance_sample");
    ck_assert(module->shell && module->library == NULL);
    for (enum module_kind kind = 0; kind < MODULE_KIND_COUNT; kind++) {
        ck_assert_int_eq(module_has_kind(module, kind),
                         kind == MODULE_BALANCER || kind == MODULE_FILTER);
    }
    ck_assert_ptr_null(module->descriptor.options);
    module_unref(&module);
    blame_book_free(&book);
}

UNIT_TEST(the_same_contents_are_shared)
{
    install_as("sample", "balance_sample", "");
    struct module *first = load_well("balance_sample");
    install_as("sample", "balance_sample", ""); /* written anew, and yet the same */
    struct module *second = load_well("balance_sample");
    ck_assert_ptr_eq(first, second);
    ck_assert_uint_eq(first->refs, 2);
    ck_assert_str_eq(times_loaded(), "1");
    module_unref(&first);
    ck_assert_uint_eq(pick_of(second), 7);
    struct module *third = module_ref(second);
    module_unref(&second);
    module_unref(&third);
    ck_assert_ptr_null(module_next(registry, NULL));
}

UNIT_TEST(new_contents_are_loaded_beside_the_old)
{
    install_as("sample", "balance_sample", "");
    struct module *old = load_well("balance_sample");
    install_as("sample", "balance_sample", "version 2");
    struct module *new = load_well("balance_sample");
    ck_assert_ptr_ne(old, new);
    ck_assert(old->balancer.pick != new->balancer.pick);
    ck_assert_str_eq(times_loaded(), "2");
    ck_assert_ptr_eq(module_next(registry, NULL), old);
    ck_assert_ptr_eq(module_next(registry, old), new);
    ck_assert_uint_eq(pick_of(old), 7);
    module_unref(&old);
    ck_assert_uint_eq(pick_of(new), 7);
    /* Back to the first contents: it was unloaded, and is loaded anew. */
    install_as("sample", "balance_sample", "");
    struct module *again = load_well("balance_sample");
    ck_assert_ptr_ne(again, new);
    ck_assert_uint_eq(pick_of(again), 7);
    module_unref(&new);
    module_unref(&again);
}

static void pick_on(struct module *module, unsigned loop)
{
    struct module_context ctx;
    module_context_init(&ctx, &host, module, NULL);
    ctx.worker_index = loop;
    module->balancer.pick(&ctx.base, NULL, NULL);
    weir_gauge_add(&ctx.base, 1, loop == 0 ? 5 : -2);
    weir_count(&ctx.base, 2, 1); /* it has no such metric */
    module_context_end(&ctx);
}

UNIT_TEST(metrics_outlive_the_copy)
{
    install_as("sample", "balance_sample", "");
    struct module *old = load_well("balance_sample");
    ck_assert_uint_eq(old->metric_count, 2);
    ck_assert_str_eq(old->metrics[1]->name, "held");
    pick_on(old, 0);
    pick_on(old, 2);
    struct call_times sum;
    ck_assert(call_sum(old->meters, 3, HOOK_LOAD, &sum));
    ck_assert_uint_eq(sum.strikes[STRIKE_ANSWER], 2);
    install_as("sample", "balance_sample", "version 2");
    struct module *new = load_well("balance_sample");
    pick_on(new, 1);
    pick_on(old, 1);
    ck_assert_ptr_eq(old->metrics[0], new->metrics[0]);
    module_unref(&old);
    ck_assert_int_eq(metric_value(new->metrics[0]), 4);
    ck_assert_int_eq(metric_value(new->metrics[1]), 5 - 3 * 2);
    module_unref(&new);
    new = load_well("balance_sample");
    ck_assert_int_eq(metric_value(new->metrics[0]), 0);
    module_unref(&new);
}

UNIT_TEST(the_file_may_be_destroyed_under_us)
{
    char path[512];

    install_as("sample", "balance_sample", "");
    struct module *module = load_well("balance_sample");
    snprintf(path, sizeof(path), "%s/balance_sample.so", folder);
    ck_assert_int_eq(truncate(path, 0), 0);
    ck_assert_uint_eq(pick_of(module), 7);
    ck_assert_ptr_null(load("balance_sample"));
    ck_assert_ptr_nonnull(strstr(mistakes.texts[0], "it is not a shared object"));
    ck_assert_uint_eq(pick_of(module), 7);
    module_unref(&module);
}

/* Descriptors of this process. */
static size_t count_descriptors(void)
{
    size_t count = 0;
    for (int fd = 0; fd < 1024; fd++) {
        count += fcntl(fd, F_GETFD) != -1;
    }
    return count;
}

UNIT_TEST(unloading_leaves_nothing)
{
    install_as("sample", "balance_sample", "");
    struct module *module = load_well("balance_sample");
    module_unref(&module);
    size_t before = count_descriptors();
    for (int i = 0; i < 50; i++) {
        char tail[16];
        snprintf(tail, sizeof(tail), "%d", i);
        install_as("sample", "balance_sample", tail);
        module = load_well("balance_sample");
        ck_assert_uint_eq(pick_of(module), 7);
        module_unref(&module);
    }
    size_t left = count_descriptors();
    ck_assert_uint_eq(left, before + (STAYS_LOADED ? 50 : 0));
}

UNIT_TEST(an_older_module_lacks_what_was_added)
{
    install_as("sample", "short_table", "");
    struct module *module = load_well("short_table");
    ck_assert(module->balancer.pick != NULL);
    ck_assert(module->balancer.on_assign == NULL);
    ck_assert(module->balancer.on_complete == NULL);
    module_unref(&module);
    /* Its descriptor ends before `handler`. */
    install_as("sample", "older", "");
    module = load_well("older");
    ck_assert(module_has_kind(module, MODULE_FILTER));
    ck_assert(!module_has_kind(module, MODULE_HANDLER));
    ck_assert_str_eq(module->descriptor.license, "");
    ck_assert_str_eq(module->descriptor.summary, "");
    module_unref(&module);
}

UNIT_TEST(wrong_descriptors_are_refused)
{
    static const struct {
        const char *name;
        const char *mistake;
    } cases[] = {
        {"other_major",
         "/other_major.so cannot be used: it is built for ABI 2.3, and this Weir has ABI 1."},
        {"newer_minor", ", newer than this Weir's ABI 1."},
        {"tiny", "its descriptor has 8 bytes, too few for ABI 1."},
        {"four_bytes", "its descriptor says that it has 4 bytes"},
        {"no_kind", "it is of no kind"},
        {"no_pick", "its balancer lacks the mandatory hook `pick`"},
        {"cut_table", "its balancer lacks the mandatory hook `pick`"},
        {"big_slots", "its balancer wants slots of 4097 bytes"},
        {"two_ways", "its balancer has both `pick` and a ranking by the host"},
        {"empty_filter", "its filter lacks the mandatory hook `on_request` or `on_response`"},
        {"load_fails", "its load hook failed with status -2"},
        {"bad_options", "its option `factor` does not lie within the option struct"},
        {"twin_metrics", "its metric \"picks\" is there twice"},
        {"no_version", "its descriptor has no version"},
        {"not_among_them", "its weir_module_entry gives no descriptor"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        install_as("sample", cases[i].name, "");
        expect_refused(cases[i].name, cases[i].mistake);
    }
    install_as("sample", "some_name", "");
    setenv("WEIR_SAMPLE", "wrong_name_inside", 1);
    expect_refused("some_name",
                   "it calls itself \"wrong_name_inside\"; file and module must have one");
}

UNIT_TEST(wrong_files_are_refused)
{
    char path[512];
    size_t len;

    install_as("sample_undefined", "undefined", "");
    expect_refused("undefined",
                   "it needs the symbol `sample_symbol_that_is_nowhere`, which nothing");
    install_as("sample_no_entry", "no_entry", "");
    expect_refused("no_entry", "it exports no weir_module_entry");

    snprintf(path, sizeof(path), "%s/text.so", folder);
    temporary_write(path, "#!/bin/sh\necho this is no module, however long it may be, really\n");
    expect_refused("text", "/text.so cannot be used: it is not a shared object");
    temporary_write(path, "");
    expect_refused("text", "it is not a shared object");

    install_as("sample", "cut", "");
    snprintf(path, sizeof(path), "%s/cut.so", folder);
    char *whole = temporary_read(path, &len);
    static const size_t cuts[] = {20, 64, 100, 4096, 4097, 8192, 12288};
    for (size_t i = 0; i < ARRAY_COUNT(cuts); i++) {
        ck_assert_uint_lt(cuts[i], len);
        temporary_write_bytes(path, whole, cuts[i]);
        expect_refused("cut", "/cut.so cannot be used: ");
    }
    free(whole);

    snprintf(path, sizeof(path), "%s/folder.so", folder);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    expect_refused("folder", "cannot read ");
    snprintf(path, sizeof(path), "%s/pipe.so", folder);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    expect_refused("pipe", "cannot read ");
    /* A program, not a library. */
    snprintf(path, sizeof(path), "%s/program.so", folder);
    ck_assert_int_eq(symlink("/proc/self/exe", path), 0);
    expect_refused("program", "/program.so cannot be used: ");
}

UNIT_TEST(names_are_plain_words)
{
    static const char *const names[] = {
        "",       "../x",
        "a/b",    "A",
        "a.b",    "a b",
        "/tmp/x", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"};

    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        expect_refused(names[i], "is not a module's name");
    }
}

UNIT_TEST(a_missing_file_is_named_and_the_nearest_offered)
{
    expect_refused("balance_sampel", "/balance_sampel.so; install the module, or set module_dir");
    install_as("sample", "balance_sample", "");
    install_as("sample", "balance_other", "");
    expect_refused("balance_sampel", "/balance_sampel.so; did you mean \"balance_sample\"?");
    module_dir = "/no/such/folder";
    expect_refused("balance_sample", "there is no /no/such/folder/balance_sample.so");
}

static struct module *find(struct module *module, enum module_kind kind, const char *title)
{
    mistakes_free(&mistakes);
    return module_find(module_dir, &module, module != NULL ? 1 : 0, kind, str_from(title), place,
                       &mistakes);
}

UNIT_TEST(blocks_name_modules_by_kind)
{
    char name[64];

    install_as("sample", "balance_sample", "");
    struct module *module = load_well("balance_sample");
    ck_assert_ptr_eq(find(module, MODULE_BALANCER, "sample"), module);
    ck_assert_ptr_eq(find(module, MODULE_FILTER, "balance_sample"), module);
    ck_assert_uint_eq(mistakes.count, 0);

    ck_assert_ptr_null(find(NULL, MODULE_BALANCER, "sample"));
    ck_assert_str_eq(mistakes.texts[0],
                     "weir.conf:3: balance \"sample\" needs module \"balance_sample\", which no "
                     "module block enables; add: module \"balance_sample\" {}");
    ck_assert_ptr_null(find(NULL, MODULE_BALANCER, "sampel"));
    ck_assert_ptr_nonnull(strstr(mistakes.texts[0], "did you mean balance \"sample\"?"));
    /* Names are as near as what differs in them: not by the kind that all have. */
    ck_assert_ptr_null(find(NULL, MODULE_BALANCER, "single"));
    ck_assert_ptr_nonnull(strstr(mistakes.texts[0], "/balance_single.so; install the module"));
    ck_assert_ptr_null(find(NULL, MODULE_BALANCER, "least_conn"));
    ck_assert_ptr_nonnull(strstr(mistakes.texts[0], "/balance_least_conn.so; install the module"));
    ck_assert_ptr_null(find(module, MODULE_BALANCER, "smaple"));
    ck_assert_ptr_nonnull(strstr(mistakes.texts[0], "did you mean balance \"sample\"?"));
    ck_assert_ptr_null(find(module, MODULE_HANDLER, "balance_sample"));
    ck_assert_str_eq(mistakes.texts[0],
                     "weir.conf:3: handler \"balance_sample\": the module \"balance_sample\" is no "
                     "handler");
    ck_assert_ptr_null(find(module, MODULE_STICKY, ""));
    ck_assert_ptr_nonnull(strstr(mistakes.texts[0], "sticky needs the name of a module"));

    module_full_name(MODULE_ROUTER, STR("path"), name, sizeof(name));
    ck_assert_str_eq(name, "route_path");
    module_full_name(MODULE_HANDLER, STR("admin"), name, sizeof(name));
    ck_assert_str_eq(name, "admin");
    ck_assert_str_eq(module_kind_block(MODULE_BALANCER), "balance");
    ck_assert_ptr_null(module_kind_block(MODULE_LOGGER));
    ck_assert_str_eq(module_kind_name(MODULE_HEALTH), "health");
    module_unref(&module);
}

UNIT_FIXTURE(set_up, tear_down);
UNIT_TIMEOUT(30);
