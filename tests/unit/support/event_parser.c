#include "event_parser.h"

int event_parser_set_up(void **state)
{
    event_parser_t *parsed = calloc(1, sizeof *parsed);
    parsed->json = cm_event_json_new();
    *state = parsed;
    return parsed->json == NULL;
}

int event_parser_tear_down(void **state)
{
    event_parser_t *parsed = *state;
    cm_event_json_free(parsed->json);
    cm_arena_free(&parsed->arena);
    free(parsed->memory);
    free(parsed);
    return 0;
}

int event_parser_parse(event_parser_t *parsed, cm_str_t text)
{
    char *memory = malloc(text.len + CM_EVENT_JSON_PADDING);
    free(parsed->memory);
    parsed->memory = memory;
    memcpy(memory, text.data, text.len);
    memset(memory + text.len, '7', CM_EVENT_JSON_PADDING); /* any value */
    parsed->unknown = 0;
    memset(&parsed->err, 0, sizeof parsed->err);
    return cm_event_json_parse(parsed->json, (cm_str_t){memory, text.len}, &parsed->arena,
                               &parsed->event, &parsed->unknown, &parsed->err);
}
