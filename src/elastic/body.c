#include "elastic/body.h"

#include "base/json.h"

#include <stdlib.h>
#include <xxhash.h>
#include <zlib.h>

enum {
    FIRST_SLOTS = 1024,
    GZIP = 15 + 16, /* zlib's largest window, with gzip's header */
    MEMORY = 8,
};

uint64_t cm_bulk_id(cm_str_t id)
{
    return XXH3_64bits(id.data, id.len) | 1;
}

/* The slot of the id, or the free one where it would be. */
static uint64_t *find(const cm_bulk_body_t *body, uint64_t id)
{
    for (size_t at = (size_t)(id >> 1);; at++) {
        uint64_t *slot = &body->ids[at & (body->id_slots - 1)];
        if (*slot == 0 || *slot == id)
            return slot;
    }
}

static void remember(cm_bulk_body_t *body, uint64_t id)
{
    if (body->id_count * 2 >= body->id_slots) {
        uint64_t *old = body->ids;
        size_t count = body->id_slots;
        body->id_slots = count > 0 ? count * 2 : FIRST_SLOTS;
        body->ids = cm_alloc_zero(body->id_slots, sizeof *body->ids);
        for (size_t i = 0; i < count; i++) {
            if (old[i] != 0)
                *find(body, old[i]) = old[i];
        }
        free(old);
    }
    uint64_t *slot = find(body, id);
    body->id_count += *slot == 0;
    *slot = id;
}

bool cm_bulk_body_has(const cm_bulk_body_t *body, uint64_t id)
{
    return body->id_count > 0 && *find(body, id) != 0;
}

static cm_bulk_item_t *new_item(cm_bulk_body_t *body)
{
    if (body->count == body->cap) {
        body->cap = body->cap > 0 ? body->cap * 2 : 256;
        body->items = cm_realloc(body->items, body->cap * sizeof *body->items);
    }
    return &body->items[body->count++];
}

void cm_bulk_body_add(cm_bulk_body_t *body, cm_str_t index, cm_str_t id, cm_str_t document)
{
    cm_bulk_item_t *item = new_item(body);
    cm_buf_t *text = &body->text;

    *item = (cm_bulk_item_t){.at = text->len, .removal = document.len == 0, .id = cm_bulk_id(id)};
    cm_buf_add_text(text, item->removal ? "{\"delete\":{\"_index\":" : "{\"index\":{\"_index\":");
    cm_buf_add_json(text, index);
    cm_buf_add_text(text, ",\"_id\":");
    cm_buf_add_json(text, id);
    cm_buf_add_text(text, "}}\n");
    item->action_len = (uint32_t)(text->len - item->at);
    if (!item->removal) {
        cm_buf_add_str(text, document);
        cm_buf_add_char(text, '\n');
    }
    item->len = (uint32_t)(text->len - item->at);
    remember(body, item->id);
}

void cm_bulk_body_take(cm_bulk_body_t *body, const cm_bulk_body_t *from, const cm_bulk_item_t *item)
{
    cm_bulk_item_t *copy = new_item(body);

    *copy = *item;
    copy->at = body->text.len;
    cm_buf_add(&body->text, from->text.data + item->at, item->len);
    remember(body, item->id);
}

cm_str_t cm_bulk_item_document(const cm_bulk_body_t *body, const cm_bulk_item_t *item)
{
    if (item->removal)
        return (cm_str_t){"", 0};
    return (cm_str_t){body->text.data + item->at + item->action_len,
                      item->len - item->action_len - 1};
}

void cm_bulk_item_names(const cm_bulk_body_t *body, const cm_bulk_item_t *item, cm_buf_t *index,
                        cm_buf_t *id)
{
    cm_json_parser_t *parser = cm_json_parser_new();
    cm_str_t text;
    cm_json_t root, action, found;

    if (cm_json_parse(parser, (cm_str_t){body->text.data + item->at, item->action_len}, &root) &&
        cm_json_get(root, item->removal ? "delete" : "index", &action)) {
        if (cm_json_get(action, "_index", &found) && cm_json_text(found, &text))
            cm_buf_add_str(index, text);
        if (cm_json_get(action, "_id", &found) && cm_json_text(found, &text))
            cm_buf_add_str(id, text);
    }
    cm_json_parser_free(parser);
}

void cm_bulk_body_pack(cm_bulk_body_t *body)
{
    z_stream stream = {.next_in = (Bytef *)body->text.data, .avail_in = (uInt)body->text.len};

    if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, GZIP, MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
        abort(); /* as for want of any memory */
    cm_buf_clear(&body->packed);
    cm_buf_reserve(&body->packed, deflateBound(&stream, (uLong)body->text.len));
    stream.next_out = (Bytef *)body->packed.data;
    stream.avail_out = (uInt)body->packed.cap;
    deflate(&stream, Z_FINISH);
    body->packed.len = stream.total_out;
    deflateEnd(&stream);
}

void cm_bulk_body_clear(cm_bulk_body_t *body)
{
    cm_buf_clear(&body->text);
    cm_buf_clear(&body->packed);
    if (body->id_count > 0)
        memset(body->ids, 0, body->id_slots * sizeof *body->ids);
    body->count = body->id_count = 0;
    body->next = NULL;
}

void cm_bulk_body_free(cm_bulk_body_t *body)
{
    if (body == NULL)
        return;
    cm_buf_free(&body->text);
    cm_buf_free(&body->packed);
    free(body->items);
    free(body->ids);
    free(body);
}
