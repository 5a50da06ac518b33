/* Options for reading files, shared by `import` and `dead replay`. Constants, for any thread. */
#ifndef CM_SOURCE_FILE_OPTIONS_H
#define CM_SOURCE_FILE_OPTIONS_H

#include "enrich/options.h"
#include "event/map.h"
#include "event/timestamp_options.h"
#include "source/file/file.h"
#include "source/visitor.h"

typedef struct cm_file_given {
    int format; /* cm_file_format_t */
    bool all;
    const char *site;
    cm_timestamp_options_t times;
    cm_option_map_t map; /* for cm_event_map_new() */
    cm_enrich_settings_t enrich;
} cm_file_given_t;

/* For a cm_file_given_t. */
extern const cm_option_t cm_file_option_rows[];

#endif
