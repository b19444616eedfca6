/* SPDX-License-Identifier: MIT */
/*
 * A thread for jobs. See jobs.h.
 */
#include "control/api/jobs.h"

#include <signal.h>

#include "base/crash.h"

static void job_is_done(struct message *message)
{
    struct job *job = container_of(message, struct job, message);
    job->done(job);
}

static void *jobs_thread(void *arg)
{
    struct jobs *jobs = arg;

    pthread_mutex_lock(&jobs->lock);
    for (;;) {
        while (list_empty(&jobs->waiting) && !jobs->ending) {
            pthread_cond_wait(&jobs->more, &jobs->lock);
        }
        struct list *link = list_pop_front(&jobs->waiting);
        if (link == NULL) {
            break;
        }
        struct job *job = container_of(link, struct job, link);
        pthread_mutex_unlock(&jobs->lock);
        job->run(job);
        jobs_skip(jobs, job); /* it has run */
        pthread_mutex_lock(&jobs->lock);
        if (--jobs->count == 0) {
            pthread_cond_signal(&jobs->none);
        }
    }
    pthread_mutex_unlock(&jobs->lock);
    return NULL;
}

void jobs_init(struct jobs *jobs, struct loop *loop)
{
    *jobs = (struct jobs){.loop = loop};
    list_init(&jobs->waiting);
    pthread_mutex_init(&jobs->lock, NULL);
    pthread_cond_init(&jobs->more, NULL);
    pthread_cond_init(&jobs->none, NULL);
}

static bool start(struct jobs *jobs)
{
    sigset_t all, before;

    crash_others(&all); /* signals are the control thread's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    jobs->started = pthread_create(&jobs->thread, NULL, jobs_thread, jobs) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return jobs->started;
}

void jobs_stop(struct jobs *jobs)
{
    if (jobs->ended) {
        return;
    }
    jobs->ended = true;
    pthread_mutex_lock(&jobs->lock);
    jobs->ending = true;
    pthread_cond_signal(&jobs->more);
    pthread_mutex_unlock(&jobs->lock);
    if (jobs->started) {
        pthread_join(jobs->thread, NULL);
    }
    pthread_cond_destroy(&jobs->none);
    pthread_cond_destroy(&jobs->more);
    pthread_mutex_destroy(&jobs->lock);
}

bool jobs_add(struct jobs *jobs, struct job *job)
{
    if (!jobs->started && !start(jobs)) {
        return false;
    }
    pthread_mutex_lock(&jobs->lock);
    list_push_back(&jobs->waiting, &job->link);
    jobs->count++;
    pthread_cond_signal(&jobs->more);
    pthread_mutex_unlock(&jobs->lock);
    return true;
}

void jobs_skip(struct jobs *jobs, struct job *job)
{
    job->message.fn = job_is_done;
    loop_post(jobs->loop, &job->message);
}

void jobs_wait(struct jobs *jobs)
{
    pthread_mutex_lock(&jobs->lock);
    while (jobs->count > 0) {
        pthread_cond_wait(&jobs->none, &jobs->lock);
    }
    pthread_mutex_unlock(&jobs->lock);
}

size_t jobs_count(struct jobs *jobs)
{
    pthread_mutex_lock(&jobs->lock);
    size_t count = jobs->count;
    pthread_mutex_unlock(&jobs->lock);
    return count;
}
