#include "mill/team.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <unistd.h>

typedef struct member {
    void (*work)(void *context, int number);
    void *context;
    int number;
} member_t;

int cm_team_size(int wanted)
{
    if (wanted <= 0)
        wanted = (int)sysconf(_SC_NPROCESSORS_ONLN);
    return wanted < 1 ? 1 : wanted > CM_TEAM_MAX ? CM_TEAM_MAX : wanted;
}

static void *run_member(void *argument)
{
    member_t *member = argument;
    member->work(member->context, member->number);
    return NULL;
}

void cm_team_run(int count, void (*work)(void *context, int number), void *context)
{
    pthread_t threads[CM_TEAM_MAX];
    member_t members[CM_TEAM_MAX];
    bool started[CM_TEAM_MAX] = {false};

    assert(count >= 1 && count <= CM_TEAM_MAX);
    for (int i = 1; i < count; i++) {
        members[i] = (member_t){work, context, i};
        started[i] = pthread_create(&threads[i], NULL, run_member, &members[i]) == 0;
    }
    work(context, 0);
    for (int i = 1; i < count; i++) {
        if (started[i])
            pthread_join(threads[i], NULL);
        else
            work(context, i);
    }
}
