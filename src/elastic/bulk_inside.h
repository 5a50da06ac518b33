/* What the two files of the bulk share: bulk.c fills bodies, bulk_send.c sends them. One thread. */
#ifndef CM_ELASTIC_BULK_INSIDE_H
#define CM_ELASTIC_BULK_INSIDE_H

#include "elastic/body.h"
#include "elastic/bulk.h"

struct cm_elastic_bulk {
    cm_elastic_bulk_options_t options;
    cm_elastic_access_t access;
    cm_elastic_wait_t wait;
    CURLM *multi;
    z_stream gzip;
    bool has_gzip;
    cm_elastic_json_t *json, *actions; /* parser of answers; of the lines that are sent */
    cm_elastic_ids_t ids;              /* of all documents that are neither written nor refused */
    cm_elastic_body_t *bodies;         /* one more than connections: the one that is filled */
    size_t body_count;
    cm_elastic_body_t *filling;
    size_t busy;   /* bodies that are sent or wait */
    size_t limit;  /* bytes of a body, fewer than bulk_bytes after a 413 */
    bool detailed; /* something has failed: the result of each document is asked for */
    size_t quiet;  /* bytes put since the last step of the transfers */
    cm_buf_t line;
    cm_elastic_bulk_counts_t counts;
    int ended; /* the code that ended it permanently, and its message */
    cm_err_t why;
};

/* Sends the body's first documents with the next step. */
int cm_elastic_bulk_send(cm_elastic_bulk_t *bulk, cm_elastic_body_t *body, cm_err_t *err);

/* Continues the transfers without waiting: takes answers, sends what is due. */
int cm_elastic_bulk_step(cm_elastic_bulk_t *bulk, cm_err_t *err);

/* Waits until at most `busy` bodies are under way. */
int cm_elastic_bulk_wait(cm_elastic_bulk_t *bulk, size_t busy, cm_err_t *err);

#endif
