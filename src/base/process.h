/* Processes and threads beside us: which process it is that is in our way, and who comes first. For
 * any thread. */
#ifndef CM_BASE_PROCESS_H
#define CM_BASE_PROCESS_H

#include <stdint.h>

enum { CM_PROCESS_TEXT = 100 };

/* The command line of a process, cut and without what a terminal could take for something else; ""
 * when it cannot be known. */
const char *cm_process_command(long pid, char text[CM_PROCESS_TEXT]);

/* The process that listens on a TCP port of this machine, as far as we may know; 0: unknown. */
long cm_process_listening(uint16_t port);

/* From now on the calling thread leaves the processors to those that have more urgent work; it
 * gets what they do not use, and a tenth where they want all. */
void cm_process_step_back(void);

#endif
