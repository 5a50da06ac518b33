#include "kafka/registry_schema.h"

#include "base/clock.h"
#include "base/terminal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    TEXTS_MOST = 256, /* schemas that one refers to, all together */
    EXPIRES_MS = 10000,
    AGAIN_MS = 1000,
    WORDS = 160, /* bytes of the registry's message that a reason shows */
};

/* One text to fetch. */
struct cm_kafka_schema_text {
    char *path;   /* of the request */
    char *text;   /* NULL: not fetched yet */
    size_t *refs; /* places of the texts that it refers to */
    size_t ref_count;
    bool placed; /* already in the order of definition, or being put there */
};

typedef cm_kafka_schema_job_t job_t;

/* ---- texts ---- */

static void clear_texts(job_t *job)
{
    for (size_t i = 0; i < job->count; i++) {
        free(job->texts[i].path);
        free(job->texts[i].text);
        free(job->texts[i].refs);
    }
    free(job->texts);
    job->texts = NULL;
    job->count = job->cap = 0;
    job->id = 0;
}

/* The place of the text with this path, which becomes the job's; added when it is not there. */
static size_t add_text(job_t *job, char *path)
{
    for (size_t i = 0; i < job->count; i++) {
        if (strcmp(job->texts[i].path, path) == 0) {
            free(path);
            return i;
        }
    }
    if (job->count == job->cap) {
        job->cap = job->cap ? job->cap * 2 : 4;
        job->texts = cm_realloc(job->texts, job->cap * sizeof *job->texts);
    }
    job->texts[job->count] = (cm_kafka_schema_text_t){.path = path};
    return job->count++;
}

static void start(job_t *job, cm_kafka_fetch_t *fetch, uint32_t id)
{
    char path[64];

    cm_kafka_schema_drop(job, fetch);
    job->id = id;
    job->asked_again = false;
    snprintf(path, sizeof path, "/schemas/ids/%" PRIu32, id);
    add_text(job, cm_strdup(path));
}

void cm_kafka_schema_drop(job_t *job, cm_kafka_fetch_t *fetch)
{
    cm_kafka_fetch_drop(fetch);
    clear_texts(job);
}

/* ---- results ---- */

