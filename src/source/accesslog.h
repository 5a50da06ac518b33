/* Access logs of Apache and nginx: the common and the combined format.
 *
 *     common:   %h %l %u %t "%r" %>s %b
 *     combined: %h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-agent}i"
 *
 * Quotes and backslashes inside the quoted parts are escaped with a backslash; the texts stay as
 * logged. A combined line may be common (no referrer and agent), may have further columns behind
 * the agent, and may be cut inside the agent. The functions are pure: they return slices of the
 * line and keep nothing. */
#ifndef CM_SOURCE_ACCESSLOG_H
#define CM_SOURCE_ACCESSLOG_H

#include "base/err.h"
#include "base/str.h"

typedef struct cm_access {
    cm_str_t address; /* %h */
    cm_str_t user;    /* %u; empty when there is none */
    int64_t time;     /* ms since the epoch */
    cm_str_t request; /* %r as logged; "-" where the log has nothing */
    int status;
    cm_str_t referrer; /* empty when absent or "-" */
    cm_str_t agent;    /* empty when absent or "-" */
    /* The parts of a request "METHOD URL PROTOCOL"; all empty when it is something else. */
    cm_str_t method, url, protocol;
} cm_access_t;

/* Parses one line without its line end. With `common` whatever follows the size is left aside.
 * 0, or CM_EREJECT with what is not as it must be (without anything of the line's contents). */
int cm_accesslog_parse(cm_str_t line, bool common, cm_access_t *access, cm_err_t *err);

/* True for what a person looked at: a GET answered with 2xx or 304 whose URL is not an asset. */
bool cm_accesslog_is_page_view(const cm_access_t *access);

/* True when the path ends like something that a page loads by itself:
 *   styles, scripts and data of scripts   css js mjs map json wasm webmanifest
 *   images                                png apng jpg jpeg gif svg svgz webp avif ico cur bmp tif
 *                                         tiff
 *   fonts                                 woff woff2 ttf otf eot
 *   sound and film                        mp3 mp4 m4a m4v m4s webm ogg oga ogv avi mov wav flac
 *                                         aac mpg mpeg flv swf m3u8 ts vtt
 * in any case, before a query. Everything else is a page: also documents and downloads (pdf, zip,
 * txt, xml), because somebody followed a link to them. */
bool cm_accesslog_is_asset(cm_str_t url);

#endif
