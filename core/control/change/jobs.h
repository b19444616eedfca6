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
    pthread_cond_t more;
    struct list waiting;
    size_t count; /* waiting, and the running one */
    bool ending, ended;
};

/* false: the system gives no thread. */
bool jobs_start(struct jobs *jobs, struct loop *loop);
/* After what waits. What has been posted back is the loop's, which must have a turn left for it. Nothing when
 * it has stopped already. */
void jobs_stop(struct jobs *jobs);
void jobs_add(struct jobs *jobs, struct job *job);
size_t jobs_count(struct jobs *jobs);

#endif
