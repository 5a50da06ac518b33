/* An Elasticsearch that keeps documents and searches them: what the index on Elasticsearch asks,
 * except for moving aliases and for ranges and prefixes in a search. Any other request gets 400 and
 * a sentence. A document is visible as soon as it is written. */
#ifndef CM_TESTS_UNIT_ELASTIC_WORLD_H
#define CM_TESTS_UNIT_ELASTIC_WORLD_H

#include "http_fake.h"

#include "elastic/client.h"

#include <sqlite3.h>

typedef struct elastic_world {
    http_fake_t fake;
    sqlite3 *database;              /* the indices and their documents */
    const char *refused;            /* a document with this text is refused; NULL: none is */
    cm_elastic_settings_t settings; /* to reach it */
} elastic_world_t;

/* Must not move while it is open. */
void elastic_world_open(elastic_world_t *world);

void elastic_world_close(elastic_world_t *world);

/* Changes elastic_world_t.refused while clients are connected. */
void elastic_world_refuse(elastic_world_t *world, const char *text);

#endif
