/* Prepares a schema: libavro checks it and resolves names, and this file walks its types together
 * with their JSON, which has the logical types. */
#include "kafka/avro_node.h"

#include "base/json.h"
#include "base/terminal.h"

#include <avro.h>
#include <stdlib.h>

enum {
    FIXED_MOST = 1 << 20, /* bytes of a fixed type */
    SCALE_MOST = 1000,    /* digits of a decimal after its point */
    NAMED_FIRST = 16,
};

typedef cm_kafka_avro_node_t node_t;

/* A named type that was prepared; others refer to it. */
typedef struct named {
    avro_schema_t schema;
    node_t *node;
} named_t;

typedef struct build {
    cm_kafka_avro_t *avro;
    named_t *named;
    size_t count, cap;
    cm_err_t *err;
} build_t;

static int prepare(build_t *build, cm_json_t json, avro_schema_t schema, int depth, node_t **made);

static int refuse(build_t *build, const char *what)
{
    return cm_fail(build->err, CM_EREJECT, "the Avro schema cannot be used: %s", what);
}

/* ---- logical types ---- */

static const struct {
    cm_str_t name;
    cm_kafka_avro_kind_t kind;
    cm_kafka_avro_logical_t logical;
    int digits;
} logicals[] = {
    {{"date", 4}, CM_AVRO_INT, CM_AVRO_DATE, 0},
    {{"time-millis", 11}, CM_AVRO_INT, CM_AVRO_TIME, 3},
    {{"time-micros", 11}, CM_AVRO_LONG, CM_AVRO_TIME, 6},
    {{"timestamp-millis", 16}, CM_AVRO_LONG, CM_AVRO_TIMESTAMP, 3},
    {{"timestamp-micros", 16}, CM_AVRO_LONG, CM_AVRO_TIMESTAMP, 6},
    {{"timestamp-nanos", 15}, CM_AVRO_LONG, CM_AVRO_TIMESTAMP, 9},
    {{"local-timestamp-millis", 22}, CM_AVRO_LONG, CM_AVRO_LOCAL_TIME, 3},
    {{"local-timestamp-micros", 22}, CM_AVRO_LONG, CM_AVRO_LOCAL_TIME, 6},
    {{"local-timestamp-nanos", 21}, CM_AVRO_LONG, CM_AVRO_LOCAL_TIME, 9},
};

/* A logical type that is not valid for its type is ignored, as the specification asks. */
static void set_logical(node_t *node, cm_json_t json)
{
    cm_json_t value;
    cm_str_t name;
    int64_t precision, scale = 0;

    if (!cm_json_get(json, "logicalType", &value) || !cm_json_text(value, &name))
        return;
    for (size_t i = 0; i < sizeof logicals / sizeof *logicals; i++) {
        if (node->kind != logicals[i].kind || !cm_str_equal(name, logicals[i].name))
            continue;
        node->logical = logicals[i].logical;
        node->digits = logicals[i].digits;
    }
    if (node->kind == CM_AVRO_FIXED && node->size == 16 && cm_str_equal(name, CM_STR("uuid")))
        node->logical = CM_AVRO_UUID;
    if ((node->kind != CM_AVRO_BYTES && node->kind != CM_AVRO_FIXED) ||
        !cm_str_equal(name, CM_STR("decimal")) || !cm_json_get(json, "precision", &value) ||
        !cm_json_i64(value, &precision) ||
        (cm_json_get(json, "scale", &value) && !cm_json_i64(value, &scale)) || scale < 0 ||
        scale > precision || scale > SCALE_MOST)
        return;
    node->logical = CM_AVRO_DECIMAL;
    node->digits = (int)scale;
}

/* ---- types ---- */

static node_t *add_node(build_t *build, cm_kafka_avro_kind_t kind, size_t count, bool names)
{
    node_t *node = cm_arena_alloc(&build->avro->arena, sizeof *node);

    *node = (node_t){.kind = kind, .count = count};
    if (kind != CM_AVRO_ENUM && count > 0)
        node->items = cm_arena_alloc(&build->avro->arena, count * sizeof *node->items);
    if (names && count > 0)
        node->names = cm_arena_alloc(&build->avro->arena, count * sizeof *node->names);
    return node;
}

/* Before its fields are prepared, since they may refer to it. */
static void add_named(build_t *build, avro_schema_t schema, node_t *node)
{
    if (build->count == build->cap) {
        build->cap = build->cap ? build->cap * 2 : NAMED_FIRST;
        build->named = cm_realloc(build->named, build->cap * sizeof *build->named);
    }
    build->named[build->count++] = (named_t){schema, node};
}

