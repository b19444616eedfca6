/* SPDX-License-Identifier: MIT */
/*
 * Stores, and what control.h and stats.h give to handlers: scripted answers, events, people, rows.
 */
#include "fake.h"

#include <stdio.h>
#include <stdlib.h>

/* An answer that a test has scripted for a method and a path. */
struct fake_script {
    struct fake_script *next;
    char *method, *path;
    struct weir_control_answer answer; /* strings owned */
};

struct weir_subscription {
    struct weir_subscription *next;
    struct weir_test *host;
    uint64_t last_id;
    weir_event_fn fn;
    void *arg;
    bool ended; /* freed when no event is on its way */
};

struct fake_person {
    struct fake_person *next;
    char *author, *token, *password, *link; /* NULL: has none */
    char token_name[16];
    enum weir_role role;
};

struct weir_auth {
    struct weir_auth *next;
    const struct fake_person *person; /* NULL: refused */
    weir_auth_fn fn;
    void *arg;
};

struct fake_control {
    struct fake_script *scripts;
    struct weir_control_operation *operations; /* newest first */
    size_t operation_count;
    struct weir_subscription *subscriptions;
    struct fake_person *people;
    struct weir_auth *auths;
    struct weir_stats_row *rows;
    size_t row_count;
    bool held;
};

static struct fake_control *control_of(struct weir_test *host)
{
    if (host->control == NULL) {
        host->control = fake_alloc(sizeof(*host->control));
    }
    return host->control;
}

static struct weir_str copy_str(struct weir_str from)
{
    return (struct weir_str){fake_copy(from.len > 0 ? from.ptr : "", from.len), from.len};
}

static void free_str(struct weir_str *text)
{
    free((void *)(uintptr_t)text->ptr);
}

static bool str_is(struct weir_str a, const char *b)
{
    return b != NULL && a.len == strlen(b) && memcmp(a.len > 0 ? a.ptr : "", b, a.len) == 0;
}

/* ---- calls ---- */

static void free_script(struct fake_script *script)
{
    struct weir_str *texts[] = {&script->answer.content_type, &script->answer.body,
                                &script->answer.etag, &script->answer.location,
                                &script->answer.allow};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        free_str(texts[i]);
    }
    free(script->method);
    free(script->path);
    free(script);
}

void weir_test_script_answer(struct weir_test *host, const char *method, const char *path,
                             const struct weir_control_answer *answer)
{
    struct fake_control *control = control_of(host);
    struct fake_script *script = fake_alloc(sizeof(*script));

    script->method = fake_str_copy(method);
    script->path = fake_str_copy(path);
    script->answer = *answer;
    script->answer.content_type = copy_str(answer->content_type);
    script->answer.body = copy_str(answer->body);
    script->answer.etag = copy_str(answer->etag);
    script->answer.location = copy_str(answer->location);
    script->answer.allow = copy_str(answer->allow);
    script->next = control->scripts; /* the newest is found first */
    control->scripts = script;
}

static void answer_now(struct weir_control_operation *operation)
{
    static const struct weir_control_answer unknown = {
        .size = sizeof(unknown),
        .status = 404,
        .content_type = WEIR_STR_INIT("application/problem+json"),
        .body = WEIR_STR_INIT("{\"type\":\"about:blank\",\"title\":\"Not Found\",\"status\":404}"),
    };
    const struct weir_control_answer *answer = &unknown;
    weir_control_fn fn = operation->fn;

    if (fn == NULL) {
        return;
    }
    for (const struct fake_script *s = operation->host->control->scripts; s != NULL; s = s->next) {
        if (str_is(operation->call.method, s->method) && str_is(operation->call.path, s->path)) {
            answer = &s->answer;
            break;
        }
    }
    operation->fn = NULL;
    fn(operation->arg, answer);
}

static void posted_answer(void *arg)
{
    struct weir_control_operation *operation = arg;
    if (!operation->host->control->held) {
        answer_now(operation);
    }
}

void weir_test_control_hold(struct weir_test *host, bool hold)
{
    struct fake_control *control = control_of(host);
    control->held = hold;
    for (struct weir_control_operation *o = control->operations; !hold && o != NULL; o = o->next) {
        answer_now(o);
    }
}

