/* SPDX-License-Identifier: MIT */
/*
 * A thread that runs jobs one after the other and posts each back to the loop that queued it.
 */
#ifndef CONTROL_API_JOBS_H
#define CONTROL_API_JOBS_H

#include <pthread.h>

#include "net/loop.h"

struct job {
    struct list link;
    struct message message;
    void (*run)(struct job *job);  /* on the thread */
    void (*done)(struct job *job); /* on the loop; frees the job */
};

struct jobs {
    struct loop *loop;
    pthread_t thread;
    pthread_mutex_t lock; /* protects the members below */
    pthread_cond_t more, none;
    struct list waiting;
    size_t count; /* queued or running */
    bool ending;
    bool started, ended; /* used by the loop only */
};

/* The thread starts with the first job. */
void jobs_init(struct jobs *jobs, struct loop *loop);
/* Finishes queued jobs and ends the thread. Jobs posted back still need a turn of the loop. May
 * be called twice. */
void jobs_stop(struct jobs *jobs);
/* false: no thread could be started. */
bool jobs_add(struct jobs *jobs, struct job *job);
/* Posts a job back without running it. */
void jobs_skip(struct jobs *jobs, struct job *job);
/* Waits until all jobs have run. Their `done` is still to come. */
void jobs_wait(struct jobs *jobs);
size_t jobs_count(struct jobs *jobs);

#endif
