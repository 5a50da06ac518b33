/* Lines of JSON: the fast reader against the full parser. A shape is learnt from every line that
 * the full parser takes; where a line fits it, both must give the same event. And a parser that
 * reads one line after the other, with a shape of its own, says of each what a new one says. */
#include "event/json.h"
#include "event/shape.h"
#include "fuzz.h"

/* What a parser made of a line. */
typedef struct outcome {
    int rc;
    cm_event_t event;
    uint64_t unknown;
    cm_err_t err;
} outcome_t;

static outcome_t parse(cm_event_json_t *json, cm_str_t line, cm_arena_t *arena)
{
    outcome_t out = {0};
    out.rc = cm_event_json_parse(json, line, arena, &out.event, &out.unknown, &out.err);
    return out;
}

static void check_line(cm_event_json_t *json, cm_shape_t *shape, cm_str_t line, cm_arena_t *arena)
{
    cm_event_t fast;
    cm_event_json_t *fresh = cm_event_json_new();

    FUZZ_CHECK(fresh != NULL);
    outcome_t full = parse(fresh, line, arena), going_on = parse(json, line, arena);
    FUZZ_CHECK(full.rc == going_on.rc && full.unknown == going_on.unknown);
    FUZZ_CHECK(strcmp(full.err.text, going_on.err.text) == 0);
    if (full.rc == 0)
        FUZZ_CHECK(fuzz_same_event(&full.event, &going_on.event));
    if (cm_shape_read(shape, line, arena, &fast)) {
        FUZZ_CHECK(full.rc == 0 && full.unknown == 0);
        FUZZ_CHECK(fuzz_same_event(&full.event, &fast));
    }
    if (full.rc == 0) {
        cm_shape_learn(shape, line, NULL);
        /* A line that a shape was learnt from fits it. */
        if (shape->count > 0) {
            FUZZ_CHECK(cm_shape_read(shape, line, arena, &fast));
            FUZZ_CHECK(fuzz_same_event(&full.event, &fast));
        }
    }
    cm_event_json_free(fresh);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cm_arena_t arena = CM_ARENA_INIT;
    cm_shape_t shape = {0};
    cm_event_json_t *json = cm_event_json_new();

    FUZZ_CHECK(json != NULL);
    for (size_t at = 0; at < size;) {
        const uint8_t *newline = memchr(data + at, '\n', size - at);
        size_t len = newline ? (size_t)(newline - data) - at : size - at;
        /* Quotes behind the line are what would mislead a reader most. */
        char *line = fuzz_copy(data + at, len, CM_EVENT_JSON_PADDING, '"');
        check_line(json, &shape, (cm_str_t){line, len}, &arena);
        free(line);
        at += len + 1;
    }
    cm_event_json_free(json);
    cm_arena_free(&arena);
    return 0;
}