struct weir_control_operation *fake_control_call(struct weir_context *ctx,
                                                 const struct weir_control_request *call,
                                                 weir_control_fn fn, void *arg)
{
    struct weir_test *host = fake_context(ctx)->host;
    struct fake_control *control = control_of(host);

    if (fake_alloc_fails(host)) {
        return NULL;
    }
    if (call->size < sizeof(*call) || call->caller.role == WEIR_ROLE_NONE ||
        call->caller.author.len == 0) {
        fake_problem(host, "weir_control_call without size, role or author");
    }
    struct weir_control_operation *operation = fake_alloc(sizeof(*operation));
    operation->host = host;
    operation->call = *call;
    operation->call.method = copy_str(call->method);
    operation->call.path = copy_str(call->path);
    operation->call.query = copy_str(call->query);
    operation->call.body = copy_str(call->body);
    operation->call.if_match = copy_str(call->if_match);
    operation->call.caller.author = copy_str(call->caller.author);
    operation->fn = fn;
    operation->arg = arg;
    operation->next = control->operations;
    control->operations = operation;
    control->operation_count++;
    fake_post_always(ctx, posted_answer, operation);
    return operation;
}

void fake_control_cancel(struct weir_control_operation *operation)
{
    operation->fn = NULL;
}

size_t weir_test_control_count(struct weir_test *host)
{
    return control_of(host)->operation_count;
}

const struct weir_control_request *weir_test_control_call(struct weir_test *host, size_t index)
{
    const struct fake_control *control = control_of(host);
    const struct weir_control_operation *operation = control->operations;
    if (index >= control->operation_count) {
        return NULL;
    }
    for (size_t i = control->operation_count - 1; i > index; i--) {
        operation = operation->next;
    }
    return &operation->call;
}

/* ---- events ---- */

struct weir_subscription *fake_control_subscribe(struct weir_context *ctx, uint64_t last_id,
                                                 weir_event_fn fn, void *arg)
{
    struct weir_test *host = fake_context(ctx)->host;
    if (fake_alloc_fails(host)) {
        return NULL;
    }
    struct weir_subscription *subscription = fake_alloc(sizeof(*subscription));
    *subscription =
        (struct weir_subscription){control_of(host)->subscriptions, host, last_id, fn, arg, false};
    host->control->subscriptions = subscription;
    return subscription;
}

void fake_control_unsubscribe(struct weir_subscription *subscription)
{
    if (subscription->ended) {
        fake_problem(subscription->host, "a subscription was ended twice");
    }
    subscription->ended = true;
}

size_t weir_test_subscription_count(struct weir_test *host)
{
    size_t count = 0;
    for (struct weir_subscription *s = control_of(host)->subscriptions; s != NULL; s = s->next) {
        count += !s->ended;
    }
    return count;
}

uint64_t weir_test_subscription_last_id(struct weir_test *host)
{
    for (struct weir_subscription *s = control_of(host)->subscriptions; s != NULL; s = s->next) {
        if (!s->ended) {
            return s->last_id;
        }
    }
    return 0;
}

void weir_test_event(struct weir_test *host, uint64_t id, const char *name, const char *data)
{
    static const char over[] = "an event of a call that is over";
    char *lent_name = fake_lend_copy(name, strlen(name) + 1, over);
    char *lent_data = fake_lend_copy(data, strlen(data) + 1, over);
    const struct weir_event made = {sizeof(made), id, fake_str(lent_name), fake_str(lent_data)};
    struct weir_event *event = fake_lend_copy(&made, sizeof(made), over);

    for (struct weir_subscription *s = control_of(host)->subscriptions; s != NULL; s = s->next) {
        if (!s->ended) {
            s->fn(s->arg, event);
        }
    }
    fake_take_back(event);
    fake_take_back(lent_data);
    fake_take_back(lent_name);
}

/* ---- people ---- */

/* No two tokens have one name. */
static void name_token(struct fake_person *person, const char *token)
{
    static unsigned number;
    person->token = token != NULL ? fake_str_copy(token) : NULL;
    snprintf(person->token_name, sizeof(person->token_name), "%u", ++number);
}

void weir_test_person(struct weir_test *host, const char *author, enum weir_role role,
                      const char *token, const char *password, const char *link)
{
    struct fake_control *control = control_of(host);
    struct fake_person *person = fake_alloc(sizeof(*person));

    person->author = fake_str_copy(author);
    person->role = role;
    name_token(person, token);
    person->password = password != NULL ? fake_str_copy(password) : NULL;
    person->link = link != NULL ? fake_str_copy(link) : NULL;
    person->next = control->people;
    control->people = person;
}

void weir_test_person_set_role(struct weir_test *host, const char *author, enum weir_role role)
{
    for (struct fake_person *p = control_of(host)->people; p != NULL; p = p->next) {
        if (strcmp(p->author, author) == 0) {
            p->role = role;
        }
    }
}

