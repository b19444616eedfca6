/* SPDX-License-Identifier: MIT */
/*
 * Operations of a module of the kind `control`: they run, what they change is kept, and is taken
 * back.
 */
#include "fake.h"

#include <stdlib.h>

struct fake_kept {
    struct fake_kept *next;
    char *key, *value;
};

struct fake_work {
    void (*work)(void *arg);
    void (*done)(void *arg);
    void *arg;
    struct weir_test *host;
};

struct fake_operations {
    struct weir_control_operation *list; /* newest first */
    struct weir_test_instance *instance; /* whose operation ran last */
    struct fake_kept *kept;
    struct weir_test_change last; /* strings owned */
    const char *refusal;          /* of changes; NULL: none */
};

static struct fake_operations *operations_of(struct weir_test *host)
{
    if (host->operations == NULL) {
        host->operations = fake_alloc(sizeof(*host->operations));
    }
    return host->operations;
}

static char *copy(struct weir_str text)
{
    return text.len > 0 ? fake_copy(text.ptr, text.len) : NULL;
}

static void set(const char **to, char *text)
{
    free((void *)(uintptr_t)*to);
    *to = text;
}

/* ---- what is kept ---- */

static struct fake_kept **find(struct fake_operations *operations, const char *key)
{
    struct fake_kept **link = &operations->kept;
    while (*link != NULL && strcmp((*link)->key, key) != 0) {
        link = &(*link)->next;
    }
    return link;
}

const char *weir_test_kept(const struct weir_test *host, const char *key)
{
    const struct fake_kept *kept = host->operations != NULL ? *find(host->operations, key) : NULL;
    return kept != NULL ? kept->value : NULL;
}

void weir_test_keep(struct weir_test_instance *control, const char *key, const char *value)
{
    fake_require_kind(control, WEIR_TEST_CONTROL, __func__);
    struct weir_test *host = control->host;
    struct fake_kept **link = find(operations_of(host), key), *old = *link;
    struct weir_str none = {NULL, 0};

    if (value != NULL) {
        *link = fake_alloc(sizeof(**link));
        **link = (struct fake_kept){old != NULL ? old->next : NULL, fake_str_copy(key),
                                    fake_str_copy(value)};
    } else if (old != NULL) {
        *link = old->next;
    }
    if (host->control_kind.take != NULL) {
        FAKE_HOOK("take");
        host->control_kind.take(&control->ctx.base, control->data, fake_str(key),
                                value != NULL ? fake_str(value) : none);
    }
    if (old != NULL) {
        free(old->key);
        free(old->value);
        free(old);
    }
}

/* ---- changes ---- */

/* Brings the change into force, and remembers it. */
static void enforce(struct weir_test_instance *control, const struct weir_change *change)
{
    struct weir_test_change *last = &operations_of(control->host)->last;
    char *key = copy(change->key), *value = copy(change->value);
    const char *before = key != NULL ? weir_test_kept(control->host, key) : NULL;

    set(&last->target, copy(change->target));
    set(&last->before, copy(change->before));
    set(&last->after, copy(change->after));
    set(&last->part, copy(change->part));
    set(&last->gone, value == NULL && before != NULL ? fake_str_copy(before) : NULL);
    if (key != NULL) {
        weir_test_keep(control, key, value);
    }
    set(&last->key, key);
    free(value);
}

const struct weir_test_change *weir_test_last_change(struct weir_test *host)
{
    return &operations_of(host)->last;
}

void weir_test_refuse_changes(struct weir_test *host, const char *error)
{
    operations_of(host)->refusal = error;
}

static void free_change(struct weir_change *change)
{
    const struct weir_str texts[] = {change->target, change->before, change->after,
                                     change->key,    change->value,  change->part};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        free((void *)(uintptr_t)texts[i].ptr);
    }
}

static struct weir_str own(struct weir_str text)
{
    return (struct weir_str){copy(text), text.len};
}

static void posted_change(void *arg)
{
    struct weir_control_operation *operation = arg;
    struct fake_operations *operations = operations_of(operation->host);

    if (operations->refusal != NULL) {
        operation->answer.status = 503;
    } else {
        enforce(operations->instance, &operation->change);
    }
    operation->done(operation->done_arg, operation, operations->refusal);
    if (operation->answer.status == 0) {
        fake_problem(operation->host, "a change was made, and its operation has no answer");
    }
    operation->over = true;
    free_change(&operation->change);
}

