/* Corrects the times that pages give to events, because the clocks of visitors may be wrong: the
 * times of one body together. It changes only the times that it is given. For any thread. */
#ifndef CM_SOURCE_HTTP_PAGE_CLOCK_H
#define CM_SOURCE_HTTP_PAGE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* Corrects the times of a body, in ms and in the order of its events; `now` is the time of arrival.
 * A clock is accepted when it is at most 5 minutes ahead of ours and at most a day behind. When a
 * time is outside of that, all times are moved so that the newest one becomes the time of arrival:
 * their order and gaps stay. When the clock was set in between (a step back of more than 5 minutes,
 * or forward of more than a day), the times before the step are moved separately and end 1 ms
 * before the time after it. No time becomes more than 30 days old. */
void cm_page_clock_set(int64_t *times, size_t count, int64_t now);

#endif
