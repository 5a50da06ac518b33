#include "index/options.h"

const cm_option_t cm_index_option[] = {
    {.name = "index",
     .type = CM_OPT_CHOICE,
     .arg = "INDEX",
     .def = "embedded",
     .choices = "embedded|elasticsearch",
     .key = "index",
     .help = "where the answers are kept"},
    {.name = NULL},
};
