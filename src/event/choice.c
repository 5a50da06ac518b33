#include "event/choice.h"

#include "base/put.h"

#include <stdlib.h>
#include <sys/random.h>
#include <xxhash.h>

/* ---- two events ---- */

static unsigned is_stated(cm_str_t value)
{
    return !cm_str_equal(value, CM_STR("Unknown"));
}

unsigned cm_event_stated_cold(const cm_event_t *event)
{
    return is_stated(event->city) + is_stated(event->browser) + is_stated(event->os) +
           is_stated(event->device);
}

unsigned cm_event_stated(const cm_event_t *event)
{
    return is_stated(event->country) + cm_event_stated_cold(event) +
           (event->extra != NULL ? cm_event_extra_stated(event->extra) : 0);
}

/* Writes the piece at `at` of the string's JSON: one byte, escaped if necessary, or the closing
 * quote. No piece is a prefix of another one. */
static size_t put_piece(cm_str_t text, size_t at, char piece[CM_PUT_JSON_TIMES])
{
    if (at == text.len) {
        piece[0] = '"';
        return 1;
    }
    return (size_t)(cm_put_json(piece, (cm_str_t){text.data + at, 1}) - piece);
}

static int compare_bytes(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);
    return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

/* Compares two strings as they are in JSON, with their closing quotes. That is not the order of the
 * strings themselves: the quote is greater than a space. */
static int compare_strings(cm_str_t a, cm_str_t b)
{
    char piece_a[CM_PUT_JSON_TIMES], piece_b[CM_PUT_JSON_TIMES];
    size_t at = 0;

    if (cm_str_equal(a, b))
        return 0;
    while (at < a.len && at < b.len && a.data[at] == b.data[at])
        at++;
    return compare_bytes(piece_a, put_piece(a, at, piece_a), piece_b, put_piece(b, at, piece_b));
}

/* The same for numbers, which end with a comma; it is less than every digit. */
static int compare_times(int64_t a, int64_t b)
{
    char text_a[CM_PUT_U64 + 1], text_b[CM_PUT_U64 + 1];

    if (a == b)
        return 0;
    return compare_bytes(text_a, (size_t)(cm_put_i64(text_a, a) - text_a), text_b,
                         (size_t)(cm_put_i64(text_b, b) - text_b));
}

/* Compares what follows the device's closing quote: the optional fields and the brace. */
static int compare_extras(const cm_event_t *a, const cm_event_t *b)
{
    cm_buf_t text_a = CM_BUF_INIT, text_b = CM_BUF_INIT;

    if (cm_event_extra_equal(a->extra, b->extra))
        return 0;
    cm_event_extra_add_json(&text_a, a->extra);
    cm_event_extra_add_json(&text_b, b->extra);
    cm_buf_add_char(&text_a, '}');
    cm_buf_add_char(&text_b, '}');
    int order = compare_bytes(text_a.data, text_a.len, text_b.data, text_b.len);
    cm_buf_free(&text_a);
    cm_buf_free(&text_b);
    return order;
}

int cm_event_compare(const cm_event_t *a, const cm_event_t *b)
{
    unsigned stated_a = cm_event_stated(a), stated_b = cm_event_stated(b);
    int order;

    if (stated_a != stated_b)
        return stated_a > stated_b ? 1 : -1;
    /* Field by field in the order of the JSON: the first that is different decides. */
    if ((order = compare_strings(a->user_id, b->user_id)) != 0 ||
        (order = compare_times(a->timestamp, b->timestamp)) != 0 ||
        (order = compare_strings(a->url, b->url)) != 0 ||
        (order = compare_strings(a->country, b->country)) != 0 ||
        (order = compare_strings(a->city, b->city)) != 0 ||
        (order = compare_strings(a->browser, b->browser)) != 0 ||
        (order = compare_strings(a->os, b->os)) != 0 ||
        (order = compare_strings(a->device, b->device)) != 0)
        return order;
    return compare_extras(a, b);
}

/* ---- a batch ---- */

/* Makes memory for so many events, and an empty hash table. */
static void make_room(cm_choice_t *choice, size_t count)
{
    if (choice->cap < count) {
        choice->cap = count < CM_BATCH_EVENTS ? CM_BATCH_EVENTS : count;
        choice->keys = cm_realloc(choice->keys, choice->cap * sizeof *choice->keys);
        choice->derived = cm_realloc(choice->derived, choice->cap * sizeof *choice->derived);
    }
    if (choice->slot_count < 2 * count) {
        /* Senders choose their row keys: they must not be able to choose keys that collide. */
        if (choice->seed == 0 && getrandom(&choice->seed, sizeof choice->seed, 0) < 0)
            choice->seed = (uint64_t)(uintptr_t)choice;
        while (choice->slot_count < 2 * count)
            choice->slot_count = choice->slot_count ? choice->slot_count * 2 : 2 * CM_BATCH_EVENTS;
        choice->slots = cm_realloc(choice->slots, choice->slot_count * sizeof *choice->slots);
    }
    if (count > 0)
        memset(choice->slots, 0, choice->slot_count * sizeof *choice->slots);
    choice->count = count;
    choice->replaced = 0;
}

/* The slot of the key, or the free slot where it belongs. */
static uint32_t *find_slot(const cm_choice_t *choice, cm_str_t key)
{
    size_t mask = choice->slot_count - 1;
    size_t at = XXH3_64bits_withSeed(key.data, key.len, choice->seed) & mask;

    while (choice->slots[at] != 0 && !cm_str_equal(choice->keys[choice->slots[at] - 1], key))
        at = (at + 1) & mask;
    return &choice->slots[at];
}

void cm_choice_make(cm_choice_t *choice, const cm_batch_t *batch)
{
    make_room(choice, batch->count);
    for (size_t i = 0; i < batch->count; i++) {
        choice->keys[i] = cm_event_row_key(&batch->events[i], choice->derived[i]);
        uint32_t *slot = find_slot(choice, choice->keys[i]);
        if (*slot == 0) {
            *slot = (uint32_t)i + 1;
            continue;
        }
        size_t other = *slot - 1;
        bool better = cm_event_compare(&batch->events[i], &batch->events[other]) > 0;
        if (better)
            *slot = (uint32_t)i + 1;
        choice->keys[better ? other : i] = (cm_str_t){NULL, 0};
        choice->replaced++;
    }
}

void cm_choice_free(cm_choice_t *choice)
{
    free(choice->keys);
    free(choice->derived);
    free(choice->slots);
    *choice = (cm_choice_t){0};
}