void weir_test_person_set_token(struct weir_test *host, const char *author, const char *token)
{
    for (struct fake_person *p = control_of(host)->people; p != NULL; p = p->next) {
        if (strcmp(p->author, author) == 0) {
            free(p->token);
            name_token(p, token);
        }
    }
}

static bool recognise(const struct fake_person *person, struct weir_caller *out)
{
    if (person == NULL || person->role == WEIR_ROLE_NONE) {
        return false;
    }
    *out = (struct weir_caller){
        .size = sizeof(*out), .role = person->role, .author = fake_str(person->author)};
    return true;
}

bool fake_control_auth_token(struct weir_context *ctx, struct weir_str token,
                             struct weir_caller *out)
{
    const struct fake_person *p = control_of(fake_context(ctx)->host)->people;
    while (p != NULL && !str_is(token, p->token)) {
        p = p->next;
    }
    if (!recognise(p, out)) {
        return false;
    }
    out->token = fake_str(p->token_name);
    return true;
}

static const struct fake_person *find_person(struct weir_context *ctx, struct weir_str author)
{
    const struct fake_person *p = control_of(fake_context(ctx)->host)->people;
    while (p != NULL && !str_is(author, p->author)) {
        p = p->next;
    }
    return p;
}

bool fake_control_auth_user(struct weir_context *ctx, struct weir_str author,
                            struct weir_caller *out)
{
    return recognise(find_person(ctx, author), out);
}

bool fake_control_auth_again(struct weir_context *ctx, const struct weir_caller *before,
                             struct weir_caller *out)
{
    const struct fake_person *p = find_person(ctx, before->author);
    bool by_token = before->token.len > 0;

    if (p == NULL || before->since != 0 ||
        (by_token && (p->token == NULL || !str_is(before->token, p->token_name))) ||
        !recognise(p, out)) {
        return false;
    }
    out->token = by_token ? fake_str(p->token_name) : (struct weir_str){NULL, 0};
    return true;
}

bool fake_control_auth_link(struct weir_context *ctx, struct weir_str link, struct weir_caller *out)
{
    struct fake_person *p = control_of(fake_context(ctx)->host)->people;
    while (p != NULL && !str_is(link, p->link)) {
        p = p->next;
    }
    if (p != NULL) {
        free(p->link);
        p->link = NULL;
    }
    return recognise(p, out);
}

bool fake_control_auth_peer(struct weir_context *ctx, const struct weir_request *req,
                            struct weir_caller *out)
{
    struct weir_credentials credentials;
    (void)ctx;
    if (!weir_request_credentials(req, &credentials) || credentials.uid != 0) {
        return false;
    }
    *out = (struct weir_caller){
        .size = sizeof(*out), .role = WEIR_ROLE_ADMIN, .author = WEIR_STR_INIT("uid:0 (root)")};
    return true;
}

static void posted_auth(void *arg)
{
    struct weir_auth *auth = arg;
    struct weir_caller caller;
    weir_auth_fn fn = auth->fn;
    auth->fn = NULL;
    if (fn != NULL) {
        fn(auth->arg, recognise(auth->person, &caller) ? &caller : NULL);
    }
}

struct weir_auth *fake_control_auth_password(struct weir_context *ctx, struct weir_str name,
                                             struct weir_str password, weir_auth_fn fn, void *arg)
{
    struct weir_test *host = fake_context(ctx)->host;
    struct fake_control *control = control_of(host);
    const struct fake_person *p = control->people;

    if (fake_alloc_fails(host)) {
        return NULL;
    }
    while (p != NULL && !(str_is(name, p->author) && str_is(password, p->password))) {
        p = p->next;
    }
    struct weir_auth *auth = fake_alloc(sizeof(*auth));
    *auth = (struct weir_auth){control->auths, p, fn, arg};
    control->auths = auth;
    fake_post_always(ctx, posted_auth, auth);
    return auth;
}

void fake_control_auth_cancel(struct weir_auth *auth)
{
    auth->fn = NULL;
}

struct weir_str fake_control_openapi(struct weir_context *ctx)
{
    (void)ctx;
    return fake_str("{\"openapi\":\"3.1.0\"}");
}

/* ---- statistics ---- */

void weir_test_stats_add(struct weir_test *host, const struct weir_stats_row *row)
{
    struct fake_control *control = control_of(host);
    control->rows = fake_grow(control->rows, control->row_count + 1, sizeof(*control->rows));
    control->rows[control->row_count++] = *row;
}

