#include "event/event.h"

#include "base/clock.h"
#include "base/put.h"

#include <nettle/sha1.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif
#include <stdio.h>

/* 6ba7b810-9dad-11d1-80b4-00c04fd430c8, RFC 9562 section 6.6. */
static const uint8_t namespace_dns[16] = {0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1,
                                          0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8};

static void complete(cm_str_t *field)
{
    if (field->len == 0)
        *field = CM_STR("Unknown");
}

void cm_event_complete(cm_event_t *event)
{
    complete(&event->country);
    complete(&event->city);
    complete(&event->browser);
    complete(&event->os);
    complete(&event->device);
}

static int check_text(const char *name, cm_str_t text, size_t min, size_t max, bool utf8_known,
                      cm_err_t *err)
{
    if (text.len < min)
        return cm_fail(err, CM_EREJECT, "%s is missing or empty", name);
    if (text.len > max)
        return cm_fail(err, CM_EREJECT, "%s is %zu bytes long, the limit is %zu", name, text.len,
                       max);
    if (!utf8_known && !cm_utf8_valid(text.data, text.len))
        return cm_fail(err, CM_EREJECT, "%s is not valid UTF-8", name);
    return 0;
}

int cm_event_check(const cm_event_t *event, bool utf8_known, cm_err_t *err)
{
    const struct {
        const char *name;
        const cm_str_t *text;
        size_t min, max;
    } rules[] = {
        {"user_id", &event->user_id, 1, CM_USER_ID_MAX},
        {"url", &event->url, 1, CM_URL_MAX},
        {"country", &event->country, 0, CM_FIELD_MAX},
        {"city", &event->city, 0, CM_FIELD_MAX},
        {"browser", &event->browser, 0, CM_FIELD_MAX},
        {"os", &event->os, 0, CM_FIELD_MAX},
        {"device", &event->device, 0, CM_FIELD_MAX},
        {"row_key", &event->row_key, 0, CM_ROW_KEY_MAX},
    };

    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        int rc =
            check_text(rules[i].name, *rules[i].text, rules[i].min, rules[i].max, utf8_known, err);
        if (rc < 0)
            return rc;
    }
    if (event->extra != NULL) {
        int rc = cm_event_extra_check(event->extra, utf8_known, err);
        if (rc < 0)
            return rc;
    }
    return cm_timestamp_check(event->timestamp, err);
}

cm_str_t cm_event_name(const cm_event_t *event)
{
    return cm_event_is_view(event) ? CM_STR("pageview") : event->extra->text[CM_EXTRA_NAME];
}

cm_event_extra_t cm_event_extra_of(const cm_event_t *event)
{
    return event->extra != NULL ? *event->extra : CM_EVENT_EXTRA_NONE;
}

void cm_event_keep(cm_event_t *event, cm_arena_t *arena)
{
    cm_str_t *const strings[] = {&event->user_id, &event->url, &event->country, &event->city,
                                 &event->browser, &event->os,  &event->device,  &event->row_key};

    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        *strings[i] = cm_arena_copy(arena, *strings[i]);
    event->extra = cm_event_extra_copy(event->extra, arena);
}

size_t cm_event_size(const cm_event_t *event)
{
    return event->user_id.len + event->url.len + event->country.len + event->city.len +
           event->browser.len + event->os.len + event->device.len + event->row_key.len +
           cm_event_extra_size(event->extra);
}

/* Version and variant (RFC 9562, 4.1 and 4.2). */
static void set_version_5(uint8_t uuid[16])
{
    uuid[6] = (uint8_t)((uuid[6] & 0x0F) | 0x50);
    uuid[8] = (uint8_t)((uuid[8] & 0x3F) | 0x80);
}

static void uuid5(struct sha1_ctx *hash, uint8_t uuid[16])
{
    uint8_t digest[SHA1_DIGEST_SIZE];
    sha1_digest(hash, sizeof digest, digest);
    memcpy(uuid, digest, 16);
    set_version_5(uuid);
}

