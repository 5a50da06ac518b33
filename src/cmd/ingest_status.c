/* What `ingest` says while it runs, and in the end. */
#include "cmd/ingest.h"

enum {
    LINE_MS = 5000, /* between status lines where there is no terminal */
    TERMINAL_MS = 500,
    PARTITIONS = 1024, /* a consumer has fewer; the lag of more is not counted */
    NAMED = 6,         /* partitions whose lag the line names, the largest */
};

void cm_ingest_start_status(cm_ingest_t *self)
{
    cm_buf_t place = CM_BUF_INIT;

    self->started_ns = self->shown_ns = cm_clock_ticks_ns();
    fprintf(self->app->messages, "ingesting topic %s at %s as group %s into ", self->settings.topic,
            self->settings.brokers, self->settings.group);
    cm_store_describe(&self->store_settings, &place);
    fprintf(self->app->messages, "%s\n", place.data);
    cm_buf_free(&place);
}

/* Attempts of all kinds that failed. */
static uint64_t retries_of(const cm_ingest_t *self)
{
    return self->retries + (self->store != NULL ? cm_store_retries(self->store) : 0);
}

/* A partition that was only just taken, or whose broker does not tell. */
static bool is_unknown(const cm_source_kafka_lag_t *lag)
{
    return lag->position < 0 || lag->end < 0;
}

static int64_t lag_of(const cm_source_kafka_lag_t *lag)
{
    return !is_unknown(lag) && lag->end > lag->position ? lag->end - lag->position : 0;
}

/* Moves the largest lag behind `from` to its place. */
static void select_largest(cm_source_kafka_lag_t *lags, size_t count, size_t from)
{
    size_t largest = from;

    for (size_t i = from; i < count; i++) {
        if (lag_of(&lags[i]) > lag_of(&lags[largest]))
            largest = i;
    }
    cm_source_kafka_lag_t moved = lags[from];
    lags[from] = lags[largest];
    lags[largest] = moved;
}

void cm_ingest_add_lag(cm_buf_t *line, cm_source_kafka_lag_t *lags, size_t count)
{
    int64_t sum = 0;
    size_t unknown = 0;

    for (size_t i = 0; i < count; i++) {
        sum += lag_of(&lags[i]);
        unknown += is_unknown(&lags[i]);
    }
    if (count == 0)
        cm_buf_add_text(line, ", no partitions");
    else
        cm_buf_printf(line, ", %zu partitions", count);
    if (unknown == count) {
        cm_buf_add_text(line, ", lag unknown");
        return;
    }
    cm_buf_add_text(line, ", lag ");
    cm_buf_add_grouped(line, sum);
    for (size_t i = 0; i < count && i < NAMED; i++) {
        select_largest(lags, count, i);
        if (lag_of(&lags[i]) == 0)
            break;
        cm_buf_printf(line, "%s%d: ", i == 0 ? " (" : ", ", (int)lags[i].partition);
        cm_buf_add_grouped(line, lag_of(&lags[i]));
        if (i + 1 == count || i + 1 == NAMED)
            cm_buf_add_text(line, i + 1 < count ? ", ...)" : ")");
    }
    /* The list ends early where no lag is left. */
    if (sum > 0 && line->data[line->len - 1] != ')')
        cm_buf_add_char(line, ')');
    if (unknown > 0)
        cm_buf_printf(line, ", unknown of %zu", unknown);
}

static void add_lag(cm_buf_t *line, const cm_source_t *source)
{
    cm_source_kafka_lag_t lags[PARTITIONS];
    size_t count = cm_source_kafka_lags(source, lags, PARTITIONS);

    cm_ingest_add_lag(line, lags, count < PARTITIONS ? count : PARTITIONS);
}

void cm_ingest_add_reading(cm_buf_t *line, const cm_source_t *source, uint64_t read,
                           uint64_t lately, double seconds)
{
    cm_buf_add_grouped(line, (int64_t)read);
    cm_buf_add_text(line, " messages, ");
    cm_buf_add_grouped(line, (int64_t)((double)lately / seconds + 0.5));
    cm_buf_add_text(line, "/s");
    add_lag(line, source);
}

void cm_ingest_show_status(cm_ingest_t *self)
{
    const cm_account_t *done = &self->pipeline.account, *more = &self->pipeline.uncommitted;
    int64_t now = cm_clock_ticks_ns();
    cm_buf_t line = CM_BUF_INIT;

    if (self->source == NULL || self->started_ns == 0 ||
        now - self->shown_ns < (self->app->terminal ? TERMINAL_MS : LINE_MS) * INT64_C(1000000))
        return;
    uint64_t read = done->read + more->read;
    cm_ingest_add_reading(&line, self->source, read, read - self->shown_read,
                          (double)(now - self->shown_ns) / 1e9);
    cm_buf_printf(&line, ", %llu dead letters, %llu retries",
                  (unsigned long long)(done->rejected + more->rejected),
                  (unsigned long long)retries_of(self));
    if (self->waiting_for != NULL)
        cm_buf_printf(&line, "; waiting for %s: %s", self->waiting_for, self->waiting_reason);
    cm_progress_tell(self->app->messages, self->app->terminal, &line);
    cm_buf_free(&line);
    self->shown_ns = now;
    self->shown_read = read;
}

static void add_json(cm_buf_t *json, const cm_ingest_t *self, double seconds)
{
    cm_source_kafka_lag_t lags[PARTITIONS];
    size_t count = cm_source_kafka_lags(self->source, lags, PARTITIONS);

    cm_buf_add_char(json, '{');
    cm_accounts_add_json(json, &self->pipeline.account);
    cm_buf_printf(json, ",\"seconds\":%.3f,\"retries\":%llu,\"topic\":", seconds,
                  (unsigned long long)retries_of(self));
    cm_buf_add_json(json, cm_str(self->settings.topic));
    cm_buf_add_text(json, ",\"group\":");
    cm_buf_add_json(json, cm_str(self->settings.group));
    cm_buf_add_text(json, ",\"partitions\":[");
    for (size_t i = 0; i < count && i < PARTITIONS; i++) {
        cm_buf_printf(
            json, "%s{\"partition\":%d,\"position\":%lld,\"end\":%lld,\"lag\":", i > 0 ? "," : "",
            (int)lags[i].partition, (long long)lags[i].position, (long long)lags[i].end);
        if (is_unknown(&lags[i]))
            cm_buf_add_text(json, "null}");
        else
            cm_buf_printf(json, "%lld}", (long long)lag_of(&lags[i]));
    }
    cm_buf_add_text(json, "]}\n");
}

void cm_ingest_print_account(cm_ingest_t *self)
{
    cm_app_t *app = self->app;
    double seconds = (double)(cm_clock_ticks_ns() - self->started_ns) / 1e9;
    cm_buf_t text = CM_BUF_INIT;

    if (app->terminal)
        cm_progress_line(app->messages, (cm_str_t){"", 0});
    if (app->global.json) {
        add_json(&text, self, seconds);
        fputs(text.data, app->out);
    } else {
        cm_app_print_account_as(app, &self->pipeline.account, app->out,
                                self->dead != NULL ? "clickmill dead list --from kafka"
                                                   : "clickmill dead list");
        cm_buf_printf(&text, "%.1f s", seconds);
        add_lag(&text, self->source);
        fprintf(app->messages, "%s, %llu retries\n", text.data,
                (unsigned long long)retries_of(self));
    }
    cm_buf_free(&text);
}
