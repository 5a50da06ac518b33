/* A team: some threads that do one piece of work together. The threads live for one call. */
#ifndef CM_MILL_TEAM_H
#define CM_MILL_TEAM_H

enum { CM_TEAM_MAX = 64 };

/* How many threads to use where so many are wanted: 0 is one per processor; CM_TEAM_MAX at most. */
int cm_team_size(int wanted);

/* Calls `work` with each number below `count`, the first on this thread, the others on threads of
 * their own, and returns when all have ended. Where the system gives no thread, this thread does
 * that part afterwards. */
void cm_team_run(int count, void (*work)(void *context, int number), void *context);

#endif
