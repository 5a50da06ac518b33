/* The files of the dashboard and of the other pages, which scripts/embed.py turns into C at
 * build time.
 *
 * Constant data of the program; any thread may use it. */
#ifndef CM_SERVE_ASSETS_H
#define CM_SERVE_ASSETS_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>

/* One representation of a file: as it is, or compressed. */
typedef struct cm_asset_body {
    const unsigned char *data;
    size_t len;
    const char *tag; /* the entity tag, in quotes: a hash of the contents */
} cm_asset_body_t;

typedef struct cm_asset {
    const char *path; /* of the request; the dashboard is "/" */
    const char *type;
    cm_asset_body_t plain, gzip;
    bool public; /* pages of other sites may load it */
} cm_asset_t;

extern const cm_asset_t cm_assets[];
extern const size_t cm_asset_count;

/* The file of a request path, or NULL. */
const cm_asset_t *cm_asset_find(const char *path);

/* Replies with the file, compressed where the client takes that, or with 304. */
enum MHD_Result cm_asset_reply(struct MHD_Connection *connection, const cm_asset_t *asset);

#endif
