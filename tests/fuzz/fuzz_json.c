/* One line of JSON, the full parser: what it takes keeps the contract, and written out and read
 * again it is the same event. */
#include "event/json.h"
#include "fuzz.h"

/* Reads a text with a parser that knows no shape. */
static int parse(cm_str_t text, char fill, cm_arena_t *arena, cm_event_t *event, uint64_t *unknown,
                 cm_err_t *err)
{
    char *line = fuzz_copy(text.data, text.len, CM_EVENT_JSON_PADDING, fill);
    cm_event_json_t *json = cm_event_json_new();

    FUZZ_CHECK(json != NULL);
    int rc = cm_event_json_parse(json, (cm_str_t){line, text.len}, arena, event, unknown, err);
    cm_event_json_free(json);
    free(line); /* the first event of a parser lives in the arena alone */
    return rc;
}

/* The event as it is written: the row key is there also when it was derived. */
static void check_written(const cm_event_t *event, cm_arena_t *arena)
{
    cm_buf_t text = CM_BUF_INIT;
    cm_event_t again, expected = *event;
    char key[CM_UUID_TEXT];
    uint64_t unknown = 0;
    cm_err_t err;

    expected.row_key = cm_event_row_key(event, key);
    cm_event_add_json(&text, event);
    FUZZ_CHECK(memchr(text.data, '\n', text.len) == NULL);
    FUZZ_CHECK(parse((cm_str_t){text.data, text.len}, 0, arena, &again, &unknown, &err) == 0);
    FUZZ_CHECK(unknown == 0 && fuzz_same_event(&expected, &again));
    cm_buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cm_arena_t arena = CM_ARENA_INIT;
    cm_str_t text = {(const char *)data, size};
    cm_event_t event, again;
    uint64_t unknown = 0, unknown_again = 0;
    cm_err_t err = {0}, err_again = {0};

    int rc = parse(text, 0, &arena, &event, &unknown, &err);
    /* The parser must not read what comes after the line. */
    FUZZ_CHECK(rc == parse(text, '"', &arena, &again, &unknown_again, &err_again));
    FUZZ_CHECK(unknown == unknown_again && strcmp(err.text, err_again.text) == 0);
    if (rc == 0) {
        FUZZ_CHECK(fuzz_same_event(&event, &again));
        fuzz_check_event(&event);
        check_written(&event, &arena);
    } else {
        fuzz_check_refusal(rc, CM_EREJECT, &err);
        FUZZ_CHECK(unknown == 0);
    }
    cm_arena_free(&arena);
    return 0;
}
