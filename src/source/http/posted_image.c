#include "source/http/posted_image.h"

int cm_posted_image_read(const cm_posted_image_t *image, cm_arena_t *arena, cm_event_t *event,
                         cm_err_t *err)
{
    cm_event_extra_t extra = CM_EVENT_EXTRA_NONE;

    *event = (cm_event_t){.url = image->url, .user_id = image->user_id};
    extra.text[CM_EXTRA_NAME] = image->name;
    int rc =
        cm_props_make(image->props, image->prop_count, arena, &extra.text[CM_EXTRA_PROPS], err);
    if (rc == 0)
        event->extra = cm_event_extra_keep(&extra, arena);
    return rc;
}
