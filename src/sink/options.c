#include "sink/options.h"

const cm_option_t cm_sink_option[] = {
    {.name = "sink",
     .type = CM_OPT_CHOICE,
     .arg = "SINK",
     .def = "store",
     .choices = "store|kafka",
     .key = "sink",
     .help = "where the events go"},
    {.name = NULL},
};
