/* Other processes and the priority of threads: which process uses a port, and which thread must
 * wait for others. For any thread. */
#ifndef CM_BASE_PROCESS_H
#define CM_BASE_PROCESS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { CM_PROCESS_TEXT = 100 };

/* The command line of a process, cut, and without characters that control a terminal; "" when it is
 * not known. */
const char *cm_process_command(long pid, char text[CM_PROCESS_TEXT]);

/* The process that listens on a TCP port of this machine; 0 when it is not known, because this user
 * may not see it. */
long cm_process_listening(uint16_t port);

/* From now on the calling thread has a lower priority, by `by` steps of nice(1): threads with more
 * urgent work go first. It gets the time that they do not use. If they could use all of it, it
 * still gets a tenth with CM_LOWER_PRIORITY, and a quarter with half of these steps. */
enum { CM_LOWER_PRIORITY = 10 };
void cm_process_lower_priority(int by);

/* Starts a thread that receives no signals; the thread that starts it handles them. False when the
 * system gives no thread. */
bool cm_process_start(pthread_t *thread, void *(*run)(void *context), void *context);

#endif
