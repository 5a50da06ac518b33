#include "elastic/body.h"

#include <stdlib.h>
#include <xxhash.h>

/* ---- ids ---- */

uint64_t cm_elastic_id_hash(cm_str_t index, cm_str_t id)
{
    uint64_t hash = XXH3_64bits_withSeed(id.data, id.len, XXH3_64bits(index.data, index.len));
    return hash != 0 ? hash : 1;
}

/* The slot of the hash, or the free one where it belongs. */
static size_t find_slot(const cm_elastic_ids_t *ids, uint64_t hash)
{
    size_t at = hash & (ids->cap - 1);

    while (ids->slots[at] != 0 && ids->slots[at] != hash)
        at = (at + 1) & (ids->cap - 1);
    return at;
}

bool cm_elastic_ids_has(const cm_elastic_ids_t *ids, uint64_t hash)
{
    return ids->cap > 0 && ids->slots[find_slot(ids, hash)] == hash;
}

static void grow(cm_elastic_ids_t *ids)
{
    cm_elastic_ids_t larger = {.cap = ids->cap > 0 ? 2 * ids->cap : 1024, .count = ids->count};

    larger.slots = cm_alloc_zero(larger.cap, sizeof *larger.slots);
    for (size_t i = 0; i < ids->cap; i++) {
        if (ids->slots[i] != 0)
            larger.slots[find_slot(&larger, ids->slots[i])] = ids->slots[i];
    }
    free(ids->slots);
    *ids = larger;
}

void cm_elastic_ids_add(cm_elastic_ids_t *ids, uint64_t hash)
{
    if (2 * (ids->count + 1) > ids->cap)
        grow(ids);
    size_t at = find_slot(ids, hash);
    ids->count += ids->slots[at] == 0;
    ids->slots[at] = hash;
}

/* Closes the gap with later entries that would not be found otherwise (Knuth 6.4, algorithm R). */
void cm_elastic_ids_remove(cm_elastic_ids_t *ids, uint64_t hash)
{
    const size_t mask = ids->cap - 1;

    if (!cm_elastic_ids_has(ids, hash))
        return;
    size_t gap = find_slot(ids, hash);
    for (size_t at = (gap + 1) & mask; ids->slots[at] != 0; at = (at + 1) & mask) {
        size_t home = ids->slots[at] & mask;
        if (((at - home) & mask) < ((at - gap) & mask))
            continue;
        ids->slots[gap] = ids->slots[at];
        gap = at;
    }
    ids->slots[gap] = 0;
    ids->count--;
}

void cm_elastic_ids_free(cm_elastic_ids_t *ids)
{
    free(ids->slots);
    *ids = (cm_elastic_ids_t){0};
}

/* ---- bodies ---- */

size_t cm_elastic_body_size(cm_str_t action, cm_str_t document, bool removes)
{
    return action.len + 1 + (removes ? 0 : document.len + 1);
}

void cm_elastic_body_add(cm_elastic_body_t *body, cm_str_t action, cm_str_t document, bool removes,
                         uint64_t hash)
{
    if (body->count == body->cap) {
        body->cap = body->cap > 0 ? 2 * body->cap : 256;
        body->docs = cm_realloc(body->docs, body->cap * sizeof *body->docs);
    }
    body->docs[body->count++] = (cm_elastic_doc_t){.hash = hash,
                                                   .at = body->text.len,
                                                   .action_len = (uint32_t)action.len,
                                                   .document_len = (uint32_t)document.len,
                                                   .removes = removes};
    cm_buf_reserve(&body->text, cm_elastic_body_size(action, document, removes));
    cm_buf_add_str(&body->text, action);
    cm_buf_add_char(&body->text, '\n');
    if (removes)
        return;
    cm_buf_add_str(&body->text, document);
    cm_buf_add_char(&body->text, '\n');
}

size_t cm_elastic_body_bytes(const cm_elastic_body_t *body, size_t count)
{
    return count < body->count ? body->docs[count].at : body->text.len;
}

size_t cm_elastic_body_fitting(const cm_elastic_body_t *body, size_t limit)
{
    size_t count = body->count;

    if (body->text.len <= limit)
        return count;
    for (count = 1; count < body->count; count++) {
        if (cm_elastic_body_bytes(body, count + 1) > limit)
            break;
    }
    return count;
}

cm_str_t cm_elastic_body_action(const cm_elastic_body_t *body, size_t doc)
{
    return (cm_str_t){body->text.data + body->docs[doc].at, body->docs[doc].action_len};
}

cm_str_t cm_elastic_body_document(const cm_elastic_body_t *body, size_t doc)
{
    const cm_elastic_doc_t *one = &body->docs[doc];

    if (one->removes)
        return CM_STR("");
    return (cm_str_t){body->text.data + one->at + one->action_len + 1, one->document_len};
}

void cm_elastic_body_sort(cm_elastic_body_t *body)
{
    body->kept = body->kept_bytes = 0;
}

/* Moves a document that stays forward over those that were dropped, in order. */
void cm_elastic_body_keep(cm_elastic_body_t *body, size_t doc)
{
    cm_elastic_doc_t one = body->docs[doc];
    size_t bytes = one.action_len + 1 + (one.removes ? 0 : (size_t)one.document_len + 1);

    if (body->kept_bytes != one.at)
        memmove(body->text.data + body->kept_bytes, body->text.data + one.at, bytes);
    one.at = body->kept_bytes;
    body->docs[body->kept++] = one;
    body->kept_bytes += bytes;
}

void cm_elastic_body_end_sort(cm_elastic_body_t *body, size_t from)
{
    for (size_t i = from; i < body->count; i++)
        cm_elastic_body_keep(body, i);
    body->count = body->kept;
    body->text.len = body->kept_bytes;
    if (body->text.data != NULL)
        body->text.data[body->text.len] = '\0';
}

int cm_elastic_body_gzip(z_stream *stream, cm_str_t text, cm_buf_t *wire, cm_err_t *err)
{
    cm_buf_clear(wire);
    if (deflateReset(stream) != Z_OK)
        return cm_fail(err, CM_EINTERNAL, "zlib cannot start again");
    cm_buf_reserve(wire, deflateBound(stream, text.len));
    stream->next_in = (Bytef *)(uintptr_t)text.data;
    stream->avail_in = (uInt)text.len;
    stream->next_out = (Bytef *)wire->data;
    stream->avail_out = (uInt)(wire->cap - 1);
    if (deflate(stream, Z_FINISH) != Z_STREAM_END)
        return cm_fail(err, CM_EINTERNAL, "zlib does not compress %zu bytes", text.len);
    wire->len = wire->cap - 1 - stream->avail_out;
    return 0;
}

void cm_elastic_body_clear(cm_elastic_body_t *body)
{
    body->state = CM_BODY_FREE;
    body->count = body->sent = 0;
    body->again = false;
    body->delay_ms = 0;
    cm_buf_clear(&body->text);
    cm_buf_clear(&body->answer);
}

void cm_elastic_body_free(cm_elastic_body_t *body)
{
    free(body->docs);
    cm_buf_free(&body->text);
    cm_buf_free(&body->wire);
    cm_buf_free(&body->answer);
    cm_buf_free(&body->url);
}
