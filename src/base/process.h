/* Processes and threads beside us: which process it is that is in our way, and who comes first. For
 * any thread. */
#ifndef CM_BASE_PROCESS_H
#define CM_BASE_PROCESS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { CM_PROCESS_TEXT = 100 };

/* The command line of a process, cut and without what a terminal could take for something else; ""
 * when it cannot be known. */
const char *cm_process_command(long pid, char text[CM_PROCESS_TEXT]);

/* The process that listens on a TCP port of this machine, as far as we may know; 0: unknown. */
long cm_process_listening(uint16_t port);

/* From now on the calling thread leaves the processors to those that have more urgent work: `by` so
 * many steps of nice(1). It gets what they do not use; where they want all, with CM_STEP_BACK a
 * tenth, and with half of these steps a quarter. */
enum { CM_STEP_BACK = 10 };
void cm_process_step_back(int by);

/* Starts a thread that no signal comes to: they are the business of the one that starts it. False
 * where the system gives none. */
bool cm_process_start(pthread_t *thread, void *(*run)(void *context), void *context);

#endif
