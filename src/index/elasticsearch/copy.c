#include "index/elasticsearch/copy.h"

#include "base/arena.h"

#include <stdlib.h>
#include <xxhash.h>

enum { KEY = CM_DOCUMENT_ID / 2, FIRST_SLOTS = 1024 };

/* `print` 0: the document is not the answer that belongs under this id. */
typedef struct entry {
    uint8_t key[KEY]; /* the id in binary */
    uint8_t part;
    bool used, known;
    uint64_t print;
} entry_t;

/* A document whose id is not that of any answer. */
typedef struct stray {
    int part;
    cm_str_t id;
    struct stray *next;
} stray_t;

struct cm_copy {
    unsigned windows;
    int part;
    entry_t *slots;
    size_t count, size; /* a power of two */
    stray_t *strays;
    cm_arena_t texts;
};

cm_copy_t *cm_copy_new(unsigned windows)
{
    cm_copy_t *copy = cm_alloc_zero(1, sizeof *copy);
    copy->windows = windows;
    return copy;
}

void cm_copy_begin(cm_copy_t *copy, int part)
{
    copy->part = part;
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* False when it is not the lower-case hex of a SHA-1. */
static bool read_key(cm_str_t id, uint8_t key[KEY])
{
    if (id.len != CM_DOCUMENT_ID)
        return false;
    for (int i = 0; i < KEY; i++) {
        int high = digit(id.data[2 * i]), low = digit(id.data[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        key[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* The slot of the key, or the free one where it would be. A key is its own hash. */
static entry_t *find(const cm_copy_t *copy, const uint8_t key[KEY], int part)
{
    uint64_t at;

    memcpy(&at, key, sizeof at);
    for (;; at++) {
        entry_t *entry = &copy->slots[at & (copy->size - 1)];
        if (!entry->used || (entry->part == part && memcmp(entry->key, key, KEY) == 0))
            return entry;
    }
}

static int grow(cm_copy_t *copy)
{
    const cm_copy_t old = *copy;

    copy->size = old.size > 0 ? old.size * 2 : FIRST_SLOTS;
    copy->slots = calloc(copy->size, sizeof *copy->slots);
    if (copy->slots == NULL) {
        *copy = old;
        return CM_ENOMEM;
    }
    for (size_t i = 0; i < old.size; i++) {
        if (old.slots[i].used)
            *find(copy, old.slots[i].key, old.slots[i].part) = old.slots[i];
    }
    free(old.slots);
    return 0;
}

/* Never 0. */
static uint64_t print_of(const cm_answer_t *answer)
{
    return XXH3_64bits(&answer->measures, sizeof answer->measures) | 1;
}

int cm_copy_add(cm_copy_t *copy, cm_str_t id, const cm_answer_t *answer)
{
    char right[CM_DOCUMENT_ID];
    uint8_t key[KEY];

    if (answer != NULL && !(copy->windows & 1u << answer->window))
        return 0;
    if (!read_key(id, key)) {
        stray_t *stray = cm_arena_alloc(&copy->texts, sizeof *stray);
        *stray = (stray_t){copy->part, cm_arena_copy(&copy->texts, id), copy->strays};
        copy->strays = stray;
        return 0;
    }
    if (copy->count * 4 >= copy->size * 3 && grow(copy) < 0)
        return CM_ENOMEM;
    entry_t *entry = find(copy, key, copy->part);
    copy->count += !entry->used;
    *entry = (entry_t){.part = (uint8_t)copy->part, .used = true};
    memcpy(entry->key, key, KEY);
    if (answer != NULL && cm_answer_exact(answer)) {
        cm_document_id(answer, right);
        entry->print = memcmp(right, id.data, sizeof right) == 0 ? print_of(answer) : 0;
    }
    return 0;
}

bool cm_copy_has(cm_copy_t *copy, const cm_answer_t *answer, const char id[CM_DOCUMENT_ID])
{
    uint8_t key[KEY];

    if (copy->size == 0 || !read_key((cm_str_t){id, CM_DOCUMENT_ID}, key))
        return false;
    entry_t *entry = find(copy, key, answer->dimension == CM_PER_CELL ? 0 : 1);
    if (!entry->used)
        return false;
    entry->known = true;
    return entry->print == print_of(answer);
}

int cm_copy_rest(const cm_copy_t *copy, int (*take)(void *context, int part, cm_str_t id),
                 void *context)
{
    static const char digits[] = "0123456789abcdef";
    char id[CM_DOCUMENT_ID];
    int rc = 0;

    for (const stray_t *stray = copy->strays; rc == 0 && stray != NULL; stray = stray->next)
        rc = take(context, stray->part, stray->id);
    for (size_t i = 0; rc == 0 && i < copy->size; i++) {
        const entry_t *entry = &copy->slots[i];
        if (!entry->used || entry->known)
            continue;
        for (int k = 0; k < KEY; k++) {
            id[2 * k] = digits[entry->key[k] >> 4];
            id[2 * k + 1] = digits[entry->key[k] & 15];
        }
        rc = take(context, entry->part, (cm_str_t){id, sizeof id});
    }
    return rc;
}

void cm_copy_free(cm_copy_t *copy)
{
    if (copy == NULL)
        return;
    free(copy->slots);
    cm_arena_free(&copy->texts);
    free(copy);
}
