/* A program that is run for us: its files in a directory of its own, its lines, its end.
 *
 * It runs in a process group of its own, which is ended as a whole when we shall stop, and it ends
 * with us. One thread. */
#ifndef CM_PIPELINE_SPARK_CHILD_H
#define CM_PIPELINE_SPARK_CHILD_H

#include "base/err.h"
#include "base/str.h"

#include <stdatomic.h>
#include <sys/types.h>

enum { CM_CHILD_ARGUMENTS = 128 };

typedef struct cm_child {
    char directory[300]; /* only the user can read it; it goes with cm_child_close() */
    char *arguments[CM_CHILD_ARGUMENTS + 1];
    int argument_count;
    pid_t pid;
    int log;       /* of its messages, and of its output: spark-submit mixes the two */
    cm_buf_t line; /* of its output, so far */
} cm_child_t;

/* Makes the directory. CM_EIO. */
int cm_child_open(cm_child_t *child, cm_err_t *err);

/* Appends an argument; the first is the program. */
void cm_child_argument(cm_child_t *child, const char *text);

/* Writes a file into the directory, and appends its path as an argument. CM_EIO. */
int cm_child_file(cm_child_t *child, const char *name, cm_str_t contents, cm_err_t *err);

/* Removes a file that it has read. */
void cm_child_remove(const cm_child_t *child, const char *name);

/* Runs it to its end and gives each line of its output to `take`. CM_EIO with its last words when
 * it fails; CM_ESTOP, when it has ended, after `stop` became true. */
int cm_child_run(cm_child_t *child, const atomic_bool *stop,
                 void (*take)(void *context, cm_str_t line), void *context, cm_err_t *err);

void cm_child_close(cm_child_t *child);

#endif
