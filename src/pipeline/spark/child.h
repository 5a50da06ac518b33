/* A child process: its files lie in a directory of its own, its output is read line by line.
 *
 * It runs in a process group of its own, which is ended as a whole when this process must stop, and
 * it gets SIGTERM when this process dies. One thread. */
#ifndef CM_PIPELINE_SPARK_CHILD_H
#define CM_PIPELINE_SPARK_CHILD_H

#include "base/err.h"
#include "base/str.h"

#include <stdatomic.h>
#include <sys/types.h>

enum { CM_CHILD_ARGUMENTS = 128 };

typedef struct cm_child {
    char directory[300]; /* only the user can read it; deleted by cm_child_close() */
    char *arguments[CM_CHILD_ARGUMENTS + 1];
    int argument_count;
    pid_t pid;
    int log;       /* a file of its messages and its output: spark-submit mixes the two */
    cm_buf_t line; /* the part of an output line that has been read so far */
} cm_child_t;

/* Creates the directory. CM_EIO. */
int cm_child_open(cm_child_t *child, cm_err_t *err);

/* Appends an argument; the first is the program. */
void cm_child_argument(cm_child_t *child, const char *text);

/* Appends text to the last argument. */
void cm_child_extend(cm_child_t *child, const char *text);

/* Writes a file into the directory, and appends its path as an argument. CM_EIO. */
int cm_child_file(cm_child_t *child, const char *name, cm_str_t contents, cm_err_t *err);

/* Removes a file from the directory, after the child has read it. */
void cm_child_remove(const cm_child_t *child, const char *name);

/* Runs the child to its end and passes each line of its output to `take`. CM_EIO when it fails,
 * with the most informative line of its log; CM_ESTOP when `stop` became true: then it has been
 * ended. */
int cm_child_run(cm_child_t *child, const atomic_bool *stop,
                 void (*take)(void *context, cm_str_t line), void *context, cm_err_t *err);

/* Deletes the directory with all its files. */
void cm_child_close(cm_child_t *child);

#endif
