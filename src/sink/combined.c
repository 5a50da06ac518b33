#include "sink/combined.h"

#include "base/clock.h"
#include "base/put.h"
#include "sink/output.h"
#include "source/synthetic/synthetic.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct combined {
    cm_sink_t sink; /* first */
    cm_output_t output;
    const cm_source_t *source;
    cm_buf_t query;
    int64_t minute;  /* of the time in `prefix` */
    char prefix[32]; /* " - - [17/May/2015:10:05:", the same for a whole minute */
} combined_t;

static void format_minute(combined_t *self, int64_t minute)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char text[CM_TIME_TEXT]; /* 2015-05-17T10:05:00Z */
    int month;

    cm_time_format(minute * 60000, text);
    month = (text[5] - '0') * 10 + (text[6] - '0') - 1;
    snprintf(self->prefix, sizeof self->prefix, " - - [%.2s/%.3s/%.4s:%.2s:%.2s:", text + 8,
             months + (size_t)month * 3, text, text + 11, text + 14);
    self->minute = minute;
}

enum { PREFIX = 24 }; /* bytes of it */

/* The URL without its scheme and host, as a server sees it. */
static cm_str_t path_of(cm_str_t url)
{
    const char *host = memchr(url.data, ':', url.len);
    if (host == NULL || (size_t)(host - url.data) + 3 > url.len || memcmp(host, "://", 3) != 0)
        return url;
    host += 3;
    const char *path = memchr(host, '/', url.len - (size_t)(host - url.data));
    if (path == NULL)
        return CM_STR("/");
    return (cm_str_t){path, url.len - (size_t)(path - url.data)};
}

/* The parameters of the URL that name its campaign, of which no value needs an escape. */
static cm_str_t query_of(combined_t *self, const cm_event_extra_t *extra)
{
    char before = '?';

    cm_buf_clear(&self->query);
    for (int i = CM_EXTRA_UTM_SOURCE; extra != NULL && i <= CM_EXTRA_UTM_CONTENT; i++) {
        if (extra->text[i].len == 0)
            continue;
        cm_buf_printf(&self->query, "%c%s=%.*s", before, cm_extra_names[i], (int)extra->text[i].len,
                      extra->text[i].data);
        before = '&';
    }
    return (cm_str_t){self->query.data, self->query.len};
}

static cm_str_t referrer_of(const cm_event_extra_t *extra)
{
    const cm_str_t referrer = extra != NULL ? extra->text[CM_EXTRA_REFERRER] : CM_STR("");

    return referrer.len > 0 ? referrer : CM_STR("-");
}

/* All the space is reserved at once and each byte is written once. With the address formatted by
 * cm_population_address() this is 2.8 times as fast as appending the pieces to the buffer. */
static void add_line(combined_t *self, const cm_event_t *event, size_t i)
{
    enum { FRAME = 160 }; /* dashes, time, "GET", status, size: 80 bytes and some */
    char scratch[CM_POPULATION_ADDRESS_MAX];
    cm_buf_t *buf = &self->output.buf;
    int64_t second = event->timestamp / 1000;
    cm_str_t path = path_of(event->url), agent = cm_synthetic_user_agent(self->source, i);
    cm_str_t address = cm_synthetic_address(self->source, i, scratch);
    cm_str_t query = query_of(self, event->extra), referrer = referrer_of(event->extra);

    if (second / 60 != self->minute)
        format_minute(self, second / 60);
    cm_buf_reserve(buf, FRAME + address.len + path.len + query.len + referrer.len + agent.len);
    char *at = cm_put_str(buf->data + buf->len, address);
    at = cm_put_str(at, (cm_str_t){self->prefix, PREFIX});
    at = cm_put_2_digits(at, (unsigned)(second % 60));
    at = cm_put_str(CM_PUT(at, " +0000] \"GET "), path);
    at = cm_put_str(at, query);
    at = cm_put_u64(CM_PUT(at, " HTTP/1.1\" 200 "), 1000 + path.len * 37);
    at = cm_put_str(CM_PUT(at, " \""), referrer);
    at = cm_put_str(CM_PUT(at, "\" \""), agent);
    at = CM_PUT(at, "\"\n");
    *at = '\0';
    buf->len = (size_t)(at - buf->data);
}

static int combined_put(cm_sink_t *sink, const cm_batch_t *batch, cm_err_t *err)
{
    combined_t *self = (combined_t *)sink;
    for (size_t i = 0; i < batch->count; i++)
        add_line(self, &batch->events[i], i);
    return cm_output_flush_large(&self->output, err);
}

static int combined_commit(cm_sink_t *sink, cm_err_t *err)
{
    return cm_output_sync(&((combined_t *)sink)->output, err);
}

static void combined_close(cm_sink_t *sink)
{
    combined_t *self = (combined_t *)sink;
    cm_output_close(&self->output);
    cm_buf_free(&self->query);
    free(self);
}

int cm_combined_open(const char *path, const cm_source_t *source, cm_sink_t **sink, cm_err_t *err)
{
    static const cm_sink_ops_t ops = {combined_put, combined_commit, combined_close, NULL};
    cm_output_t output;

    int rc = cm_output_open(&output, path, err);
    if (rc < 0)
        return rc;
    combined_t *self = cm_alloc_zero(1, sizeof *self);
    self->sink.ops = &ops;
    self->output = output;
    self->source = source;
    self->minute = -1;
    *sink = &self->sink;
    return 0;
}
