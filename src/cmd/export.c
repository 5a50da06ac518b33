/* clickmill export: raw events, each once; of the embedded store in the order of arrival. */
#include "base/bitmap.h"
#include "base/progress.h"
#include "cmd/app.h"
#include "cmd/commands.h"
#include "mill/mill.h"
#include "store/event_at.h"

#include <stdlib.h>

typedef struct export_options {
    int format;
    bool safe;
    cm_store_options_t store;
} export_options_t;

/* The choices of --format. */
enum { FORMAT_JSONL, FORMAT_CSV };

/* How events are written. */
typedef struct writing {
    bool json;
    cm_event_csv_t csv;
} writing_t;

enum { FLUSH_BYTES = 1 << 20 };

static const cm_option_t options[] = {
    {.name = "format",
     .type = CM_OPT_CHOICE,
     .offset = offsetof(export_options_t, format),
     .arg = "FORMAT",
     .def = "jsonl",
     .choices = "jsonl|csv",
     .help = "one JSON object a line, or CSV with a header"},
    {.name = "safe",
     .type = CM_OPT_FLAG,
     .offset = offsetof(export_options_t, safe),
     .help = "with --format csv: a ' before a text that a spreadsheet would take for a formula"},
    {.name = "store",
     .type = CM_OPT_ROWS,
     .offset = offsetof(export_options_t, store),
     .rows = cm_store_option},
    {.name = "servers",
     .type = CM_OPT_ROWS,
     .offset = offsetof(export_options_t, store),
     .rows = cm_store_server_option_rows},
    {.name = NULL},
};

static int add_event(cm_app_t *app, writing_t writing, const cm_event_t *event, cm_buf_t *buf)
{
    if (!writing.json) {
        cm_event_add_csv(buf, event, writing.csv);
    } else {
        cm_event_add_json(buf, event);
        cm_buf_add_char(buf, '\n');
    }
    return buf->len >= FLUSH_BYTES ? cm_app_write(app, buf) : 0;
}

/* ---- in the order of arrival ---- */