static int refuse(cm_kafka_schema_t *schema, bool expires, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The reason that the dead letters of this schema have. */
static int refuse(cm_kafka_schema_t *schema, bool expires, const char *format, ...)
{
    char reason[CM_ERR_TEXT];
    va_list rest;

    va_start(rest, format);
    vsnprintf(reason, sizeof reason, format, rest);
    va_end(rest);
    reason[cm_utf8_head(cm_str(reason), (int)sizeof reason - 1)] = '\0';
    schema->refused = cm_strdup(reason);
    schema->expires_ns = expires ? cm_clock_ticks_ns() + EXPIRES_MS * INT64_C(1000000) : 0;
    return 1;
}

/* Puts the texts into the order in which they define their names. Schemas cannot refer to each
 * other in a circle: each is registered after those that it refers to. */
static void place(const job_t *job, size_t at, cm_str_t *texts, size_t *count)
{
    cm_kafka_schema_text_t *one = &job->texts[at];

    if (one->placed)
        return;
    one->placed = true;
    for (size_t i = 0; i < one->ref_count; i++)
        place(job, one->refs[i], texts, count);
    texts[(*count)++] = cm_str(one->text);
}

static int prepare(const job_t *job, cm_kafka_schema_t *schema)
{
    cm_str_t *texts = cm_alloc(job->count * sizeof *texts);
    size_t count = 0;
    cm_err_t why;

    place(job, 0, texts, &count);
    int rc = cm_kafka_avro_new(texts, count, &schema->avro, &why);
    free(texts);
    return rc == 0 ? 1 : refuse(schema, false, "schema %" PRIu32 ": %s", job->id, why.text);
}

/* ---- answers ---- */

typedef struct refs_walk {
    job_t *job;
    size_t at; /* of the text whose references these are */
} refs_walk_t;

static int take_ref(void *context, cm_json_t item)
{
    const refs_walk_t *walk = context;
    cm_json_t subject, version;
    cm_str_t name;
    int64_t number;

    if (!cm_json_get(item, "subject", &subject) || !cm_json_text(subject, &name) ||
        !cm_json_get(item, "version", &version) || !cm_json_i64(version, &number))
        return 1;
    char *escaped = curl_easy_escape(NULL, name.data, (int)name.len);
    cm_buf_t path = CM_BUF_INIT;
    /* A version that was deleted afterwards is still that of the values. */
    cm_buf_printf(&path, "/subjects/%s/versions/%lld?deleted=true", escaped != NULL ? escaped : "",
                  (long long)number);
    curl_free(escaped);
    const size_t place = add_text(walk->job, path.data);
    cm_kafka_schema_text_t *one = &walk->job->texts[walk->at];
    one->refs = cm_realloc(one->refs, (one->ref_count + 1) * sizeof *one->refs);
    one->refs[one->ref_count++] = place;
    return walk->job->count > TEXTS_MOST;
}

/* The answer has a schema: keeps its text. 1: the result is known; 0: not yet; -1: this is no
 * answer of a registry. */
static int take_schema(job_t *job, size_t at, cm_json_t root, cm_kafka_schema_t *schema)
{
    cm_str_t type = CM_STR("AVRO"), text;
    refs_walk_t walk = {job, at};
    cm_json_t value;

    if (!cm_json_get(root, "schema", &value) || !cm_json_text(value, &text) || text.len == 0)
        return -1;
    if (cm_json_get(root, "schemaType", &value))
        cm_json_text(value, &type);
    if (at == 0 && cm_str_equal(type, CM_STR("JSON"))) {
        schema->is_json = true;
        return 1;
    }
    if (!cm_str_equal(type, CM_STR("AVRO")))
        return refuse(schema, false,
                      "schema %" PRIu32 " is of the kind %.*s; Avro and JSON are read", job->id,
                      cm_utf8_head(type, 40), type.data);
    job->texts[at].text = strndup(text.data, text.len);
    if (job->texts[at].text == NULL)
        cm_out_of_memory();
    if (cm_json_get(root, "references", &value) && cm_json_items(value, take_ref, &walk) != 0)
        return refuse(schema, false, "schema %" PRIu32 " has references that cannot be resolved",
                      job->id);
    return 0;
}

/* 1: asked again in a moment, because a registry of several servers may know a new id a little
 * later on one of them. Not often, so that a topic of unknown ids is not slow. */
static bool ask_again(job_t *job, cm_kafka_fetch_t *fetch)
{
    const int64_t now = cm_clock_ticks_ns();

    if (job->asked_again ||
        (job->waited_ns != 0 && now - job->waited_ns < EXPIRES_MS * INT64_C(1000000)))
        return false;
    job->asked_again = true;
    job->waited_ns = now;
    cm_kafka_fetch_later(fetch, AGAIN_MS);
    return true;
}

/* An answer that refuses, with the registry's own code: 40403 is a schema, 40401 a subject, 40402
 * a version that it does not know. */
static int take_refusal(job_t *job, size_t at, cm_json_t root, int status,
                        cm_kafka_schema_t *schema)
{
    cm_json_t value;
    int64_t code = 0;
    cm_str_t message = {"", 0};
    cm_buf_t safe = CM_BUF_INIT;

    if (!cm_json_get(root, "error_code", &value) || !cm_json_i64(value, &code) ||
        (status == 404 && (code < 40400 || code > 40499)))
        return -1;
    if (status == 404 && at == 0)
        return refuse(schema, true, "schema %" PRIu32 " is not known to the schema registry",
                      job->id);
    if (cm_json_get(root, "message", &value))
        cm_json_text(value, &message);
    cm_terminal_add(&safe, (cm_str_t){message.data, (size_t)cm_utf8_head(message, WORDS)});
    refuse(schema, true,
           "schema %" PRIu32 " cannot be read: the schema registry answers %s with "
           "%lld, %s",
           job->id, job->texts[at].path, (long long)code, safe.len > 0 ? safe.data : "");
    cm_buf_free(&safe);
    return 1;
}

static int take_answer(job_t *job, cm_kafka_fetch_t *fetch, cm_json_parser_t *parser, size_t at,
                       const cm_kafka_fetched_t *answer, cm_kafka_schema_t *schema)
{
    char reason[120];
    cm_json_t root;
    int rc = -1;

    if (cm_json_parse(parser, answer->body, &root))
        rc = answer->status == 200 ? take_schema(job, at, root, schema)
                                   : take_refusal(job, at, root, answer->status, schema);
    if (rc < 0) {
        snprintf(reason, sizeof reason,
                 "what answers is not a schema registry (status %d); check kafka.registry",
                 answer->status);
        cm_kafka_fetch_fail(fetch, reason);
        return 0;
    }
    cm_kafka_fetch_succeed(fetch);
    if (rc == 1 && answer->status == 404 && ask_again(job, fetch)) {
        free(schema->refused);
        *schema = (cm_kafka_schema_t){.id = job->id};
        return 0;
    }
    return rc;
}

int cm_kafka_schema_get(job_t *job, cm_kafka_fetch_t *fetch, cm_json_parser_t *parser, uint32_t id,
                        int wait_ms, cm_kafka_schema_t *schema, cm_err_t *err)
{
    const int64_t until = cm_clock_ticks_ns() + wait_ms * INT64_C(1000000);
    cm_kafka_fetched_t answer;
    size_t at = 0;
    int rc = 0;

    if (job->id != id)
        start(job, fetch, id);
    *schema = (cm_kafka_schema_t){.id = id};
    while (rc == 0) {
        while (at < job->count && job->texts[at].text != NULL)
            at++;
        if (at == job->count) {
            rc = prepare(job, schema);
            break;
        }
        const int64_t left_ms = (until - cm_clock_ticks_ns()) / 1000000;
        if (left_ms < 0)
            return 0;
        rc = cm_kafka_fetch(fetch, job->texts[at].path, (int)left_ms, &answer, err);
        if (rc == 1)
            rc = take_answer(job, fetch, parser, at, &answer, schema);
    }
    clear_texts(job);
    return rc;
}
