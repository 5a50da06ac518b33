/* What the address of an image says about the event of the page that shows it.
 *
 * The strings are the caller's, and the event points to them. Any thread. */
#ifndef CM_SOURCE_HTTP_POSTED_IMAGE_H
#define CM_SOURCE_HTTP_POSTED_IMAGE_H

#include "event/event.h"
#include "event/props.h"

/* All but `url` may be empty; the props are in any order. */
typedef struct cm_posted_image {
    cm_str_t url, user_id, name;
    cm_prop_t *props;
    size_t prop_count;
} cm_posted_image_t;

/* Makes the event, whose optional fields are in `arena`. The props are sorted in place. 0, or
 * CM_EREJECT when they break a rule; the other fields are not checked. */
int cm_posted_image_read(const cm_posted_image_t *image, cm_arena_t *arena, cm_event_t *event,
                         cm_err_t *err);

#endif
