/* SPDX-License-Identifier: MIT */
/*
 * A thread that does jobs one after the other, and posts each back to the loop that ordered it.
 */
#ifndef CONTROL_CHANGE_JOBS_H
#define CONTROL_CHANGE_JOBS_H

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
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t more, none;
    struct list waiting;
    size_t count; /* waiting, and the running one */
    bool ending;
    bool started, ended; /* the loop's */
};

/* The thread starts with the first job. */
void jobs_init(struct jobs *jobs, struct loop *loop);
/* After what waits. What has been posted back is the loop's, which must have a turn left for it. Nothing when
 * it has stopped already. */
void jobs_stop(struct jobs *jobs);
/* false: the system gives no thread. */
bool jobs_add(struct jobs *jobs, struct job *job);
/* One that is not to run: it comes back on the next turn, as if it had. */
void jobs_skip(struct jobs *jobs, struct job *job);
/* Until none is left. What they have posted back is still to come. */
void jobs_wait(struct jobs *jobs);
size_t jobs_count(struct jobs *jobs);

#endif
