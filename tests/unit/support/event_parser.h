/* A parser of events in JSON with its last event, as the state of a cmocka test. */
#ifndef CM_TESTS_EVENT_PARSER_H
#define CM_TESTS_EVENT_PARSER_H

#include "support.h"

#include "event/json.h"

typedef struct event_parser {
    cm_event_json_t *json;
    cm_arena_t arena;
    cm_event_t event; /* its strings are in the arena or in `memory` */
    char *memory;
    uint64_t unknown;
    cm_err_t err;
} event_parser_t;

/* Make the parser and free it: set-up and tear-down of a group of tests. */
int event_parser_set_up(void **state);
int event_parser_tear_down(void **state);

/* Parses in memory of exactly the size of text and padding, so that a sanitizer finds a read
 * beyond. The memory stays until the next call, because the event's strings may be in it. */
int event_parser_parse(event_parser_t *parsed, cm_str_t text);

#endif
