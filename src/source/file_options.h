/* Options that say how files are read, shared by `import` and `dead replay`. */
#ifndef CM_SOURCE_FILE_OPTIONS_H
#define CM_SOURCE_FILE_OPTIONS_H

#include "enrich/enriching.h"
#include "event/times_options.h"
#include "source/file.h"
#include "source/visitor.h"

typedef struct cm_import_options {
    int format; /* cm_file_format_t */
    bool all;
    const char *site;
    cm_times_given_t times;
    cm_enrich_given_t enrich;
} cm_import_options_t;

/* The rows of an option table for a cm_import_options_t that is the member `m` of struct `s`. */
#define CM_IMPORT_ROWS(s, m)                                                                       \
    {.name = "format",                                                                             \
     .letter = 'f',                                                                                \
     .type = CM_OPT_CHOICE,                                                                        \
     .offset = offsetof(s, m.format),                                                              \
     .arg = "FORMAT",                                                                              \
     .def = "auto",                                                                                \
     .choices = "auto|jsonl|csv|combined|common|json",                                             \
     .key = "import.format",                                                                       \
     .help = "auto looks at the first lines"},                                                     \
        {.name = "all",                                                                            \
         .type = CM_OPT_FLAG,                                                                      \
         .offset = offsetof(s, m.all),                                                             \
         .key = "import.all",                                                                      \
         .help = "access logs: take every well-formed line, not only page views"},                 \
        CM_TIMES_ROWS(s, m.times, "import"), CM_ENRICH_ROWS(s, m.enrich),                          \
    {                                                                                              \
        .name = "site", .type = CM_OPT_TEXT, .offset = offsetof(s, m.site), .arg = "https://HOST", \
        .key = "import.site",                                                                      \
        .help = "access logs: put this before the logged path; without a scheme it is https"       \
    }

#endif