void weir_test_stats_clear(struct weir_test *host)
{
    control_of(host)->row_count = 0;
}

enum weir_status fake_stats_visit(struct weir_context *ctx, weir_stats_fn fn, void *arg)
{
    const struct fake_control *control = control_of(fake_context(ctx)->host);
    for (size_t i = 0; i < control->row_count; i++) {
        if (!fn(arg, &control->rows[i])) {
            break;
        }
    }
    return WEIR_OK;
}

enum weir_status fake_stats_counters(struct weir_context *ctx, uint32_t times, weir_stats_fn fn,
                                     void *arg)
{
    const struct fake_control *control = control_of(fake_context(ctx)->host);

    for (size_t i = 0; i < control->row_count; i++) {
        struct weir_stats_row row = control->rows[i];
        struct weir_traffic traffic = *row.traffic;
        traffic.connect = traffic.first_byte = NULL;
        traffic.total = (times & 1u << row.kind) != 0 ? traffic.total : NULL;
        row.traffic = &traffic;
        if (!fn(arg, &row)) {
            break;
        }
    }
    return WEIR_OK;
}

static const char *const reasons[] = {"", "connect_refused", "response_timeout", "client_gone"};

struct weir_str fake_reason_name(struct weir_context *ctx, uint32_t reason)
{
    (void)ctx;
    return fake_str(reason < sizeof(reasons) / sizeof(reasons[0]) ? reasons[reason] : "");
}

/* ---- store ---- */

enum weir_status weir_test_store_open(struct weir_test_instance *store, char *text, size_t size)
{
    fake_require_kind(store, WEIR_TEST_STORE, __func__);
    text[0] = '\0';
    if (store->host->store.open == NULL) {
        return WEIR_OK;
    }
    FAKE_HOOK("open");
    enum weir_status status = store->host->store.open(&store->ctx.base, store->data, text, size);
    if (status != WEIR_OK && text[0] == '\0') {
        fake_problem(store->host, "a store did not open, and did not say why");
    }
    return status;
}

enum weir_status weir_test_store_commit(struct weir_test_instance *store,
                                        const struct weir_store_change *changes, size_t count,
                                        char *error, size_t size)
{
    fake_require_kind(store, WEIR_TEST_STORE, __func__);
    error[0] = '\0';
    FAKE_HOOK("commit");
    enum weir_status status =
        store->host->store.commit(&store->ctx.base, store->data, changes, count, error, size);
    if (status != WEIR_OK && error[0] == '\0') {
        fake_problem(store->host, "a store did not commit, and did not say why");
    }
    return status;
}

enum weir_status weir_test_store_scan(struct weir_test_instance *store, const char *space,
                                      const char *from, bool reverse, size_t limit,
                                      weir_store_visit_fn visit, void *arg)
{
    fake_require_kind(store, WEIR_TEST_STORE, __func__);
    FAKE_HOOK("scan");
    return store->host->store.scan(&store->ctx.base, store->data, fake_str(space), fake_str(from),
                                   reverse, limit, visit, arg);
}

/* ---- the end ---- */

static void free_operations(struct fake_control *control)
{
    while (control->operations != NULL) {
        struct weir_control_operation *o = control->operations;
        control->operations = o->next;
        struct weir_str *texts[] = {&o->call.method, &o->call.path,     &o->call.query,
                                    &o->call.body,   &o->call.if_match, &o->call.caller.author};
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
            free_str(texts[i]);
        }
        free(o);
    }
}

static void free_people(struct fake_control *control)
{
    while (control->people != NULL) {
        struct fake_person *p = control->people;
        control->people = p->next;
        free(p->author);
        free(p->token);
        free(p->password);
        free(p->link);
        free(p);
    }
    while (control->auths != NULL) {
        struct weir_auth *auth = control->auths;
        control->auths = auth->next;
        free(auth);
    }
}

void fake_control_free(struct weir_test *host)
{
    struct fake_control *control = host->control;
    if (control == NULL) {
        return;
    }
    if (weir_test_subscription_count(host) > 0) {
        fake_problem(host, "a subscription was left behind");
    }
    while (control->subscriptions != NULL) {
        struct weir_subscription *s = control->subscriptions;
        control->subscriptions = s->next;
        free(s);
    }
    while (control->scripts != NULL) {
        struct fake_script *script = control->scripts;
        control->scripts = script->next;
        free_script(script);
    }
    free_operations(control);
    free_people(control);
    free(control->rows);
    free(control);
    host->control = NULL;
}