static int find_named(build_t *build, avro_schema_t link, node_t **made)
{
    avro_schema_t target = avro_schema_link_target(link);

    for (size_t i = 0; i < build->count; i++) {
        if (build->named[i].schema == target) {
            *made = build->named[i].node;
            return 0;
        }
    }
    return refuse(build, "it refers to a type that it does not define");
}

/* The walk over a list of types in JSON beside libavro's list. */
typedef struct list_walk {
    build_t *build;
    avro_schema_t schema;
    node_t *node;
    size_t at;
    int depth;
} list_walk_t;

static int take_field(void *context, cm_json_t item)
{
    list_walk_t *walk = context;
    const int at = (int)walk->at;
    cm_json_t type;

    if (walk->at >= walk->node->count || !cm_json_get(item, "type", &type))
        return refuse(walk->build, "a field has no type");
    walk->node->names[at] = cm_arena_copy(&walk->build->avro->arena,
                                          cm_str(avro_schema_record_field_name(walk->schema, at)));
    walk->at++;
    return prepare(walk->build, type, avro_schema_record_field_get_by_index(walk->schema, at),
                   walk->depth + 1, &walk->node->items[at]);
}

static int take_branch(void *context, cm_json_t item)
{
    list_walk_t *walk = context;
    const int at = (int)walk->at;

    if (walk->at >= walk->node->count)
        return refuse(walk->build, "a union is not valid");
    walk->at++;
    return prepare(walk->build, item, avro_schema_union_branch(walk->schema, at), walk->depth + 1,
                   &walk->node->items[at]);
}

/* A list of JSON that libavro has read in another way would leave types empty. */
static int end_walk(const list_walk_t *walk, int rc)
{
    if (rc == 0 && walk->at != walk->node->count)
        return refuse(walk->build, "a list of types is not valid");
    return rc;
}

static int prepare_record(build_t *build, cm_json_t json, avro_schema_t schema, int depth,
                          node_t **made)
{
    cm_json_t fields;

    if (!cm_json_get(json, "fields", &fields))
        return refuse(build, "a record has no fields");
    *made = add_node(build, CM_AVRO_RECORD, avro_schema_record_size(schema), true);
    add_named(build, schema, *made);
    list_walk_t walk = {build, schema, *made, 0, depth};
    return end_walk(&walk, cm_json_items(fields, take_field, &walk));
}

static int prepare_union(build_t *build, cm_json_t json, avro_schema_t schema, int depth,
                         node_t **made)
{
    *made = add_node(build, CM_AVRO_UNION, avro_schema_union_size(schema), false);
    list_walk_t walk = {build, schema, *made, 0, depth};
    return end_walk(&walk, cm_json_items(json, take_branch, &walk));
}

static int prepare_items(build_t *build, cm_json_t json, avro_schema_t schema, int depth,
                         node_t **made)
{
    const bool is_map = avro_typeof(schema) == AVRO_MAP;
    cm_json_t type;

    if (!cm_json_get(json, is_map ? "values" : "items", &type))
        return refuse(build, "an array or a map has no type of its items");
    *made = add_node(build, is_map ? CM_AVRO_MAP : CM_AVRO_ARRAY, 1, false);
    return prepare(build, type,
                   is_map ? avro_schema_map_values(schema) : avro_schema_array_items(schema),
                   depth + 1, &(*made)->items[0]);
}

static void prepare_enum(build_t *build, avro_schema_t schema, node_t **made)
{
    const int count = avro_schema_enum_number_of_symbols(schema);

    *made = add_node(build, CM_AVRO_ENUM, count > 0 ? (size_t)count : 0, true);
    add_named(build, schema, *made);
    for (int i = 0; i < count; i++)
        (*made)->names[i] =
            cm_arena_copy(&build->avro->arena, cm_str(avro_schema_enum_get(schema, i)));
}

static int prepare_fixed(build_t *build, avro_schema_t schema, node_t **made)
{
    const int64_t size = avro_schema_fixed_size(schema);

    if (size < 0 || size > FIXED_MOST) /* libavro takes any number */
        return refuse(build, "a fixed type has no valid size");
    *made = add_node(build, CM_AVRO_FIXED, 0, false);
    (*made)->size = (size_t)size;
    add_named(build, schema, *made);
    return 0;
}

