/* The clocks of pages, which may be wrong: the times of one body, set right together. Pure. */
#ifndef CM_SOURCE_HTTP_PAGE_CLOCK_H
#define CM_SOURCE_HTTP_PAGE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* Sets the times of a body right, in ms and in the order in which its events stand there; `now` is
 * the time of arrival. A clock is believed up to 5 minutes ahead of ours and a day behind. When a
 * time is beyond that, all of them are moved by as much as brings the newest one to the arrival: so
 * their order and gaps stay. Where the clock was set meanwhile (a step back of more than 5 minutes,
 * or forward of more than a day), what is before the step is moved by itself and ends 1 ms before
 * what follows. Nothing comes to lie more than 30 days back. */
void cm_page_clock_set(int64_t *times, size_t count, int64_t now);

#endif
