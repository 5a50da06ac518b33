/* Access logs of Apache, nginx and similar servers: the common and the combined format.
 *
 *     common:   %h %l %u %t "%r" %>s %b
 *     combined: %h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-agent}i"
 *
 * accesslog_columns.h describes the other columns that may precede the time. Quotes and backslashes
 * inside the quoted parts are escaped with a backslash; the strings stay as logged. A combined line
 * may be a common one (no referrer and agent; numbers may follow), may have more columns after the
 * agent, and may be truncated inside the agent. The functions are pure, for any thread. They return
 * slices of the line, or of the cm_access_t itself, which must not be copied. */
#ifndef CM_SOURCE_FILE_ACCESSLOG_H
#define CM_SOURCE_FILE_ACCESSLOG_H

#include "base/address.h"
#include "base/err.h"

typedef struct cm_access {
    /* %h: the visitor's address in its canonical form (base/address.h). When the line has none: the
     * name of the machine as logged, or "-". */
    cm_str_t address;
    cm_str_t user;    /* %u; empty when there is none */
    cm_str_t host;    /* the virtual host as logged, with its port if it has one; empty: none */
    int64_t time;     /* ms since the epoch */
    cm_str_t request; /* %r as logged; "-" when the log has no request */
    int status;
    cm_str_t referrer; /* empty when absent or "-" */
    cm_str_t agent;    /* empty when absent or "-" */
    /* The parts of a request "METHOD URL PROTOCOL", or of "GET URL" (HTTP/0.9: no protocol); all
     * are empty when the request has another form. */
    cm_str_t method, url, protocol;
    char text[CM_ADDRESS_TEXT]; /* holds the address when the line has another form of it */
} cm_access_t;

/* Parses one line without its line end. With `common`, everything after the size is ignored. 0, or
 * CM_EREJECT with the rule that is broken (without any content of the line). */
int cm_accesslog_parse(cm_str_t line, bool common, cm_access_t *access, cm_err_t *err);

/* True for a page view: a GET answered with 2xx (but not 206, a part of a file) or 304, whose URL
 * is neither an asset nor for programs. */
bool cm_accesslog_is_page_view(const cm_access_t *access);

/* True when the path has the extension of a file that a page loads by itself:
 *   styles, scripts and data of scripts   css js mjs map json wasm webmanifest
 *   images                                png apng jpg jpeg gif svg svgz webp avif ico cur bmp tif
 *                                         tiff
 *   fonts                                 woff woff2 ttf otf eot
 *   sound and video                       mp3 mp4 m4a m4v m4s webm ogg oga ogv avi mov wav flac
 *                                         aac mpg mpeg flv swf m3u8 ts vtt
 * in upper or lower case, before a query. Documents and downloads (pdf, zip, txt) are pages,
 * because a link to them was followed. */
bool cm_accesslog_is_asset(cm_str_t url);

/* True for URLs that programs request and that users do not view: feeds and other XML (the
 * extensions xml rss atom rdf, and paths whose last part is feed or rss), sitemaps, robots.txt
 * ads.txt app-ads.txt humans.txt security.txt llms.txt llms-full.txt apple-app-site-association,
 * and everything under /.well-known/; in upper or lower case, before a query. */
bool cm_accesslog_is_for_programs(cm_str_t url);

#endif