static int prepare_simple(build_t *build, avro_schema_t schema, node_t **made)
{
    static const struct {
        avro_type_t type;
        cm_kafka_avro_kind_t kind;
    } kinds[] = {
        {AVRO_NULL, CM_AVRO_NULL},   {AVRO_BOOLEAN, CM_AVRO_BOOLEAN}, {AVRO_INT32, CM_AVRO_INT},
        {AVRO_INT64, CM_AVRO_LONG},  {AVRO_FLOAT, CM_AVRO_FLOAT},     {AVRO_DOUBLE, CM_AVRO_DOUBLE},
        {AVRO_BYTES, CM_AVRO_BYTES}, {AVRO_STRING, CM_AVRO_STRING},
    };

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (avro_typeof(schema) == kinds[i].type) {
            *made = add_node(build, kinds[i].kind, 0, false);
            return 0;
        }
    }
    return refuse(build, "it has a type that is not known here");
}

static int prepare(build_t *build, cm_json_t json, avro_schema_t schema, int depth, node_t **made)
{
    int rc = 0;

    if (schema == NULL || depth > CM_KAFKA_AVRO_DEPTH)
        return refuse(build, "it is nested too deep");
    switch (avro_typeof(schema)) {
    case AVRO_LINK:
        return find_named(build, schema, made);
    case AVRO_RECORD:
        return prepare_record(build, json, schema, depth, made);
    case AVRO_UNION:
        return prepare_union(build, json, schema, depth, made);
    case AVRO_ARRAY:
    case AVRO_MAP:
        return prepare_items(build, json, schema, depth, made);
    case AVRO_ENUM:
        prepare_enum(build, schema, made);
        return 0;
    case AVRO_FIXED:
        rc = prepare_fixed(build, schema, made);
        break;
    default:
        rc = prepare_simple(build, schema, made);
        break;
    }
    if (rc == 0)
        set_logical(*made, json);
    return rc;
}

/* ---- a schema and those that it refers to ---- */

/* libavro resolves names only within one text: the schemas become the fields of one record, which
 * has no namespace, so that their names stay what they are. */
static int wrap(cm_json_parser_t *parser, const cm_str_t *texts, size_t count, cm_buf_t *whole,
                cm_err_t *err)
{
    cm_json_t root;

    cm_buf_add_text(whole, "{\"type\":\"record\",\"name\":\"clickmill_schemas\",\"fields\":[");
    for (size_t i = 0; i < count; i++) {
        if (!cm_json_parse(parser, texts[i], &root))
            return cm_fail(err, CM_EREJECT, "the Avro schema cannot be used: it is not JSON");
        cm_buf_printf(whole, "%s{\"name\":\"schema_%zu\",\"type\":", i > 0 ? "," : "", i);
        cm_buf_add_str(whole, texts[i]);
        cm_buf_add_char(whole, '}');
    }
    cm_buf_add_text(whole, "]}");
    return 0;
}

/* libavro's sentence, which may quote the schema. */
static int refuse_schema(build_t *build)
{
    cm_buf_t safe = CM_BUF_INIT;

    cm_terminal_add(&safe, cm_str(avro_strerror()));
    int rc = refuse(build, safe.data != NULL ? safe.data : "");
    cm_buf_free(&safe);
    return rc;
}

int cm_kafka_avro_new(const cm_str_t *texts, size_t count, cm_kafka_avro_t **avro, cm_err_t *err)
{
    build_t build = {.avro = cm_alloc_zero(1, sizeof **avro), .err = err};
    cm_json_parser_t *parser = cm_json_parser_new();
    cm_buf_t whole = CM_BUF_INIT;
    avro_schema_t schema = NULL;
    node_t *root = NULL;
    cm_json_t json;

    int rc = wrap(parser, texts, count, &whole, err);
    if (rc == 0 && avro_schema_from_json_length(whole.data, whole.len, &schema) != 0) {
        schema = NULL;
        rc = refuse_schema(&build);
    }
    if (rc == 0 && !cm_json_parse(parser, (cm_str_t){whole.data, whole.len}, &json))
        rc = refuse(&build, "it is not JSON");
    if (rc == 0)
        rc = prepare(&build, json, schema, 0, &root);
    if (rc == 0 && (root->kind != CM_AVRO_RECORD || root->count != count))
        rc = refuse(&build, "it is not one type");
    if (rc == 0)
        build.avro->root = root->items[count - 1];
    if (schema != NULL)
        avro_schema_decref(schema);
    cm_buf_free(&whole);
    cm_json_parser_free(parser);
    free(build.named);
    if (rc < 0)
        cm_kafka_avro_free(build.avro);
    else
        *avro = build.avro;
    return rc;
}

void cm_kafka_avro_free(cm_kafka_avro_t *avro)
{
    if (avro == NULL)
        return;
    cm_arena_free(&avro->arena);
    free(avro);
}
