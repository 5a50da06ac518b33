/* The event's JSON, read: one object a line, as Kafka messages and JSONL have it.
 *
 * A parser is used by one thread at a time and owns its scratch memory. Built on simdjson, which
 * nothing else includes. */
#ifndef CM_EVENT_JSON_H
#define CM_EVENT_JSON_H

#include "event/event.h"

typedef struct cm_event_json cm_event_json_t;

/* Bytes that must be readable (any value) behind every text given to the parser. */
enum { CM_EVENT_JSON_PADDING = 64 };

cm_event_json_t *cm_event_json_new(void);
void cm_event_json_free(cm_event_json_t *json);

/* Makes what is missing in an event of what its message says beside the contract's fields: the
 * texts of `ip` or `address`, and of `user_agent` or `userAgent`; one of them may be empty. They
 * live during the call; what it fills in lives as long as `arena` and keeps the contract's rules.
 */
typedef void (*cm_event_json_fill_fn)(void *context, cm_str_t address, cm_str_t agent,
                                      cm_arena_t *arena, cm_event_t *event);

/* From now on `fill` is called for messages with one of those fields, which then are no unknown
 * ones. */
void cm_event_json_set_fill(cm_event_json_t *json, cm_event_json_fill_fn fill, void *context);

/* From now on timestamps are read as `times` says, which is copied; the zone is borrowed. */
void cm_event_json_set_timestamps(cm_event_json_t *json, const cm_timestamp_format_t *times);

/* Parses one JSON object into `event` (completed and checked) with texts in `arena` or in `text`
 * itself. `unknown` is increased by the number of unknown fields. 0, or CM_EREJECT with the rule
 * that is broken. `text` needs CM_EVENT_JSON_PADDING readable bytes behind it. */
int cm_event_json_parse(cm_event_json_t *json, cm_str_t text, cm_arena_t *arena, cm_event_t *event,
                        uint64_t *unknown, cm_err_t *err);

/* What a message says of the visitor; the texts live until the parser's next call. */
typedef struct cm_event_json_visitor {
    cm_str_t address; /* of `ip` or `address` */
    cm_str_t agent;   /* of `user_agent` or `userAgent` */
} cm_event_json_visitor_t;

/* The same for a message that need not be whole yet: fills `event` with what is there and neither
 * completes nor checks it. A timestamp that is missing is 0, one that is there is in the contract's
 * range. */
int cm_event_json_parse_partial(cm_event_json_t *json, cm_str_t text, cm_arena_t *arena,
                                cm_event_t *event, cm_event_json_visitor_t *visitor,
                                uint64_t *unknown, cm_err_t *err);

#endif
