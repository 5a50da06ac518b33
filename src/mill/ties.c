#include "mill/ties.h"

#include <stdlib.h>

/* A tied grain with its key. A derived key needs its text only beside a key of another kind. */
typedef struct tied {
    cm_grain_t grain;
    int64_t ordinal;
    cm_key_t key;
    size_t run;
} tied_t;

/* The block that holds an ordinal. */
static const cm_block_ref_t *block_of(const cm_ties_t *ties, int64_t ordinal)
{
    size_t low = 0, high = ties->block_count;

    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (ties->blocks[middle].first <= ordinal)
            low = middle;
        else
            high = middle;
    }
    return &ties->blocks[low];
}

static void drop(const cm_ties_t *ties, cm_grain_t *grain)
{
    if (ties->copy != NULL)
        ties->copy(ties->context, cm_grain_ordinal(grain, ties->shape));
    grain->load = CM_GRAIN_DROPPED;
}

void cm_ties_add(cm_ties_t *ties, cm_grain_t *grains, size_t count, uint32_t user)
{
    bool derived = true;

    for (size_t i = 0; i < count && derived; i++)
        derived = block_of(ties, cm_grain_ordinal(&grains[i], ties->shape))->all_keys_derived;
    if (derived) {
        for (size_t i = 1; i < count; i++)
            drop(ties, &grains[i]);
        return;
    }
    if (ties->count == ties->cap) {
        ties->cap = ties->cap ? ties->cap * 2 : 256;
        ties->runs = cm_realloc(ties->runs, ties->cap * sizeof *ties->runs);
    }
    ties->runs[ties->count++] = (cm_tie_t){grains, count, user};
}

void cm_ties_free(cm_ties_t *ties)
{
    free(ties->runs);
    ties->runs = NULL;
    ties->count = ties->cap = 0;
}

static int by_ordinal(const void *a, const void *b)
{
    int64_t x = ((const tied_t *)a)->ordinal, y = ((const tied_t *)b)->ordinal;
    return (x > y) - (x < y);
}

static cm_str_t key_text(const cm_key_t *key, char scratch[CM_UUID_TEXT])
{
    if (key->kind == CM_KEY_TEXT)
        return key->text;
    cm_uuid_format(key->uuid, scratch);
    return (cm_str_t){scratch, CM_UUID_TEXT};
}

/* Two derived keys of one user and time are equal; their bytes are not filled in then. */
static int compare_keys(const cm_key_t *a, const cm_key_t *b)
{
    char text_a[CM_UUID_TEXT], text_b[CM_UUID_TEXT];

    if (a->kind == CM_KEY_DERIVED && b->kind == CM_KEY_DERIVED)
        return 0;
    if (a->kind != CM_KEY_TEXT && b->kind != CM_KEY_TEXT)
        return memcmp(a->uuid, b->uuid, sizeof a->uuid); /* lower-case hex keeps the order */
    return cm_str_compare(key_text(a, text_a), key_text(b, text_b));
}

static int by_run_and_key(const void *a, const void *b)
{
    const tied_t *x = a, *y = b;
    if (x->run != y->run)
        return x->run < y->run ? -1 : 1;
    int order = compare_keys(&x->key, &y->key);
    return order ? order : by_ordinal(a, b);
}

/* Reads the keys of all tied grains; they are in order of ordinals, so each block is read once. */
static int read_keys(const cm_ties_t *ties, tied_t *tied, size_t count, cm_reader_t *reader,
                     cm_arena_t *texts, cm_err_t *err)
{
    const cm_block_ref_t *loaded = NULL;
    cm_columns_t columns = {0};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < count; i++) {
        const cm_block_ref_t *block = block_of(ties, tied[i].ordinal);
        tied[i].key.kind = CM_KEY_DERIVED;
        if (block->all_keys_derived)
            continue;
        if (block != loaded)
            rc = cm_reader_read(reader, block, CM_READ_KEYS, &columns, err);
        loaded = block;
        if (rc < 0)
            break;
        tied[i].key = columns.keys[tied[i].ordinal - block->first];
        if (tied[i].key.kind == CM_KEY_TEXT)
            tied[i].key.text = cm_arena_copy(texts, tied[i].key.text);
    }
    cm_columns_free(&columns);
    return rc;
}

/* Fills in the bytes of derived keys that stand beside keys of another kind. */
static int derive_mixed(const cm_ties_t *ties, tied_t *tied, size_t count, cm_reader_t *reader,
                        cm_err_t *err)
{
    size_t end;
    for (size_t from = 0; from < count; from = end) {
        bool derived = false, own = false;
        for (end = from; end < count && tied[end].run == tied[from].run; end++) {
            derived |= tied[end].key.kind == CM_KEY_DERIVED;
            own |= tied[end].key.kind != CM_KEY_DERIVED;
        }
        if (!derived || !own)
            continue;
        cm_str_t user;
        uint8_t uuid[16];
        int rc = cm_reader_name(reader, CM_USER, ties->runs[tied[from].run].user, &user, err);
        if (rc < 0)
            return rc;
        cm_row_key_derive(user, cm_grain_time(&tied[from].grain), uuid);
        for (size_t i = from; i < end; i++) {
            if (tied[i].key.kind == CM_KEY_DERIVED)
                memcpy(tied[i].key.uuid, uuid, sizeof uuid);
        }
    }
    return 0;
}

static int by_run(const void *a, const void *b)
{
    size_t x = ((const tied_t *)a)->run, y = ((const tied_t *)b)->run;
    return (x > y) - (x < y);
}

static void write_back(const cm_ties_t *ties, const tied_t *tied)
{
    for (size_t run = 0; run < ties->count; run++) {
        cm_grain_t *grains = ties->runs[run].grains;
        for (size_t i = 0; i < ties->runs[run].count; i++, tied++) {
            grains[i] = tied->grain;
            if (i > 0 && compare_keys(&tied[-1].key, &tied->key) == 0)
                drop(ties, &grains[i]);
        }
    }
}

int cm_ties_resolve(cm_ties_t *ties, cm_reader_t *reader, cm_err_t *err)
{
    cm_arena_t texts = CM_ARENA_INIT;
    size_t total = 0, at = 0;

    for (size_t run = 0; run < ties->count; run++)
        total += ties->runs[run].count;
    if (total == 0)
        return 0;
    tied_t *tied = malloc(total * sizeof *tied);
    if (tied == NULL)
        return cm_fail_memory(err);
    for (size_t run = 0; run < ties->count; run++) {
        for (size_t i = 0; i < ties->runs[run].count; i++)
            tied[at++] =
                (tied_t){.grain = ties->runs[run].grains[i],
                         .ordinal = cm_grain_ordinal(&ties->runs[run].grains[i], ties->shape),
                         .run = run};
    }
    qsort(tied, total, sizeof *tied, by_ordinal);
    int rc = read_keys(ties, tied, total, reader, &texts, err);
    if (rc == 0) {
        qsort(tied, total, sizeof *tied, by_run);
        rc = derive_mixed(ties, tied, total, reader, err);
    }
    if (rc == 0) {
        qsort(tied, total, sizeof *tied, by_run_and_key);
        write_back(ties, tied);
    }
    free(tied);
    cm_arena_free(&texts);
    ties->count = 0;
    return rc;
}
