/* A dictionary: maps strings to small numbers and back.
 *
 * Ids are given in the order of first appearance, from 0, without gaps. The dictionary owns copies
 * of its strings; slices are valid as long as it. Not for several threads. */
#ifndef CM_STORE_DICT_H
#define CM_STORE_DICT_H

#include "base/arena.h"
#include "base/str.h"

typedef struct cm_dict_entry {
    const char *text;
    uint32_t len;
    uint32_t hash; /* low half of XXH3-64: avoids most comparisons and all rehashing */
} cm_dict_entry_t;

/* A short string, which its first and last eight bytes and its length determine completely. */
typedef struct cm_dict_short {
    uint64_t head, tail;
    uint32_t len;
    uint32_t id; /* + 1; 0: free */
} cm_dict_short_t;

enum { CM_DICT_SHORTS = 128, CM_DICT_SHORT_MAX = 16 };

typedef struct cm_dict {
    cm_dict_entry_t *entries; /* by id */
    uint32_t count, cap;
    uint64_t *slots; /* hash over id + 1, 0 is free; open addressing, linear probing */
    uint32_t mask;   /* slots - 1 */
    cm_arena_t strings;
    cm_dict_short_t *shorts; /* for each hash the short string that was put last; NULL: none yet */
} cm_dict_t;

#define CM_DICT_INIT ((cm_dict_t){0})

uint32_t cm_dict_hash(cm_str_t string);

/* The id of the string, which is added when it is new. */
uint32_t cm_dict_put(cm_dict_t *dict, cm_str_t string);

/* The same with the hash that another dictionary has computed for the string (cm_dict_entry_t). */
uint32_t cm_dict_put_hashed(cm_dict_t *dict, cm_str_t string, uint32_t hash);

/* The same for strings that are repeated often (countries, browsers): first compares with the short
 * string that was put here last, which takes a tenth of the time. */
uint32_t cm_dict_put_often(cm_dict_t *dict, cm_str_t string);

/* Puts `count` strings and writes their ids. The cost of a large dictionary is waiting for memory,
 * three times for each string: slot, entry, bytes. Here the waits of many strings overlap. */
void cm_dict_put_many(cm_dict_t *dict, const cm_str_t *strings, const uint32_t *hashes,
                      uint32_t count, uint32_t *ids);

/* Adds the string under the next id without looking for it. A dictionary that is filled in this way
 * only gives strings by their ids, until it is cleared. */
void cm_dict_append(cm_dict_t *dict, cm_str_t string);

/* True and the id when the string is known. */
bool cm_dict_find(const cm_dict_t *dict, cm_str_t string, uint32_t *id);

/* The string of an id that the dictionary has given. */
static inline cm_str_t cm_dict_string(const cm_dict_t *dict, uint32_t id)
{
    return (cm_str_t){dict->entries[id].text, dict->entries[id].len};
}

/* Removes every id from `count` on: what a failed transaction had added. */
void cm_dict_truncate(cm_dict_t *dict, uint32_t count);

/* Removes everything and keeps the memory. */
void cm_dict_clear(cm_dict_t *dict);

void cm_dict_free(cm_dict_t *dict);

#endif
