/* SPDX-License-Identifier: MIT */
/*
 * Outcomes of requests, reported to health modules. See outcomes.h.
 */
#include "proxy/pool/outcomes.h"

#include <stdlib.h>

#include "proxy/plan/plan.h"
#include "proxy/pool/pool.h"

#define REPORT_NS (100 * NS_PER_MS)

/* A failure is reported at the end of the turn if the last report is at least this old, else at the
 * next tick: few requests follow it to the same server, and a pool that fails as a whole causes no
 * flood. */
#define SOON_NS NS_PER_MS

static void report_received(struct message *message)
{
    struct outcome_report *report = container_of(message, struct outcome_report, message);

    report->sink->report(report->sink, report);
    free(report);
}

static void report_send(struct pool_local *local)
{
    const struct outcome_sink *sink = local->home->outcomes;
    size_t count = 0;

    if (list_empty(&local->dirty_notes)) {
        return;
    }
    list_each(counted, &local->dirty_notes)
    {
        count++;
    }
    struct outcome_report *report =
        base_zalloc(sizeof(*report) + count * sizeof(report->entries[0]));

    report->message.fn = report_received;
    report->sink = sink;
    report->pool = local->pool;
    report->worker = local->index;
    struct list *link = NULL;
    while ((link = list_pop_front(&local->dirty_notes)) != NULL) {
        struct outcome_notes *notes = container_of(link, struct outcome_notes, dirty);
        struct outcome_entry *entry = &report->entries[report->count++];
        entry->id = notes->server->id;
        entry->run_count = notes->run_count;
        memcpy(entry->runs, notes->runs, notes->run_count * sizeof(notes->runs[0]));
        notes->run_count = 0;
    }
    timer_cancel(local->home->loop, &local->report_timer);
    local->report_soon = false;
    local->reported_ns = loop_now_ns(local->home->loop);
    loop_post(sink->loop, &report->message);
}

static void report_due(struct timer *timer)
{
    report_send(container_of(timer, struct pool_local, report_timer));
}

static void report_at_end(struct task *task)
{
    report_send(container_of(task, struct pool_local, report_task));
}

/* The run that the outcome extends. */
static struct weir_outcome_run *run_for(struct outcome_notes *notes, enum weir_outcome outcome)
{
    if (notes->run_count > 0 && notes->runs[notes->run_count - 1].outcome == (uint32_t)outcome) {
        return &notes->runs[notes->run_count - 1];
    }
    if (notes->run_count < OUTCOME_RUNS) {
        struct weir_outcome_run *run = &notes->runs[notes->run_count++];
        *run = (struct weir_outcome_run){.outcome = (uint32_t)outcome};
        return run;
    }
    for (unsigned i = OUTCOME_RUNS; i > 0; i--) {
        if (notes->runs[i - 1].outcome == (uint32_t)outcome) {
            return &notes->runs[i - 1];
        }
    }
    return &notes->runs[OUTCOME_RUNS - 1];
}

void outcomes_note(struct pool_local *local, struct server_local *server, enum weir_outcome outcome)
{
    struct outcome_notes *notes = server->notes;
    struct timer *timer = &local->report_timer;
    bool bad = outcome != WEIR_OUTCOME_SUCCESS;

    if (outcome == WEIR_OUTCOME_CANCELED || local->plan == NULL) {
        return;
    }
    run_for(notes, outcome)->count++;
    if (!list_linked(&notes->dirty)) {
        list_push_back(&local->dirty_notes, &notes->dirty);
    }
    if (bad && loop_now_ns(local->home->loop) - local->reported_ns >= SOON_NS) {
        task_queue(local->home->loop, &local->report_task);
    } else if (!timer_is_set(timer) || (bad && !local->report_soon)) {
        local->report_soon = bad;
        timer_set(local->home->loop, timer, bad ? 1 : REPORT_NS);
    }
}

void outcomes_forget(struct server_local *server)
{
    if (server->notes != NULL) {
        list_remove(&server->notes->dirty);
        free(server->notes);
        server->notes = NULL;
    }
}

void outcomes_adopt(struct pool_local *local)
{
    const struct pool_plan *plan = local->plan;

    for (size_t i = 0; plan != NULL && i < plan->server_count; i++) {
        struct server_local *server = &plan->servers[i]->locals[local->index];
        if (plan->observers.count == 0) {
            outcomes_forget(server);
        } else if (server->notes == NULL) {
            server->notes = base_zalloc(sizeof(*server->notes));
            server->notes->server = plan->servers[i];
        }
    }
    if (plan == NULL || plan->observers.count == 0) {
        timer_cancel(local->home->loop, &local->report_timer);
        task_cancel(&local->report_task);
    }
}

void outcomes_init(struct pool_local *local)
{
    list_init(&local->dirty_notes);
    local->report_timer.fn = report_due;
    local->report_task.fn = report_at_end;
}
