/* Names of countries, for databases that have only the codes. A pure function, for any thread. */
#ifndef CM_ENRICH_COUNTRIES_H
#define CM_ENRICH_COUNTRIES_H

#include "base/str.h"

/* The short English name of an ISO 3166-1 code of two letters, in either case; also of XK, the
 * usual code of Kosovo. Empty when there is none. A constant. */
cm_str_t cm_country_name(cm_str_t code);

#endif
