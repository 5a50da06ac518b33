/* A parser of events in JSON: one object per line, as in Kafka messages and JSONL.
 *
 * A parser owns its scratch memory and is used by one thread at a time. It is built on simdjson. */
#ifndef CM_EVENT_JSON_H
#define CM_EVENT_JSON_H

#include "event/bot.h"
#include "event/event.h"
#include "event/map.h"

typedef struct cm_event_json cm_event_json_t;

/* Bytes after each text given to the parser that must be readable; they may have any value. */
enum { CM_EVENT_JSON_PADDING = 64 };

cm_event_json_t *cm_event_json_new(void);
void cm_event_json_free(cm_event_json_t *json);

/* Fills empty fields of an event from two fields that are not the contract's: the address (field
 * `ip` or `address`) and the user agent (`user_agent` or `userAgent`). One of them may be empty;
 * both live during the call. What it fills in lives as long as `arena` and follows the contract's
 * rules. CM_BOT_NONE, or the kind of the bot that made the event, which is then left out. */
typedef cm_bot_kind_t (*cm_event_json_fill_fn)(void *context, cm_str_t address, cm_str_t agent,
                                               cm_arena_t *arena, cm_event_t *event);

/* From now on `fill` is called for messages with one of those fields, and the fields do not count
 * as unknown. */
void cm_event_json_set_fill(cm_event_json_t *json, cm_event_json_fill_fn fill, void *context);

/* From now on timestamps are read as `times` says. It is copied, but its zone is borrowed. */
void cm_event_json_set_timestamps(cm_event_json_t *json, const cm_timestamp_format_t *times);

/* From now on members give fields as the map says; it is borrowed. NULL: by their own names. */
void cm_event_json_set_map(cm_event_json_t *json, const cm_event_map_t *map);

/* Parses one JSON object into `event`, completes and checks it. Its strings are in `arena` or in
 * `text` itself. Adds the number of unknown fields to `unknown`. 0, or CM_EREJECT with the broken
 * rule; or, above 0, the kind of the bot whose event is to be left out (cm_batch_skip_bot()): it is
 * neither completed nor checked. CM_EVENT_JSON_PADDING bytes after `text` must be readable. */
int cm_event_json_parse(cm_event_json_t *json, cm_str_t text, cm_arena_t *arena, cm_event_t *event,
                        uint64_t *unknown, cm_err_t *err);

/* What a message says of the visitor; the strings live until the parser's next call. */
typedef struct cm_event_json_visitor {
    cm_str_t address; /* of `ip` or `address` */
    cm_str_t agent;   /* of `user_agent` or `userAgent` */
} cm_event_json_visitor_t;

/* The same for a message that need not be complete: fills `event` with the fields that it has, and
 * neither completes nor checks it. A missing timestamp is 0, any other is in the contract's range.
 */
int cm_event_json_parse_partial(cm_event_json_t *json, cm_str_t text, cm_arena_t *arena,
                                cm_event_t *event, cm_event_json_visitor_t *visitor,
                                uint64_t *unknown, cm_err_t *err);

#endif
