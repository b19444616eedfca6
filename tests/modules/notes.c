/* SPDX-License-Identifier: MIT */
/*
 * Adds operations to the control plane: notes by name, which are kept, tagged and undone; one whose
 * answer is computed on another thread; and two that the core has already, which are left out.
 */
#include <weir/json.h>
#include <weir/weir.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct conf {
    int64_t limit;
};

static const struct weir_option options_rows[] = {
    WEIR_OPTION_RANGE(struct conf, limit, INTEGER, "10", "1", "1000", WEIR_CONTEXT_MODULE, 0,
                      "Notes that there may be."),
};
static const struct weir_options options = WEIR_OPTIONS(struct conf, options_rows);

struct note {
    struct note *next;
    char *name, *text;
};

struct notes {
    struct weir_context *ctx;
    int64_t limit, count;
    struct note *first;
    struct weir_buffer told;
};

static struct note **find(struct notes *notes, struct weir_str name)
{
    struct note **link = &notes->first;
    while (*link != NULL &&
           (strlen((*link)->name) != name.len || memcmp((*link)->name, name.ptr, name.len) != 0)) {
        link = &(*link)->next;
    }
    return link;
}

static enum weir_status create(struct weir_context *ctx, const void *conf, void *prepared,
                               void **instance)
{
    struct notes *notes = calloc(1, sizeof(*notes));
    (void)prepared;
    if (notes == NULL) {
        return WEIR_NO_MEMORY;
    }
    notes->ctx = ctx;
    notes->limit = ((const struct conf *)conf)->limit;
    *instance = notes;
    weir_log(ctx, WEIR_LOG_NOTICE, "notes begin");
    return WEIR_OK;
}

static void forget(struct notes *notes, struct note **link)
{
    struct note *note = *link;
    *link = note->next;
    free(note->name);
    free(note->text);
    free(note);
    notes->count--;
}

static void destroy(struct weir_context *ctx, void *instance)
{
    struct notes *notes = instance;
    while (notes->first != NULL) {
        forget(notes, &notes->first);
    }
    weir_buffer_free(&notes->told);
    free(notes);
    weir_log(ctx, WEIR_LOG_NOTICE, "notes end");
}

static void take(struct weir_context *ctx, void *instance, struct weir_str key,
                 struct weir_str value)
{
    struct notes *notes = instance;
    struct note **link = find(notes, key);
    (void)ctx;

    if (*link != NULL) {
        forget(notes, link);
    }
    if (value.ptr != NULL) {
        struct note *note = calloc(1, sizeof(*note));
        *note =
            (struct note){notes->first, strndup(key.ptr, key.len), strndup(value.ptr, value.len)};
        notes->first = note;
        notes->count++;
    }
}

/* ---- operations ---- */

/* A note's tag, which changes with its text. */
static void tag(const struct note *note, char out[20])
{
    uint32_t hash = 5381;
    for (const char *c = note->text; *c != '\0'; c++) {
        hash = hash * 33 + (unsigned char)*c;
    }
    snprintf(out, 20, "%08x", hash);
}

static void answer_note(struct notes *notes, struct weir_control_operation *operation,
                        uint32_t status, const struct note *note)
{
    struct weir_json json = {&notes->told, false};
    char etag[20], quoted[24];

    tag(note, etag);
    snprintf(quoted, sizeof(quoted), "\"%s\"", etag);
    notes->told.len = 0;
    weir_json_open(&json, NULL, '{');
    weir_json_text(&json, "name", note->name);
    weir_json_text(&json, "text", note->text);
    weir_json_close(&json, '}');
    const struct weir_control_answer what = {.size = sizeof(what),
                                             .status = status,
                                             .body = weir_buffer_str(&notes->told),
                                             .etag = weir_str_of(quoted)};
    weir_operation_answer(notes->ctx, operation, &what);
}

/* The note that the path names; NULL: 404, or 412, is the answer. */
static struct note *the_note(struct notes *notes, struct weir_control_operation *operation)
{
    struct weir_str name = weir_operation_text(notes->ctx, operation, "name");
    struct note *note = *find(notes, name);
    char etag[20];

    if (note == NULL) {
        weir_operation_problem(notes->ctx, operation, 404, NULL, "there is no note \"%s\"",
                               name.ptr);
        return NULL;
    }
    tag(note, etag);
    return weir_operation_matches(notes->ctx, operation, etag) ? note : NULL;
}

static enum weir_operation_end show(struct weir_context *ctx, void *instance,
                                    struct weir_control_operation *operation)
{
    struct note *note = the_note(instance, operation);
    (void)ctx;
    if (note != NULL) {
        answer_note(instance, operation, 200, note);
    }
    return WEIR_ANSWERED;
}

struct job {
    struct notes *notes;
    struct weir_control_operation *operation;
    size_t count;
};

static void set_done(void *arg, struct weir_control_operation *operation, const char *error)
{
    struct job *job = arg;
    struct note **link = find(job->notes, weir_operation_text(job->notes->ctx, operation, "name"));
    const struct weir_control_answer gone = {.size = sizeof(gone), .status = 204};

    if (error == NULL && *link != NULL) {
        answer_note(job->notes, operation, 200, *link);
        weir_control_event(job->notes->ctx, "note", weir_buffer_str(&job->notes->told));
    } else if (error == NULL) {
        weir_operation_answer(job->notes->ctx, operation, &gone);
    }
    free(job);
}

/* Both directions: `text` without ptr removes it. */
static enum weir_operation_end change(struct notes *notes, struct weir_control_operation *operation,
                                      struct weir_str text)
{
    struct weir_str name = weir_operation_text(notes->ctx, operation, "name");
    const struct note *note = *find(notes, name);
    struct job *job = calloc(1, sizeof(*job));
    struct weir_buffer before = {0}, after = {0};
    struct weir_json was = {&before, false}, is = {&after, false};

