/* CSV: a header and records. Records are the same however the text is cut, fields written out and
 * split again are the same, and what becomes an event keeps the contract. */
#include "fuzz.h"
#include "source/file/csv.h"

/* What a record was split into. */
typedef struct split {
    int rc;
    size_t used;
    cm_csv_record_t record;
} split_t;

static void split(split_t *out, cm_str_t data, bool last)
{
    cm_err_t err = {0};

    out->used = 0;
    out->rc = cm_csv_split(data, last, &out->record, &out->used, &err);
    if (out->rc < 0) {
        fuzz_check_refusal(out->rc, CM_EREJECT, &err);
        return;
    }
    FUZZ_CHECK(out->rc == 1 || (out->rc == 0 && !last));
    if (out->rc == 0)
        return;
    FUZZ_CHECK(out->used <= data.len && (out->used > 0 || data.len == 0));
    FUZZ_CHECK(out->record.count >= 1 && out->record.count <= CM_CSV_FIELDS);
    for (size_t i = 0; i < out->record.count; i++)
        FUZZ_CHECK(fuzz_inside(out->record.fields[i].text, data));
}

/* A start of the text, with more to come, gives the record of the whole, or none yet. */
static void check_cut(const split_t *whole, cm_str_t data, size_t len, split_t *part)
{
    char *copy = fuzz_copy(data.data, len, 0, 0);

    split(part, (cm_str_t){copy, len}, false);
    if (part->rc != 0) {
        FUZZ_CHECK(part->rc == whole->rc);
        if (part->rc == 1)
            FUZZ_CHECK(part->used == whole->used && part->record.count == whole->record.count);
    } else if (whole->rc == 1) {
        FUZZ_CHECK(len <= whole->used);
    }
    free(copy);
}

static void check_written(const cm_csv_record_t *record, cm_arena_t *arena, split_t *again)
{
    cm_buf_t text = CM_BUF_INIT;

    for (size_t i = 0; i < record->count; i++) {
        if (i > 0)
            cm_buf_add_char(&text, ',');
        cm_buf_add_csv(&text, cm_csv_text(&record->fields[i], arena));
    }
    cm_buf_add_char(&text, '\n');
    split(again, (cm_str_t){text.data, text.len}, false);
    FUZZ_CHECK(again->rc == 1 && again->used == text.len && again->record.count == record->count);
    for (size_t i = 0; i < record->count; i++)
        FUZZ_CHECK(cm_str_equal(cm_csv_text(&record->fields[i], arena),
                                cm_csv_text(&again->record.fields[i], arena)));
    cm_buf_free(&text);
}

static void check_event(const cm_csv_columns_t *columns, const cm_csv_record_t *record,
                        cm_arena_t *arena)
{
    static const cm_timestamp_format_t times = {0};
    cm_event_t event;
    cm_err_t err = {0};

    int rc = cm_csv_event(columns, record, &times, arena, &event, &err);
    if (rc == 0)
        fuzz_check_event(&event);
    else
        fuzz_check_refusal(rc, CM_EREJECT, &err);
}

static void check_header(const cm_csv_record_t *record, cm_csv_columns_t *columns, bool *known)
{
    cm_err_t err = {0};

    int rc = cm_csv_header(record, NULL, columns, &err);
    *known = rc == 0;
    if (rc < 0)
        fuzz_check_refusal(rc, CM_EINPUT, &err);
    else
        FUZZ_CHECK(columns->count == record->count && columns->unknown <= columns->count - 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static split_t whole, other;
    cm_csv_columns_t columns;
    cm_arena_t arena = CM_ARENA_INIT;
    bool first = true, known = false;
    char *copy = fuzz_copy(data, size, 0, 0);

    for (cm_str_t rest = {copy, size}; rest.len > 0;) {
        split(&whole, rest, true);
        size_t step = rest.len < 64 ? 1 : rest.len / 16;
        for (size_t len = 0; len < rest.len; len += step)
            check_cut(&whole, rest, len, &other);
        if (whole.rc != 1)
            break;
        check_written(&whole.record, &arena, &other);
        if (first)
            check_header(&whole.record, &columns, &known);
        else if (known)
            check_event(&columns, &whole.record, &arena);
        first = false;
        rest.data += whole.used;
        rest.len -= whole.used;
    }
    cm_arena_free(&arena);
    free(copy);
    return 0;
}
