/* Shared by the file source and its readers. A reader knows one format: JSON (json_reader.c), CSV
 * (csv_reader.c) or access logs (accesslog_reader.c). The source (file.c) asks it for one line,
 * record or value at a time. start.c finds the reader that a file needs. One thread, that of the
 * source, which owns all of it. */
#ifndef CM_SOURCE_FILE_INTERNAL_H
#define CM_SOURCE_FILE_INTERNAL_H

#include "event/json.h"
#include "source/file/accesslog_builder.h"
#include "source/file/csv.h"
#include "source/file/file.h"
#include "source/file/values.h"
#include "source/lines.h"

typedef struct cm_file cm_file_t;

typedef struct cm_file_reader {
    /* Reads the part before the first event; NULL: there is none. Errors as cm_file_open(). */
    int (*begin)(cm_file_t *file, cm_err_t *err);
    /* Takes the next line, record or value into the batch. False when the buffer has no complete
     * one. */
    bool (*take)(cm_file_t *file, cm_batch_t *batch);
    /* Skips the next one, or a part that ends at `position` (unpacked bytes). False as above. */
    bool (*pass)(cm_file_t *file, uint64_t position);
    /* Unpacked bytes up to the end of the last one: a position to resume from. */
    uint64_t (*reached)(const cm_file_t *file);
} cm_file_reader_t;

extern const cm_file_reader_t cm_file_json_lines;  /* CM_FILE_JSONL */
extern const cm_file_reader_t cm_file_json_values; /* CM_FILE_JSON */
extern const cm_file_reader_t cm_file_csv;         /* CM_FILE_CSV */
extern const cm_file_reader_t cm_file_accesslog;   /* CM_FILE_COMBINED, CM_FILE_COMMON */

struct cm_file {
    cm_source_t source; /* first */
    cm_file_options_t options;
    cm_file_format_t format;
    const cm_file_reader_t *reader;
    cm_buf_t identity; /* empty: cannot be resumed */
    cm_input_t *input;
    cm_lines_t lines;
    cm_buf_t scratch;

    cm_event_json_t *json; /* of both JSON readers */
    cm_values_t values;    /* of cm_file_json_values */

    cm_csv_columns_t columns; /* of cm_file_csv */
    cm_csv_record_t record;

    cm_accesslog_builder_t builder; /* of cm_file_accesslog */
    bool hosts;                     /* some of the first lines name their virtual host */
};

/* ---- file.c ---- */

bool cm_file_stopped(const cm_file_t *file);

/* CM_ESTOP with its message. */
int cm_file_fail_stopped(const cm_file_t *file, cm_err_t *err);

/* The path, or "stdin". */
const char *cm_file_display_name(const cm_file_t *file);

/* Adds a dead letter for the text that begins at this line. */
void cm_file_reject(cm_file_t *file, cm_batch_t *batch, cm_str_t payload, uint64_t number,
                    const char *reason);

typedef enum cm_file_step {
    CM_FILE_NO_LINE, /* no whole line is in the buffer */
    CM_FILE_DONE,    /* the line is blank, or was rejected because it is too long */
    CM_FILE_LINE,    /* `line` has to be parsed */
} cm_file_step_t;

/* Takes the next line, for readers of lines. */
cm_file_step_t cm_file_next_line(cm_file_t *file, cm_batch_t *batch, cm_line_t *line);

/* The implementation of `reached` for readers of lines. */
uint64_t cm_file_lines_reached(const cm_file_t *file);

/* ---- start.c ---- */

/* Opens the input, finds identity and format, and reads up to the first event. */
int cm_file_start(cm_file_t *file, cm_err_t *err);

#endif
