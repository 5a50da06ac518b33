#include "store/options.h"

const cm_option_t cm_store_option[] = {
    {.name = "store",
     .type = CM_OPT_CHOICE,
     .arg = "STORE",
     .def = "embedded",
     .choices = "embedded|cassandra",
     .key = "store",
     .help = "where the raw events are kept"},
    {.name = NULL},
};