    job->notes = notes;
    if (note != NULL) {
        weir_json_open(&was, NULL, '{');
        weir_json_text(&was, "text", note->text);
        weir_json_close(&was, '}');
    }
    if (text.ptr != NULL) {
        weir_json_open(&is, NULL, '{');
        weir_json_str(&is, "text", text);
        weir_json_close(&is, '}');
    }
    const struct weir_change what = {.size = sizeof(what),
                                     .target = name,
                                     .before = weir_buffer_str(&before),
                                     .after = weir_buffer_str(&after),
                                     .key = name,
                                     .value = text};
    enum weir_operation_end end =
        weir_operation_change(notes->ctx, operation, &what, set_done, job);
    weir_buffer_free(&before);
    weir_buffer_free(&after);
    return end;
}

static enum weir_operation_end set(struct weir_context *ctx, void *instance,
                                   struct weir_control_operation *operation)
{
    struct notes *notes = instance;
    struct note **link = find(notes, weir_operation_text(ctx, operation, "name"));

    if (*link != NULL && the_note(notes, operation) == NULL) {
        return WEIR_ANSWERED; /* another one's tag */
    }
    if (*link == NULL && notes->count >= notes->limit) {
        weir_operation_problem(ctx, operation, 409, NULL, "there are %lld notes; remove one first",
                               (long long)notes->count);
        return WEIR_ANSWERED;
    }
    return change(notes, operation, weir_operation_text(ctx, operation, "text"));
}

static enum weir_operation_end remove_note(struct weir_context *ctx, void *instance,
                                           struct weir_control_operation *operation)
{
    (void)ctx;
    if (the_note(instance, operation) == NULL) {
        return WEIR_ANSWERED;
    }
    return change(instance, operation, (struct weir_str){NULL, 0});
}

static void count(void *arg)
{
    struct job *job = arg;
    usleep(1000);
    job->count = 42;
}

static void counted(void *arg)
{
    struct job *job = arg;
    char text[32];
    struct weir_control_answer what = {.size = sizeof(what), .status = 200};

    snprintf(text, sizeof(text), "{\"count\":%zu}", job->count);
    what.body = weir_str_of(text);
    weir_operation_answer(job->notes->ctx, job->operation, &what);
    weir_operation_finish(job->notes->ctx, job->operation);
    free(job);
}

static enum weir_operation_end count_later(struct weir_context *ctx, void *instance,
                                           struct weir_control_operation *operation)
{
    struct job *job = calloc(1, sizeof(*job));
    *job = (struct job){instance, operation, 0};
    if (!weir_control_work(ctx, count, counted, job)) {
        free(job);
        weir_operation_problem(ctx, operation, 429, NULL, "too much is being counted");
        return WEIR_ANSWERED;
    }
    return WEIR_LATER;
}

/* The text before stands in `before`, in the form that change has given it. */
static const char *undo(struct weir_context *ctx, void *instance, const struct weir_undo *done,
                        struct weir_change *out)
{
    (void)ctx;
    (void)instance;
    if (done->before.len > 0 && done->gone.ptr == NULL) {
        return "only what is new, or was removed, is taken back";
    }
    out->before = done->after;
    out->after = done->before;
    out->value = done->gone;
    return NULL;
}

static const struct weir_argument texts[] = {
    {"text", WEIR_ARGUMENT_STRING, true, 1, 200, NULL, "What is noted."},
    WEIR_ARGUMENTS_END,
};

#define MATCHED (WEIR_OPERATION_WRITES | WEIR_OPERATION_CONFIRM | WEIR_OPERATION_IF_MATCH)
static const struct weir_operation operations[] = {
    {.name = "note.show",
     .role = WEIR_ROLE_VIEWER,
     .method = "GET",
     .path = "/notes/{name}",
     .status = 200,
     .answer = "Note",
     .document = "One note.",
     .run = show},
    {.name = "note.set",
     .role = WEIR_ROLE_OPERATOR,
     .method = "POST",
     .path = "/notes/{name}",
     .body = texts,
     .status = 200,
     .flags = MATCHED,
     .answer = "Note",
     .document = "Notes something.",
     .run = set},
    {.name = "note.remove",
     .role = WEIR_ROLE_OPERATOR,
     .method = "DELETE",
     .path = "/notes/{name}",
     .status = 204,
     .flags = MATCHED,
     .document = "Removes a note.",
     .run = remove_note},
    {.name = "notes.count",
     .role = WEIR_ROLE_VIEWER,
     .method = "GET",
     .path = "/stats/notes",
     .status = 200,
     .document = "Counts, elsewhere.",
     .run = count_later},
    {.name = "notes.pools",
     .role = WEIR_ROLE_VIEWER,
     .method = "GET",
     .path = "/pools",
     .status = 200,
     .document = "The core has that path.",
     .run = show},
    {.name = "pools.list",
     .role = WEIR_ROLE_VIEWER,
     .method = "GET",
     .path = "/notes",
     .status = 200,
     .document = "The core has that name.",
     .run = show},
};

static const struct weir_schema schemas[] = {
    {"Note", "{'type':'object','properties':{'name':{'type':'string'},'text':{'type':'string'}}}"},
    {NULL, NULL},
};

static const struct weir_control control = {
    .size = sizeof(struct weir_control),
    .operation_size = sizeof(struct weir_operation),
    .operations = operations,
    .operation_count = sizeof(operations) / sizeof(operations[0]),
    .schemas = schemas,
    .space = "notes",
    .create = create,
    .destroy = destroy,
    .take = take,
    .undo = undo,
};

WEIR_DEFINE_MODULE("notes", "1.0", "MIT", "Keeps notes", .options = &options, .control = &control);
