#include "index/order.h"

#include "base/str.h"

#include <stdlib.h>

enum { DIGIT_BITS = 16, DIGITS = 1 << DIGIT_BITS };

/* ---- texts ---- */

/* A string without the prefix that all strings share. Its first eight bytes as a number compare in
 * one step, which is mostly enough. */
typedef struct text {
    uint64_t head;
    cm_str_t rest;
    uint32_t id;
} text_t;

static uint64_t head_of(cm_str_t text)
{
    uint64_t head = 0;
    for (size_t i = 0; i < sizeof head; i++)
        head = head << 8 | (i < text.len ? (uint8_t)text.data[i] : 0);
    return head;
}

static int by_text(const void *a, const void *b)
{
    const text_t *x = a, *y = b;
    if (x->head != y->head)
        return x->head < y->head ? -1 : 1;
    return cm_str_compare(x->rest, y->rest);
}

/* The length of the prefix that all strings share. */
static size_t common_prefix(const text_t *texts, uint32_t count)
{
    size_t common = count > 0 ? texts[0].rest.len : 0;

    for (uint32_t i = 1; i < count; i++) {
        size_t same = 0;
        while (same < common && same < texts[i].rest.len &&
               texts[i].rest.data[same] == texts[0].rest.data[same])
            same++;
        common = same;
    }
    return common;
}

/* The ids of a field in the order of their strings; the caller frees the array. */
static int order_texts(cm_reader_t *reader, cm_field_t field, uint32_t **ids, uint32_t *count,
                       cm_err_t *err)
{
    *ids = NULL;
    int rc = cm_reader_string_count(reader, field, count, err);
    if (rc < 0)
        return rc;
    text_t *texts = malloc(((size_t)*count + 1) * sizeof *texts);
    *ids = malloc(((size_t)*count + 1) * sizeof **ids);
    if (texts == NULL || *ids == NULL)
        rc = cm_fail_memory(err);
    for (uint32_t id = 0; rc == 0 && id < *count; id++) {
        texts[id].id = id;
        rc = cm_reader_string(reader, field, id, &texts[id].rest, err);
    }
    if (rc == 0) {
        size_t common = common_prefix(texts, *count);
        for (uint32_t i = 0; i < *count; i++) {
            texts[i].rest.data += common;
            texts[i].rest.len -= common;
            texts[i].head = head_of(texts[i].rest);
        }
        qsort(texts, *count, sizeof *texts, by_text);
        for (uint32_t i = 0; i < *count; i++)
            (*ids)[i] = texts[i].id;
    }
    free(texts);
    return rc;
}

/* ---- cells ---- */

/* What is sorted; `number` is the rank of a country, or the clicks, inverted. */
typedef struct entry {
    uint64_t number;
    const cm_cell_t *cell;
} entry_t;

/* The contract's cells of a url are neighbours in the result. Gives where those of each url begin.
 */
static size_t *url_starts(const cm_mill_result_t *result, uint32_t urls)
{
    size_t *starts = calloc((size_t)urls + 2, sizeof *starts);
    size_t at = 0;

    for (uint32_t url = 0; starts != NULL && url <= urls; url++) {
        starts[url] = at;
        while (url < urls && at < result->count && result->cells[at]->key.url == url)
            at++;
    }
    return starts;
}

static int by_number(const void *a, const void *b)
{
    const entry_t *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

/* By url and country; returns how many. */
static size_t arrange(const cm_mill_result_t *result, const size_t *starts, const uint32_t *urls,
                      uint32_t url_count, const uint32_t *ranks, entry_t *entries)
{
    size_t count = 0;

    for (uint32_t u = 0; u < url_count; u++) {
        size_t first = count;
        for (size_t i = starts[urls[u]]; i < starts[urls[u] + 1]; i++) {
            const cm_cell_t *cell = result->cells[i];
            if (cell->key.country != CM_CELL_ALL)
                entries[count++] = (entry_t){ranks[cell->key.country], cell};
        }
        if (count - first > 1)
            qsort(entries + first, count - first, sizeof *entries, by_number);
    }
    return count;
}

/* Stable, by the number's digits from the lowest up. `spare` is as long; the sorted one of the two
 * is returned. */
static entry_t *sort_digits(entry_t *entries, entry_t *spare, size_t count, uint64_t most)
{
    size_t *starts = cm_alloc((DIGITS + 1) * sizeof *starts);

    for (unsigned shift = 0; shift < 64 && most >> shift != 0; shift += DIGIT_BITS) {
        memset(starts, 0, (DIGITS + 1) * sizeof *starts);
        for (size_t i = 0; i < count; i++)
            starts[(entries[i].number >> shift & (DIGITS - 1)) + 1]++;
        for (size_t digit = 0; digit < DIGITS; digit++)
            starts[digit + 1] += starts[digit];
        for (size_t i = 0; i < count; i++)
            spare[starts[entries[i].number >> shift & (DIGITS - 1)]++] = entries[i];
        entry_t *swap = entries;
        entries = spare;
        spare = swap;
    }
    free(starts);
    return entries;
}

/* Most clicks first. */
static entry_t *sort_clicks(entry_t *entries, entry_t *spare, size_t count)
{
    uint64_t most = 0;

    for (size_t i = 0; i < count; i++) {
        uint64_t clicks = (uint64_t)entries[i].cell->measures.clicks;
        most = clicks > most ? clicks : most;
    }
    for (size_t i = 0; i < count; i++)
        entries[i].number = most - (uint64_t)entries[i].cell->measures.clicks;
    return sort_digits(entries, spare, count, most);
}

static int sort_cells(const cm_mill_result_t *result, const uint32_t *urls, uint32_t url_count,
                      const uint32_t *ranks, const cm_cell_t ***cells, size_t *count, cm_err_t *err)
{
    size_t *starts = url_starts(result, url_count);
    entry_t *entries = malloc((result->count + 1) * sizeof *entries);
    entry_t *spare = malloc((result->count + 1) * sizeof *spare);
    int rc = 0;

    *cells = malloc((result->count + 1) * sizeof **cells);
    if (starts == NULL || entries == NULL || spare == NULL || *cells == NULL) {
        rc = cm_fail_memory(err);
    } else {
        *count = arrange(result, starts, urls, url_count, ranks, entries);
        const entry_t *sorted = sort_clicks(entries, spare, *count);
        for (size_t i = 0; i < *count; i++)
            (*cells)[i] = sorted[i].cell;
    }
    free(starts);
    free(entries);
    free(spare);
    return rc;
}

int cm_order_cells(const cm_mill_result_t *result, cm_reader_t *reader, const cm_cell_t ***cells,
                   size_t *count, cm_err_t *err)
{
    uint32_t *urls = NULL, *countries = NULL, *ranks = NULL, url_count, country_count;

    *cells = NULL;
    *count = 0;
    int rc = order_texts(reader, CM_URL, &urls, &url_count, err);
    if (rc == 0)
        rc = order_texts(reader, CM_COUNTRY, &countries, &country_count, err);
    if (rc == 0) {
        ranks = cm_alloc(((size_t)country_count + 1) * sizeof *ranks);
        for (uint32_t rank = 0; rank < country_count; rank++)
            ranks[countries[rank]] = rank;
        rc = sort_cells(result, urls, url_count, ranks, cells, count, err);
    }
    free(urls);
    free(countries);
    free(ranks);
    return rc;
}
