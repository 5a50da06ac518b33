/* What opening a store for the mill or for `verify` has found (open.h): how much was read, and what
 * the user should know about it. Plain data of the caller, for one thread at a time. */
#ifndef CM_STORE_READING_H
#define CM_STORE_READING_H

#include <stdbool.h>
#include <stdint.h>

typedef struct cm_store_reading {
    const char *engine; /* what sentences call the store's engine: "Cassandra" */
    const char *choice; /* the engine's name among the values of --store: "cassandra" */
    bool full;          /* all rows were read */
    char why[300];      /* if so: the reason */
    int64_t rows;       /* that were read */
    int64_t changed;    /* of those, when not all were read: that differ from before */
    uint64_t rejected;  /* of those: rows that break a rule of the contract and were left out */
} cm_store_reading_t;

enum { CM_STORE_FOREIGN_NAMED = 3 };

/* Rows that another program has written or deleted. */
typedef struct cm_store_foreign {
    bool wanted;   /* the settings say that no other program writes, so such rows were searched */
    bool compared; /* there was a copy to compare with */
    int64_t count;
    char first[CM_STORE_FOREIGN_NAMED][80]; /* row keys of some of them */
    uint64_t rejected;                      /* rows that break a rule and were left out */
} cm_store_foreign_t;

#endif