void fake_operation_change(
    struct weir_control_operation *operation, const struct weir_change *change,
    void (*done)(void *arg, struct weir_control_operation *operation, const char *error), void *arg)
{
    if (operation->over || operation->done != NULL) {
        fake_problem(operation->host, "an operation that is over, or has a change, has another");
    }
    operation->change = (struct weir_change){
        .size = sizeof(operation->change),
        .target = own(change->target),
        .before = own(change->before),
        .after = own(change->after),
        .key = own(change->key),
        .value = own(change->value),
        .part = own(change->part),
    };
    operation->done = done;
    operation->done_arg = arg;
    fake_post_always(&operations_of(operation->host)->instance->ctx.base, posted_change, operation);
}

const char *weir_test_undo(struct weir_test_instance *control)
{
    fake_require_kind(control, WEIR_TEST_CONTROL, __func__);
    struct weir_test *host = control->host;
    const struct weir_test_change *last = weir_test_last_change(host);
    struct weir_str none = {NULL, 0};

    if (last->key == NULL || host->control_kind.undo == NULL) {
        return "it cannot be undone";
    }
    const char *now = weir_test_kept(host, last->key);
    struct weir_undo undo = {
        .size = sizeof(undo),
        .key = fake_str(last->key),
        .part = fake_str(last->part),
        .before = fake_str(last->before),
        .after = fake_str(last->after),
        .now = now != NULL ? fake_str(now) : none,
        .gone = last->gone != NULL ? fake_str(last->gone) : none,
    };
    struct weir_change change = {.size = sizeof(change),
                                 .target = fake_str(last->target),
                                 .key = undo.key,
                                 .part = undo.part};
    FAKE_HOOK("undo");
    const char *refusal =
        host->control_kind.undo(&control->ctx.base, control->data, &undo, &change);
    if (refusal == NULL) {
        enforce(control, &change);
    }
    return refusal;
}

/* ---- running ---- */

static bool find_row(struct weir_test *host, const char *name, struct weir_operation *out)
{
    const struct weir_control *kind = &host->control_kind;

    for (size_t i = 0; i < kind->operation_count; i++) {
        const char *row = (const char *)kind->operations + i * kind->operation_size;
        memset(out, 0, sizeof(*out));
        memcpy(out, row, kind->operation_size < sizeof(*out) ? kind->operation_size : sizeof(*out));
        if (strcmp(out->name, name) == 0) {
            return true;
        }
    }
    return false;
}

static enum weir_operation_end run(struct weir_test_instance *control,
                                   const struct weir_operation *row,
                                   struct weir_control_operation *operation)
{
    FAKE_HOOK("an operation's run");
    return row->run(&control->ctx.base, control->data, operation);
}

const struct weir_test_answer *weir_test_operation(struct weir_test_instance *control,
                                                   const char *name, const char *const *arguments)
{
    fake_require_kind(control, WEIR_TEST_CONTROL, __func__);
    struct weir_test *host = control->host;
    struct fake_operations *operations = operations_of(host);
    struct weir_operation row;

    FAKE_REQUIRE(find_row(host, name, &row), "the module has no operation of that name");
    struct weir_control_operation *operation = fake_alloc(sizeof(*operation));
    operation->host = host;
    operation->arguments = arguments;
    operation->next = operations->list;
    operations->list = operation;
    operations->instance = control;
    enum weir_operation_end end = run(control, &row, operation);
    if (end == WEIR_ANSWERED && (operation->answer.status == 0 || operation->done != NULL)) {
        fake_problem(host, "%s says that it is answered, and is not", name);
    }
    operation->over |= end == WEIR_ANSWERED;
    weir_test_run(host);
    operation->arguments = NULL;
    return &operation->answer;
}

void fake_operation_caller(struct weir_control_operation *operation, struct weir_caller *out)
{
    (void)operation;
    out->role = WEIR_ROLE_ADMIN;
    out->author = fake_str("test");
}

struct weir_str fake_operation_text(struct weir_control_operation *operation, const char *name)
{
    for (const char *const *at = operation->arguments; at != NULL && *at != NULL; at += 2) {
        if (strcmp(*at, name) == 0) {
            return fake_str(at[1]);
        }
    }
    return (struct weir_str){NULL, 0};
}

int64_t fake_operation_number(struct weir_control_operation *operation, const char *name,
                              int64_t fallback)
{
    struct weir_str text = fake_operation_text(operation, name);
    return text.ptr != NULL ? strtoll(text.ptr, NULL, 10) : fallback;
}

