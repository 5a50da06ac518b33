/* Prints: a number for each event, made of all its fields but user and time.
 *
 * Where many events are copies, nearly all copies are the same in every field. Those are found by
 * their prints, which take one reading of the store; ties.h would keep all their fields. Strings
 * are hashed with a random seed, because senders choose them. */
#include "mill/hash.h"
#include "mill/timelines_inside.h"

#include <stdlib.h>
#include <sys/random.h>
#include <xxhash.h>

typedef struct printing {
    const cm_timelines_build_t *build;
    uint64_t *prints; /* by position */
    uint64_t seed;
    atomic_size_t next; /* the block that a thread takes next */
    atomic_bool failed;
    struct {
        int rc;
        cm_err_t err;
    } threads[CM_TEAM_MAX];
} printing_t;

static uint64_t hash_of(const printing_t *printing, cm_str_t string)
{
    return XXH3_64bits_withSeed(string.data, string.len, printing->seed);
}

static void mix_numbers(uint64_t *prints, const uint32_t *numbers, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        prints[i] = cm_hash_add(prints[i], numbers[i]);
}

static void mix_texts(const printing_t *printing, const cm_wide_t *wide, int field,
                      uint64_t *prints, uint32_t count)
{
    const cm_dict_t *strings = &wide->strings[field];
    const uint32_t *numbers = wide->ids[field];
    uint64_t *hashes = cm_alloc((strings->count + 1) * sizeof *hashes);

    hashes[0] = 0;
    for (uint32_t id = 0; id < strings->count; id++)
        hashes[id + 1] = hash_of(printing, cm_dict_string(strings, id));
    for (uint32_t i = 0; i < count; i++)
        prints[i] = cm_hash_add(prints[i], hashes[numbers[i]]);
    free(hashes);
}

static void mix_keys(const printing_t *printing, const cm_key_t *keys, uint64_t *prints,
                     uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (keys[i].kind == CM_KEY_TEXT)
            prints[i] = cm_hash_add(prints[i], hash_of(printing, keys[i].text));
        else if (keys[i].kind == CM_KEY_UUID)
            prints[i] = cm_hash_add(
                prints[i],
                hash_of(printing, (cm_str_t){(const char *)keys[i].uuid, sizeof keys[i].uuid}));
    }
}

/* The prints of a block. An event without optional fields has the same print in a block that has
 * none. */
static int print_block(printing_t *printing, int number, const cm_block_ref_t *block,
                       cm_columns_t *columns, cm_err_t *err)
{
    uint64_t *prints = printing->prints + block->first;
    const uint32_t count = cm_timelines_count_in(printing->build->part->events, block);
    const unsigned parts = CM_READ_HOT | CM_READ_COLD | CM_READ_EXTRA |
                           (block->all_keys_derived ? 0u : (unsigned)CM_READ_KEYS);

    int rc = cm_timelines_check_stop(printing->build->timelines, err);
    if (rc == 0)
        rc = cm_reader_read(printing->build->readers[number], block, parts, columns, err);
    if (rc < 0)
        return rc;
    memset(prints, 0, count * sizeof *prints);
    for (int field = CM_URL; field < CM_FIELD_COUNT; field++)
        mix_numbers(prints, columns->ids[field], count);
    if (columns->wide.any) {
        for (int field = 0; field < CM_EXTRA_TEXTS; field++)
            mix_texts(printing, &columns->wide, field, prints, count);
        mix_numbers(prints, columns->wide.engaged, count);
    } else {
        for (int field = 0; field < CM_EXTRA_COUNT; field++) {
            for (uint32_t i = 0; i < count; i++)
                prints[i] = cm_hash_add(prints[i], 0);
        }
    }
    if (!block->all_keys_derived)
        mix_keys(printing, columns->keys, prints, count);
    return 0;
}

static void print_blocks(void *context, int number)
{
    printing_t *printing = context;
    const cm_timelines_build_t *build = printing->build;
    cm_columns_t columns = {0};
    int rc = 0;
    size_t b;

    while (rc == 0 && !atomic_load(&printing->failed) &&
           (b = atomic_fetch_add(&printing->next, 1)) < build->block_count)
        rc = print_block(printing, number, &build->blocks[b], &columns,
                         &printing->threads[number].err);
    if (rc < 0)
        atomic_store(&printing->failed, true);
    printing->threads[number].rc = rc;
    cm_columns_free(&columns);
}

int cm_timelines_print(const cm_timelines_build_t *build, uint64_t **prints, cm_err_t *err)
{
    const int threads = build->timelines->threads;
    printing_t printing = {.build = build};
    int rc = 0;

    *prints = NULL;
    printing.prints = malloc(((size_t)build->part->events + 1) * sizeof *printing.prints);
    if (printing.prints == NULL)
        return cm_fail_memory(err);
    if (getrandom(&printing.seed, sizeof printing.seed, 0) < 0)
        printing.seed = (uint64_t)(uintptr_t)printing.prints;
    cm_team_run(threads, print_blocks, &printing);
    for (int i = 0; i < threads && rc == 0; i++) {
        rc = printing.threads[i].rc;
        if (rc < 0)
            *err = printing.threads[i].err;
    }
    if (rc < 0)
        free(printing.prints);
    else
        *prints = printing.prints;
    return rc;
}