static int export_block(cm_app_t *app, cm_reader_t *reader, const cm_columns_t *columns,
                        const uint8_t *copies, int64_t end_ordinal, writing_t writing,
                        cm_buf_t *buf)
{
    cm_store_room_t room;
    cm_event_t event;

    for (uint32_t row = 0; row < columns->count && columns->first + row < end_ordinal; row++) {
        int64_t ordinal = columns->first + row;
        if (cm_bitmap_get(copies, (size_t)ordinal))
            continue;
        int rc = cm_store_event_at(reader, columns, row, &event, &room, &app->err);
        if (rc == 0)
            rc = add_event(app, writing, &event, buf);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int export_events(cm_app_t *app, cm_reader_t *reader, const uint8_t *copies,
                         int64_t end_ordinal, writing_t writing)
{
    const cm_block_ref_t *blocks;
    cm_columns_t columns = {0};
    cm_progress_t progress;
    cm_buf_t buf = CM_BUF_INIT;
    size_t count;

    cm_progress_start(&progress, app->terminal ? app->messages : NULL, app->terminal, "exporting",
                      "events");
    int rc = cm_reader_blocks(reader, &blocks, &count, &app->err);
    for (size_t b = 0; rc == 0 && b < count; b++)
        writing.csv.extra |= blocks[b].has_extra;
    if (!writing.json)
        cm_event_add_csv_header(&buf, writing.csv);
    for (size_t b = 0; rc == 0 && b < count && blocks[b].first < end_ordinal; b++) {
        if (atomic_load(app->stop)) {
            rc = cm_fail(&app->err, CM_EIO, "stopped before all events were written");
            break;
        }
        rc = cm_reader_read(reader, &blocks[b], CM_READ_ALL, &columns, &app->err);
        if (rc == 0)
            rc = export_block(app, reader, &columns, copies, end_ordinal, writing, &buf);
        cm_progress_show(&progress, (double)blocks[b].first / (double)end_ordinal,
                         (uint64_t)blocks[b].first);
    }
    cm_progress_end(&progress);
    if (rc == 0)
        rc = cm_app_write(app, &buf);
    cm_columns_free(&columns);
    cm_buf_free(&buf);
    return rc;
}

/* Row keys may be in the store more than once: the mill finds which events are copies. */
static int export_in_order(cm_app_t *app, cm_store_t *store, writing_t writing)
{
    /* One thread: a second reader could see the blocks differently, beside a writer that merges. */
    const cm_mill_options_t mill = {
        .memory = app->global.memory, .threads = 1, .reader = cm_store_reader_of, .context = store};
    cm_reader_t *reader = NULL;
    uint8_t *copies = NULL;
    int64_t end_ordinal = 0;

    /* The reader comes second, so that it sees at least the events among which copies were found.
     */
    int rc = cm_mill_copies(&mill, &copies, &end_ordinal, &app->err);
    if (rc == 0)
        rc = cm_store_reader(store, &reader, &app->err);
    if (rc == 0)
        rc = export_events(app, reader, copies, end_ordinal, writing);
    cm_reader_close(reader);
    free(copies);
    return rc;
}

/* ---- each row key once, in no order ---- */

typedef struct scanning {
    cm_app_t *app;
    writing_t writing;
    cm_buf_t buf;
    cm_progress_t progress;
    uint64_t count;
    char broken[300]; /* the first row that breaks a rule */
} scanning_t;

static int export_page(void *context, const cm_batch_t *batch, cm_err_t *err)
{
    scanning_t *scanning = context;
    int rc = 0;

    (void)err; /* the app's own */
    for (size_t i = 0; rc == 0 && i < batch->count; i++)
        rc = add_event(scanning->app, scanning->writing, &batch->events[i], &scanning->buf);
    if (batch->dead_count > 0 && scanning->broken[0] == '\0')
        snprintf(scanning->broken, sizeof scanning->broken, "%.*s: %.*s",
                 (int)batch->dead[0].origin.len, batch->dead[0].origin.data,
                 (int)batch->dead[0].reason.len, batch->dead[0].reason.data);
    scanning->count += batch->count;
    cm_progress_show(&scanning->progress, -1, scanning->count);
    return rc;
}

static int export_scanned(cm_app_t *app, cm_store_t *store, writing_t writing)
{
    scanning_t scanning = {.app = app, .writing = writing, .buf = CM_BUF_INIT};
    cm_account_t account = {0};

    scanning.writing.csv.extra = store->scans_extra;
    cm_progress_start(&scanning.progress, app->terminal ? app->messages : NULL, app->terminal,
                      "exporting", "events");
    if (!writing.json)
        cm_event_add_csv_header(&scanning.buf, scanning.writing.csv);
    int rc = cm_store_scan(store, export_page, &scanning, &account, &app->err);
    cm_progress_end(&scanning.progress);
    if (rc == 0)
        rc = cm_app_write(app, &scanning.buf);
    if (account.rejected > 0)
        fprintf(app->messages,
                "%llu rows are no events of the contract and were left out; the first is %s\n",
                (unsigned long long)account.rejected, scanning.broken);
    cm_buf_free(&scanning.buf);
    return rc;
}

static int run(cm_app_t *app, const void *given, int argc, char **argv)
{
    const export_options_t *asked = given;
    cm_store_t *store;

    (void)argc;
    (void)argv;
    if (asked->safe && asked->format != FORMAT_CSV)
        return cm_fail(&app->err, CM_EUSAGE, "--safe is of CSV: give --format csv with it");
    const cm_store_settings_t settings = cm_app_store_settings(app, &asked->store);
    int rc = cm_store_open_read(&settings, &store, &app->err);
    if (rc < 0)
        return rc;
    const writing_t writing = {.json = asked->format == FORMAT_JSONL, .csv.safe = asked->safe};
    rc = cm_store_can_scan(store) ? export_scanned(app, store, writing)
                                  : export_in_order(app, store, writing);
    cm_store_close(store);
    return rc;
}

const cm_command_t cm_cmd_export = {
    .name = "export",
    .arguments = "",
    .summary = "write the raw events, each once",
    .details =
        "Writes every stored event to stdout. From the embedded store, events come in the order "
        "of arrival; of several events with the same row key, only the one that counts "
        "is written (docs/contract.md). From Cassandra, events come in no particular order.",
    .options = options,
    .options_size = sizeof(export_options_t),
    .run = run,
};