void fake_operation_answer(struct weir_control_operation *operation,
                           const struct weir_control_answer *answer)
{
    struct weir_test_answer *to = &operation->answer;

    if (operation->over || answer->size < sizeof(answer->size) || answer->status < 100) {
        fake_problem(operation->host, "an answer without size or status, or to what is over");
    }
    to->status = answer->status;
    set(&to->body, copy(answer->body));
    set(&to->etag, copy(answer->etag));
    set(&to->location, copy(answer->location));
    set(&to->problem, NULL);
    set(&to->pointer, NULL);
}

void fake_operation_problem(struct weir_control_operation *operation, uint32_t status,
                            const char *pointer, const char *format, va_list args)
{
    struct weir_test_answer *to = &operation->answer;
    struct fake_buffer text = {0};

    fake_buffer_vprintf(&text, format, args);
    to->status = status;
    set(&to->body, NULL);
    set(&to->problem, fake_str_copy(fake_buffer_text(&text)));
    set(&to->pointer, pointer != NULL ? fake_str_copy(pointer) : NULL);
    fake_buffer_free(&text);
}

/* The argument If-Match is a tag without its quotes. */
bool fake_operation_matches(struct weir_control_operation *operation, const char *etag)
{
    struct weir_str given = fake_operation_text(operation, "If-Match");

    if (given.ptr != NULL && strcmp(given.ptr, etag) != 0) {
        operation->answer.status = 412;
        return false;
    }
    return true;
}

void fake_operation_finish(struct weir_control_operation *operation)
{
    if (operation->over || operation->answer.status == 0) {
        fake_problem(operation->host, "an operation was finished twice, or without an answer");
    }
    operation->over = true;
}

/* ---- the rest ---- */

static void posted_work(void *arg)
{
    struct fake_work *work = arg;
    work->host->elsewhere = true; /* in Weir it has a thread of its own */
    work->work(work->arg);
    work->host->elsewhere = false;
    work->done(work->arg);
    free(work);
}

bool fake_control_work(struct weir_context *ctx, void (*work)(void *arg), void (*done)(void *arg),
                       void *arg)
{
    if (fake_alloc_fails(fake_context(ctx)->host)) {
        return false;
    }
    struct fake_work *posted = fake_alloc(sizeof(*posted));
    *posted = (struct fake_work){work, done, arg, fake_context(ctx)->host};
    fake_post_always(ctx, posted_work, posted);
    return true;
}

void fake_control_event(struct weir_context *ctx, const char *name, struct weir_str data)
{
    char *text = fake_copy(data.ptr, data.len);
    weir_test_event(fake_context(ctx)->host, 1, name, text);
    free(text);
}

void fake_control_operations(struct weir_context *ctx,
                             void (*operation)(void *arg, const struct weir_operation *operation),
                             void (*schema)(void *arg, const struct weir_schema *schema), void *arg)
{
    const struct weir_control *kind = &fake_context(ctx)->host->control_kind;

    for (size_t i = 0; i < kind->operation_count; i++) {
        operation(arg,
                  (const struct weir_operation *)(const void *)((const char *)kind->operations +
                                                                i * kind->operation_size));
    }
    for (const struct weir_schema *row = kind->schemas; row != NULL && row->name != NULL; row++) {
        schema(arg, row);
    }
}

void fake_operations_free(struct weir_test *host)
{
    struct fake_operations *operations = host->operations;

    if (operations == NULL) {
        return;
    }
    while (operations->list != NULL) {
        struct weir_control_operation *operation = operations->list;
        const char **texts[] = {&operation->answer.body, &operation->answer.etag,
                                &operation->answer.location, &operation->answer.problem,
                                &operation->answer.pointer};
        operations->list = operation->next;
        if (!operation->over) {
            fake_problem(host, "an operation was left without an answer");
        }
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
            set(texts[i], NULL);
        }
        free(operation);
    }
    while (operations->kept != NULL) {
        struct fake_kept *kept = operations->kept;
        operations->kept = kept->next;
        free(kept->key);
        free(kept->value);
        free(kept);
    }
    const char **texts[] = {&operations->last.target, &operations->last.before,
                            &operations->last.after,  &operations->last.key,
                            &operations->last.part,   &operations->last.gone};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        set(texts[i], NULL);
    }
    free(operations);
    host->operations = NULL;
}
