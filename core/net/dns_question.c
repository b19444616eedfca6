/* SPDX-License-Identifier: MIT */
/* When a question is repeated, and what an answer or a failure changes. See dns_question.h. */
#include "net/dns_question.h"

#include "base/log.h"

/* Bounds of the time to the next query: a TTL of 0 must not cause a storm of queries, and a
 * negative answer must not hide a new name for too long. */
#define TTL_MIN          1u
#define TTL_MAX          86400u
#define TTL_MAX_NEGATIVE 300u
/* After a failure, and after a negative answer without a TTL. */
#define TTL_RETRY 5u

static uint64_t next_ns(const struct resolver_answer *answer)
{
    uint32_t ttl_s = answer->dns.ttl_s;
    uint32_t most = answer->dns.count > 0 ? TTL_MAX : TTL_MAX_NEGATIVE;

    if (answer->error != NULL || ttl_s == DNS_NO_TTL) {
        ttl_s = TTL_RETRY;
    }
    return (ttl_s < TTL_MIN ? TTL_MIN : ttl_s > most ? most : ttl_s) * NS_PER_SECOND;
}

/* Takes the records. */
static void take(struct dns_question *question, struct resolver_answer *answer)
{
    if (question->answer.count > 0 && answer->dns.count == 0) {
        log_write(WEIR_LOG_NOTICE, "names", "%s has no %s record any more", question->name,
                  dns_type_word(question->type));
    }
    dns_answer_free(&question->answer, question->type);
    question->answer = answer->dns;
    answer->dns = (struct dns_answer){0};
    if (question->answer.count > 0) {
        question->found_at = answer->found_at;
    }
    question->version++;
}

static void on_answer(void *arg, struct resolver_answer *answer)
{
    struct dns_question *question = arg;
    bool failed = answer->error != NULL;

    question->query = NULL;
    question->settled = true;
    timer_set(question->loop, &question->timer, next_ns(answer));
    if (failed && !question->failed) {
        log_write(WEIR_LOG_WARNING, "names", "cannot resolve %s (%s): %s; %s", question->name,
                  dns_type_word(question->type), answer->error,
                  question->version > 0 ? "what is known of it stays"
                                        : "nothing is known of it yet");
    } else if (!failed && question->failed) {
        log_write(WEIR_LOG_INFO, "names", "%s (%s) is answered again", question->name,
                  dns_type_word(question->type));
    }
    question->failed = failed;
    if (!failed) {
        take(question, answer);
    }
    question->fn(question, !failed);
}

static void on_timer(struct timer *timer)
{
    dns_question_ask(container_of(timer, struct dns_question, timer));
}

void dns_question_ask(struct dns_question *question)
{
    if (question->query == NULL) {
        const struct resolver_question asked = {.name = str_from(question->name),
                                                .type = question->type,
                                                .absolute = question->absolute,
                                                .found_at = question->found_at};
        timer_cancel(question->loop, &question->timer);
        question->timer.fn = on_timer;
        question->query = resolver_ask(question->resolver, &asked, on_answer, question);
    }
}

void dns_question_stop(struct dns_question *question)
{
    if (question->query != NULL) {
        resolver_forget(question->query);
        question->query = NULL;
    }
    timer_cancel(question->loop, &question->timer);
}