void cm_uuid5(cm_str_t name, char text[CM_UUID_TEXT])
{
    struct sha1_ctx hash;
    uint8_t uuid[16];

    sha1_init(&hash);
    sha1_update(&hash, sizeof namespace_dns, namespace_dns);
    sha1_update(&hash, name.len, (const uint8_t *)name.data);
    uuid5(&hash, uuid);
    cm_uuid_format(uuid, text);
}

/* With nearly all user ids the input fits one block of SHA-1, which is built here. The general
 * functions take twice the time, because they collect the input first. */
void cm_row_key_derive(cm_str_t user_id, int64_t timestamp, uint8_t uuid[16])
{
    enum {
        NAME_MAX = SHA1_BLOCK_SIZE - sizeof namespace_dns - 1 - 8
    }; /* a one bit and the length */
    char digits[2 + CM_PUT_U64];

    digits[0] = '_';
    size_t len = (size_t)(cm_put_i64(digits + 1, timestamp) - digits);
    if (user_id.len + len > NAME_MAX) {
        struct sha1_ctx hash;
        sha1_init(&hash);
        sha1_update(&hash, sizeof namespace_dns, namespace_dns);
        sha1_update(&hash, user_id.len, (const uint8_t *)user_id.data);
        sha1_update(&hash, len, (const uint8_t *)digits);
        uuid5(&hash, uuid);
        return;
    }
    uint8_t block[SHA1_BLOCK_SIZE] = {0};
    uint32_t state[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    size_t total = sizeof namespace_dns + user_id.len + len;
    memcpy(block, namespace_dns, sizeof namespace_dns);
    memcpy(block + sizeof namespace_dns, user_id.data, user_id.len);
    memcpy(block + sizeof namespace_dns + user_id.len, digits, len);
    block[total] = 0x80;
    block[SHA1_BLOCK_SIZE - 2] = (uint8_t)(total * 8 >> 8);
    block[SHA1_BLOCK_SIZE - 1] = (uint8_t)(total * 8);
    nettle_sha1_compress(state, block);
    for (int i = 0; i < 16; i++)
        uuid[i] = (uint8_t)(state[i / 4] >> (24 - i % 4 * 8));
    set_version_5(uuid);
}

/* Adds `{length in bytes}:` and the text, so that no two lists of texts give the same name. */
static void hash_text(struct sha1_ctx *hash, cm_str_t text)
{
    char head[CM_PUT_U64 + 1];

    size_t len = (size_t)(CM_PUT(cm_put_u64(head, text.len), ":") - head);
    sha1_update(hash, len, (const uint8_t *)head);
    sha1_update(hash, text.len, (const uint8_t *)text.data);
}

void cm_event_derive_key(const cm_event_t *event, uint8_t uuid[16])
{
    char time[CM_PUT_U64 + 3];
    struct sha1_ctx hash;

    if (cm_event_is_view(event)) {
        cm_row_key_derive(event->user_id, event->timestamp, uuid);
        return;
    }
    size_t len = (size_t)(CM_PUT(cm_put_i64(CM_PUT(time, "_"), event->timestamp), "_") - time);
    sha1_init(&hash);
    sha1_update(&hash, sizeof namespace_dns, namespace_dns);
    sha1_update(&hash, event->user_id.len, (const uint8_t *)event->user_id.data);
    sha1_update(&hash, len, (const uint8_t *)time);
    hash_text(&hash, event->extra->text[CM_EXTRA_NAME]);
    hash_text(&hash, event->url);
    hash_text(&hash, event->extra->text[CM_EXTRA_PROPS]);
    uuid5(&hash, uuid);
}

/* The index in the text of the two digits of each byte. */
static const uint8_t uuid_at[16] = {0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34};

void cm_uuid_format(const uint8_t uuid[16], char text[CM_UUID_TEXT])
{
    for (int i = 0; i < 16; i++)
        cm_put_hex(text + uuid_at[i], uuid[i]);
    text[8] = text[13] = text[18] = text[23] = '-';
}

#ifdef __SSE2__
/* The values of 16 lower-case hexadecimal digits; false when there are other characters. */
static inline bool hex_values(const char digits[16], __m128i *values)
{
    __m128i text = _mm_loadu_si128((const __m128i *)digits);
    __m128i number = _mm_sub_epi8(text, _mm_set1_epi8('0'));
    __m128i letter = _mm_sub_epi8(text, _mm_set1_epi8('a'));
    /* An unsigned a <= b: the minimum of the two is a. */
    __m128i is_number = _mm_cmpeq_epi8(_mm_min_epu8(number, _mm_set1_epi8(9)), number);
    __m128i is_letter = _mm_cmpeq_epi8(_mm_min_epu8(letter, _mm_set1_epi8(5)), letter);

    *values = _mm_or_si128(_mm_and_si128(is_number, number),
                           _mm_and_si128(is_letter, _mm_add_epi8(letter, _mm_set1_epi8(10))));
    return _mm_movemask_epi8(_mm_or_si128(is_number, is_letter)) == 0xFFFF;
}

/* Joins each pair of values to one byte, in the low half of its 16 bits. */
static inline __m128i pair_values(__m128i values)
{
    __m128i high = _mm_slli_epi16(values, 4); /* the first digit of a pair is the lower byte */
    return _mm_and_si128(_mm_or_si128(high, _mm_srli_epi16(values, 8)), _mm_set1_epi16(0xFF));
}

/* Row keys took a fifth of an import's time, and half of that was spent here when it read one digit
 * after the other. */
static bool parse_digits(const char digits[32], uint8_t uuid[16])
{
    __m128i first, second;

    if (!hex_values(digits, &first) || !hex_values(digits + 16, &second))
        return false;
    _mm_storeu_si128((__m128i *)uuid, _mm_packus_epi16(pair_values(first), pair_values(second)));
    return true;
}
#else
static int hex_value(char digit)
{
    return digit >= '0' && digit <= '9'   ? digit - '0'
           : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10
                                          : -1;
}

static bool parse_digits(const char digits[32], uint8_t uuid[16])
{
    int all = 0;

    for (int i = 0; i < 16; i++) {
        int high = hex_value(digits[2 * i]), low = hex_value(digits[2 * i + 1]);
        all |= high | low;
        uuid[i] = (uint8_t)((high & 15) << 4 | (low & 15));
    }
    return all >= 0;
}
#endif

bool cm_uuid_parse(cm_str_t text, uint8_t uuid[16])
{
    char digits[32];

    if (text.len != CM_UUID_TEXT || text.data[8] != '-' || text.data[13] != '-' ||
        text.data[18] != '-' || text.data[23] != '-')
        return false;
    memcpy(digits, text.data, 8);
    memcpy(digits + 8, text.data + 9, 4);
    memcpy(digits + 12, text.data + 14, 4);
    memcpy(digits + 16, text.data + 19, 4);
    memcpy(digits + 20, text.data + 24, 12);
    return parse_digits(digits, uuid);
}

cm_str_t cm_event_row_key(const cm_event_t *event, char scratch[CM_UUID_TEXT])
{
    uint8_t uuid[16];
    if (event->row_key.len > 0)
        return event->row_key;
    cm_event_derive_key(event, uuid);
    cm_uuid_format(uuid, scratch);
    return (cm_str_t){scratch, CM_UUID_TEXT};
}

/* All memory is reserved at once and each byte is written once: that takes about 90 ns per event
 * without the row key. Appending the pieces to the buffer one by one took 400 ns. */
void cm_event_add_json(cm_buf_t *buf, const cm_event_t *event)
{
    enum { FRAME = 256 }; /* names, punctuation, timestamp: a little over 140 bytes */
    char scratch[CM_UUID_TEXT];
    cm_str_t row_key = cm_event_row_key(event, scratch);

    cm_buf_reserve(buf, FRAME + CM_PUT_JSON_TIMES *
                                    (row_key.len + event->user_id.len + event->url.len +
                                     event->country.len + event->city.len + event->browser.len +
                                     event->os.len + event->device.len));
    char *at = buf->data + buf->len;
    /* Spaces as Python's json.dumps writes them, so that a diff with its output is empty. */
    at = cm_put_json(CM_PUT(at, "{\"row_key\": \""), row_key);
    at = cm_put_json(CM_PUT(at, "\", \"user_id\": \""), event->user_id);
    at = cm_put_i64(CM_PUT(at, "\", \"timestamp\": "), event->timestamp);
    at = cm_put_json(CM_PUT(at, ", \"url\": \""), event->url);
    at = cm_put_json(CM_PUT(at, "\", \"country\": \""), event->country);
    at = cm_put_json(CM_PUT(at, "\", \"city\": \""), event->city);
    at = cm_put_json(CM_PUT(at, "\", \"browser\": \""), event->browser);
    at = cm_put_json(CM_PUT(at, "\", \"os\": \""), event->os);
    at = cm_put_json(CM_PUT(at, "\", \"device\": \""), event->device);
    at = CM_PUT(at, "\"}");
    *at = '\0';
    buf->len = (size_t)(at - buf->data);
    if (event->extra != NULL) {
        buf->len--; /* the brace */
        cm_event_extra_add_json(buf, event->extra);
        cm_buf_add_char(buf, '}');
    }
}

void cm_event_add_csv_header(cm_buf_t *buf, cm_event_csv_t form)
{
    cm_buf_add_text(buf, "row_key,user_id,timestamp,url,country,city,browser,os,device");
    for (int i = 0; form.extra && i < CM_EXTRA_COUNT; i++) {
        cm_buf_add_char(buf, ',');
        cm_buf_add_text(buf, cm_extra_names[i]);
    }
    cm_buf_add_char(buf, '\n');
}

/* Adds a text in quotes also when it has blanks around it, which a reader would ignore. */
static void add_csv_kept(cm_buf_t *buf, cm_str_t text, cm_buf_csv_fn add_text)
{
    const size_t at = buf->len;

    add_text(buf, text);
    if (cm_str_trim(text).len == text.len || buf->data[at] == '"')
        return;
    cm_buf_add_text(buf, "\"\"");
    memmove(buf->data + at + 1, buf->data + at, buf->len - at - 2);
    buf->data[at] = '"';
}

static void add_csv_extra(cm_buf_t *buf, const cm_event_extra_t *extra, cm_buf_csv_fn add_text)
{
    for (int i = 0; i < CM_EXTRA_TEXTS; i++) {
        cm_buf_add_char(buf, ',');
        if (extra != NULL)
            add_csv_kept(buf, extra->text[i], add_text);
    }
    cm_buf_add_char(buf, ',');
    if (extra != NULL && extra->engaged_ms >= 0)
        cm_buf_add_i64(buf, extra->engaged_ms);
}

void cm_event_add_csv(cm_buf_t *buf, const cm_event_t *event, cm_event_csv_t form)
{
    const cm_buf_csv_fn add_text = form.safe ? cm_buf_add_safe_csv : cm_buf_add_csv;
    char scratch[CM_UUID_TEXT];
    const cm_str_t tail[] = {event->url,     event->country, event->city,
                             event->browser, event->os,      event->device};

    add_text(buf, cm_event_row_key(event, scratch));
    cm_buf_add_char(buf, ',');
    add_text(buf, event->user_id);
    cm_buf_add_char(buf, ',');
    cm_buf_add_i64(buf, event->timestamp);
    for (size_t i = 0; i < sizeof tail / sizeof tail[0]; i++) {
        cm_buf_add_char(buf, ',');
        add_text(buf, tail[i]);
    }
    if (form.extra)
        add_csv_extra(buf, event->extra, add_text);
    cm_buf_add_char(buf, '\n');
}
