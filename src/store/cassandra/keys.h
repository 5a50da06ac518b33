/* The row keys that are in entries of the companion, each once. One thread. */
#ifndef CM_STORE_CASSANDRA_KEYS_H
#define CM_STORE_CASSANDRA_KEYS_H

#include "store/cassandra/changes.h"
#include "store/dict.h"

/* All zero is empty. */
typedef struct cm_mirror_keys {
    cm_dict_t keys;    /* the id of a key is its index in: */
    int64_t *write_us; /* when the row was written, as it was read; 0: not known */
} cm_mirror_keys_t;

/* Takes the keys of all entries. */
void cm_mirror_keys_collect(cm_mirror_keys_t *keys, const cm_store_changes_t *changes);

/* Marks entries as settled whose writer has not said that they are, perhaps because it was killed:
 * those for which each row was read as that entry has written it, or as it was written later. What
 * may still come of such an entry changes nothing. The n-th row of an entry has the entry's first
 * write time plus n. */
void cm_mirror_keys_settle(const cm_mirror_keys_t *keys, cm_store_changes_t *changes);

void cm_mirror_keys_free(cm_mirror_keys_t *keys);

#endif
