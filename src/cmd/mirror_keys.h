/* The row keys that are in entries of the companion, each once. One thread. */
#ifndef CM_CMD_MIRROR_KEYS_H
#define CM_CMD_MIRROR_KEYS_H

#include "store/cassandra/changes.h"

typedef struct cm_mirror_key {
    cm_str_t key;     /* slice of its entry */
    int64_t write_us; /* when the row was written, as it was read; 0: not known */
} cm_mirror_key_t;

/* All zero is empty. */
typedef struct cm_mirror_keys {
    cm_mirror_key_t *keys;
    size_t count, cap;
    uint32_t *slots; /* hash table: place + 1 */
    size_t slot_count;
} cm_mirror_keys_t;

/* Takes the keys of all entries. */
void cm_mirror_keys_collect(cm_mirror_keys_t *keys, const cm_store_changes_t *changes);

/* NULL: it is none of them. */
cm_mirror_key_t *cm_mirror_keys_find(const cm_mirror_keys_t *keys, cm_str_t key);

/* Marks entries as settled whose writer has not said that they are, perhaps because it was killed:
 * those of which each row was read as that entry has written it, or as it was written later. What
 * may still come of such an entry changes nothing. The n-th row of an entry has its first write
 * time and n more. */
void cm_mirror_keys_settle(const cm_mirror_keys_t *keys, cm_store_changes_t *changes);

void cm_mirror_keys_free(cm_mirror_keys_t *keys);

#endif
