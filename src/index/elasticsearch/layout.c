#include "index/elasticsearch/layout.h"

enum { PRIORITY = 500, NAME_MAX_BYTES = 200 };

typedef struct field {
    const char *name, *type;
    const char *format; /* of a date */
    bool totals;        /* only there */
} field_t;

/* Other programs may add fields to documents (dynamic: false): these are kept, but not indexed, and
 * cannot give another type to a field of Clickmill. */
static const field_t fields[] = {
    {"url", "keyword", NULL, false},
    {"country", "keyword", NULL, false},
    {"window", "keyword", NULL, false},
    {"window_start", "date", "epoch_millis", false},
    {"clicks", "long", NULL, false},
    {"unique_user_count", "long", NULL, false},
    {"average_time_spent", "double", NULL, false},
    {"time_spent_sum", "long", NULL, false},
    {"time_spent_count", "long", NULL, false},
    {"average_time_on_page", "double", NULL, false},
    {"time_on_page_sum", "long", NULL, false},
    {"time_on_page_count", "long", NULL, false},
    {"entrances", "long", NULL, false},
    {"exits", "long", NULL, false},
    {"updated_at", "date", "epoch_millis", false},
    {"dimension", "keyword", NULL, true},
    {"accepted", "long", NULL, true},
    {"processed", "long", NULL, true},
    {"events", "long", NULL, true},
    {"duplicates", "long", NULL, true},
    {"cells", "long", NULL, true},
    {"dead", "long", NULL, true},
};

enum { FIELDS = sizeof fields / sizeof fields[0], TOLD = 3 };

/* ---- names ---- */

static int check_name(const char *option, const char *name, cm_err_t *err)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.+";

    size_t len = strlen(name);
    if (len > 0 && len <= NAME_MAX_BYTES && strspn(name, allowed) == len &&
        strchr("-_.+", name[0]) == NULL)
        return 0;
    return cm_fail(err, CM_EUSAGE,
                   "%s: %s cannot be the name of an index: small letters, digits, - _ . + are "
                   "taken, a letter or digit first, %d at most",
                   option, name, NAME_MAX_BYTES);
}

/* Whether the template's pattern "NAME-*" covers the other's indices. */
static bool covers(const char *name, const char *other)
{
    size_t len = strlen(name);
    return strncmp(name, other, len) == 0 && (other[len] == '-' || other[len] == '\0');
}

int cm_index_elasticsearch_check_names(const cm_elastic_settings_t *settings, cm_err_t *err)
{
    int rc = check_name("elasticsearch.index", settings->index, err);
    if (rc == 0)
        rc = check_name("elasticsearch.totals", settings->totals, err);
    if (rc == 0 &&
        (covers(settings->index, settings->totals) || covers(settings->totals, settings->index)))
        rc = cm_fail(err, CM_EUSAGE,
                     "elasticsearch.index (%s) and elasticsearch.totals (%s): neither may be the "
                     "other, nor begin with the other and \"-\", because their indices could not "
                     "be told apart",
                     settings->index, settings->totals);
    return rc;
}

const char *cm_index_elasticsearch_alias(const cm_elastic_settings_t *settings,
                                         cm_index_elasticsearch_part_t part)
{
    return part == CM_PART_CELLS ? settings->index : settings->totals;
}

char *cm_index_elasticsearch_part(cm_index_elasticsearch_indices_t *indices,
                                  cm_index_elasticsearch_part_t part)
{
    return part == CM_PART_CELLS ? indices->cells : indices->totals;
}

/* ---- bodies ---- */

static void add_mapping(cm_buf_t *body, cm_index_elasticsearch_part_t part)
{
    cm_buf_add_text(body, "{\"dynamic\":false,\"properties\":{");
    for (int i = 0; i < FIELDS; i++) {
        if (fields[i].totals && part != CM_PART_TOTALS)
            continue;
        cm_buf_printf(body, "\"%s\":{\"type\":\"%s\"", fields[i].name, fields[i].type);
        if (fields[i].format != NULL)
            cm_buf_printf(body, ",\"format\":\"%s\"", fields[i].format);
        cm_buf_add_text(body, "},");
    }
    cm_buf_add_text(body, "\"URL\":{\"type\":\"alias\",\"path\":\"url\"}}}");
}

void cm_index_elasticsearch_add_component(cm_buf_t *body, const cm_elastic_settings_t *settings,
                                          cm_index_elasticsearch_part_t part)
{
    cm_buf_printf(body, "{\"template\":{\"settings\":{\"number_of_shards\":%d",
                  settings->shards > 0 ? settings->shards : 1);
    if (settings->replicas >= 0)
        cm_buf_printf(body, ",\"number_of_replicas\":%d", settings->replicas);
    cm_buf_add_text(body, "},\"mappings\":");
    add_mapping(body, part);
    cm_buf_add_text(body, "}}");
}

void cm_index_elasticsearch_add_template(cm_buf_t *body, const cm_elastic_settings_t *settings,
                                         cm_index_elasticsearch_part_t part)
{
    const char *alias = cm_index_elasticsearch_alias(settings, part);

    cm_buf_printf(body, "{\"index_patterns\":[\"%s-*\"],\"priority\":%d,\"composed_of\":[\"%s\"]}",
                  alias, PRIORITY, alias);
}

void cm_index_elasticsearch_add_index(cm_buf_t *body, cm_index_elasticsearch_part_t part,
                                      const char *alias)
{
    cm_buf_add_text(body, "{\"mappings\":");
    add_mapping(body, part);
    if (alias != NULL)
        cm_buf_printf(body, ",\"aliases\":{\"%s\":{}}", alias);
    cm_buf_add_char(body, '}');
}

/* ---- comparing ---- */

static void tell(cm_buf_t *sentence, int number, const char *field, cm_str_t got,
                 const char *member, const char *wanted)
{
    if (number > TOLD)
        return;
    if (number > 1)
        cm_buf_add_text(sentence, ", ");
    if (got.len == 0)
        cm_buf_printf(sentence, "%s lacks its %s %s", field, member, wanted);
    else
        cm_buf_printf(sentence, "%s has %s %.*s instead of %s", field, member, (int)got.len,
                      got.data, wanted);
}

int cm_index_elasticsearch_compare(const cm_index_seen_t *seen, cm_index_elasticsearch_part_t part,
                                   cm_buf_t *sentence)
{
    int wrong = 0;

    for (int i = 0; i < FIELDS; i++) {
        if (fields[i].totals && part != CM_PART_TOTALS)
            continue;
        cm_str_t type = cm_index_seen_field(seen, fields[i].name, "type");
        if (!cm_str_equal(type, cm_str(fields[i].type))) {
            tell(sentence, ++wrong, fields[i].name, type, "type", fields[i].type);
        } else if (fields[i].format != NULL) {
            cm_str_t format = cm_index_seen_field(seen, fields[i].name, "format");
            if (!cm_str_equal(format, cm_str(fields[i].format)))
                tell(sentence, ++wrong, fields[i].name, format, "format", fields[i].format);
        }
    }
    if (!cm_str_equal(cm_index_seen_field(seen, "URL", "path"), CM_STR("url")) && ++wrong <= TOLD)
        cm_buf_printf(sentence, "%sURL is no alias of url", wrong > 1 ? ", " : "");
    if (wrong > TOLD)
        cm_buf_printf(sentence, " and %d more", wrong - TOLD);
    return wrong;
}
