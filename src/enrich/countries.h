/* Names of countries, for databases that only know their codes. */
#ifndef CM_ENRICH_COUNTRIES_H
#define CM_ENRICH_COUNTRIES_H

#include "base/str.h"

/* The short English name of an ISO 3166-1 code of two letters, in either case, and of XK, which
 * everybody uses for Kosovo; empty when there is none. A constant. */
cm_str_t cm_country_name(cm_str_t code);

#endif
