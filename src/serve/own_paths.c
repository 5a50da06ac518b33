#include "serve/own_paths.h"

#include "serve/routes.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

enum {
    PATH_MAX_BYTES = 200,
    TAG_BYTES = 48,
    GZIP_LEVEL = 9,
    GZIP_WINDOW = 15 + 16, /* 16: with the head of gzip */
    GZIP_MEMORY = 8,
};

struct cm_own_paths {
    const char *script, *events;
    cm_asset_t tracker;
    cm_buf_t plain, gzip; /* of a tracker that sends to another path; else empty */
    char plain_tag[TAG_BYTES], gzip_tag[TAG_BYTES];
};

/* ---- checking ---- */

/* Characters of a path that no part of a URL, of JSON or of HTML gives another meaning. */
static bool is_path(const char *text)
{
    if (text[0] != '/' || strlen(text) > PATH_MAX_BYTES || strstr(text, "//") != NULL ||
        strstr(text, "/.") != NULL)
        return false;
    for (const char *at = text; *at != '\0'; at++) {
        const bool letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z');
        if (!letter && !(*at >= '0' && *at <= '9') && strchr("/-._~", *at) == NULL)
            return false;
    }
    return true;
}

static int check(const char *key, const char *path, const char *standard, cm_err_t *err)
{
    if (strcmp(path, standard) == 0)
        return 0;
    if (!is_path(path))
        return cm_fail(err, CM_EUSAGE,
                       "%s: \"%.100s\" is not a path; give one such as /js/site.js, with letters, "
                       "digits and / - . _ ~, at most 200 bytes",
                       key, path);
    if (cm_route_is_taken(path))
        return cm_fail(err, CM_EUSAGE, "%s: the server answers %s already; give another path", key,
                       path);
    return 0;
}

/* ---- the tracker ---- */

static void compress_plain(cm_own_paths_t *paths)
{
    z_stream stream = {.next_in = (Bytef *)paths->plain.data, .avail_in = (uInt)paths->plain.len};

    int rc =
        deflateInit2(&stream, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY, Z_DEFAULT_STRATEGY);
    assert(rc == Z_OK);
    cm_buf_reserve(&paths->gzip, deflateBound(&stream, stream.avail_in));
    stream.next_out = (Bytef *)paths->gzip.data;
    stream.avail_out = (uInt)paths->gzip.cap;
    rc = deflate(&stream, Z_FINISH);
    assert(rc == Z_STREAM_END);
    (void)rc;
    paths->gzip.len = stream.total_out;
    deflateEnd(&stream);
}

/* A tag of its own for each path: a browser may have the tracker of another setting. */
static cm_asset_body_t body_of(const cm_buf_t *bytes, const char *of, const char *path, char *tag)
{
    const uLong sum = crc32(0, (const Bytef *)path, (uInt)strlen(path));

    snprintf(tag, TAG_BYTES, "%.*s-%08lx\"", (int)strlen(of) - 1, of, sum);
    return (cm_asset_body_t){(const unsigned char *)bytes->data, bytes->len, tag};
}

/* The tracker of the build, with another path instead of the standard one. */
static void make_tracker(cm_own_paths_t *paths)
{
    static const char standard[] = "\"" CM_OWN_PATHS_EVENTS "\"";
    const cm_asset_t *built = cm_asset_find(CM_OWN_PATHS_SCRIPT);
    const cm_asset_body_t *plain = &built->plain;

    paths->tracker = *built;
    if (strcmp(paths->events, CM_OWN_PATHS_EVENTS) == 0)
        return;
    const unsigned char *at = memmem(plain->data, plain->len, standard, sizeof standard - 1);
    assert(at != NULL);
    const size_t before = (size_t)(at - plain->data), after = before + sizeof standard - 1;
    cm_buf_add(&paths->plain, plain->data, before);
    cm_buf_add_json(&paths->plain, cm_str(paths->events));
    cm_buf_add(&paths->plain, plain->data + after, plain->len - after);
    compress_plain(paths);
    paths->tracker.plain =
        body_of(&paths->plain, built->plain.tag, paths->events, paths->plain_tag);
    paths->tracker.gzip = body_of(&paths->gzip, built->gzip.tag, paths->events, paths->gzip_tag);
}

/* ---- public ---- */

int cm_own_paths_new(const char *script, const char *events, cm_own_paths_t **out, cm_err_t *err)
{
    script = script != NULL ? script : CM_OWN_PATHS_SCRIPT;
    events = events != NULL ? events : CM_OWN_PATHS_EVENTS;
    int rc = check("collect.script", script, CM_OWN_PATHS_SCRIPT, err);
    if (rc == 0)
        rc = check("collect.path", events, CM_OWN_PATHS_EVENTS, err);
    if (rc == 0 && strcmp(script, events) == 0)
        rc = cm_fail(err, CM_EUSAGE,
                     "collect.script and collect.path are both %s; give two different paths",
                     script);
    if (rc < 0)
        return rc;
    cm_own_paths_t *paths = cm_alloc_zero(1, sizeof *paths);
    paths->script = script;
    paths->events = events;
    make_tracker(paths);
    *out = paths;
    return 0;
}

void cm_own_paths_free(cm_own_paths_t *paths)
{
    if (paths == NULL)
        return;
    cm_buf_free(&paths->plain);
    cm_buf_free(&paths->gzip);
    free(paths);
}

const char *cm_own_paths_standard(const cm_own_paths_t *paths, const char *path)
{
    if (strcmp(path, paths->script) == 0)
        return CM_OWN_PATHS_SCRIPT;
    return strcmp(path, paths->events) == 0 ? CM_OWN_PATHS_EVENTS : path;
}

const cm_asset_t *cm_own_paths_tracker(const cm_own_paths_t *paths)
{
    return &paths->tracker;
}

void cm_own_paths_add_json(const cm_own_paths_t *paths, cm_buf_t *json)
{
    cm_buf_add_text(json, "{\"script\":");
    cm_buf_add_json(json, cm_str(paths->script));
    cm_buf_add_text(json, ",\"events\":");
    cm_buf_add_json(json, cm_str(paths->events));
    cm_buf_add_char(json, '}');
}
