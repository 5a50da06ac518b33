/* How the index on Elasticsearch is laid out: templates, indices, aliases. */
#include "index/elasticsearch.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum {
    DIGITS = 6,
    PATH = 3 * CM_INDEX_NAME,
    LAST_MS = 1000, /* for searches that have looked where the alias leads, but not yet begun */
};

static const cm_str_t nothing = {"", 0};

/* What every function here needs. */
typedef struct layout {
    cm_elastic_t *client;
    const cm_elastic_settings_t *settings;
    const cm_waiter_t *waiter;
    cm_json_parser_t *parser;
    cm_buf_t body;
    cm_err_t *err;
} layout_t;

static layout_t start(cm_elastic_t *client, const cm_elastic_settings_t *settings,
                      const cm_waiter_t *waiter, cm_err_t *err)
{
    return (layout_t){.client = client,
                      .settings = settings,
                      .waiter = waiter,
                      .parser = cm_json_parser_new(),
                      .err = err};
}

static int end(layout_t *layout, int rc)
{
    cm_json_parser_free(layout->parser);
    cm_buf_free(&layout->body);
    return rc;
}

/* Asks with layout->body; the status, or a negative code. */
static int ask(layout_t *layout, const char *method, const char *path, cm_json_t *root)
{
    cm_elastic_reply_t reply;

    int rc = cm_elastic_ask(layout->client, method, path,
                            (cm_str_t){layout->body.data, layout->body.len}, layout->waiter, &reply,
                            layout->err);
    cm_buf_clear(&layout->body);
    if (rc < 0)
        return rc;
    if (root != NULL && !cm_json_parse(layout->parser, reply.body, root))
        return cm_fail(layout->err, CM_EIO, "%s answers %s %s with something else than JSON",
                       cm_elastic_host(layout->client), method, path);
    return reply.status;
}

/* The same where anything but 200 is a failure: 0. `doing` begins its sentence. */
static int order(layout_t *layout, const char *method, const char *path, const char *doing)
{
    cm_elastic_reply_t reply;

    int rc = cm_elastic_ask(layout->client, method, path,
                            (cm_str_t){layout->body.data, layout->body.len}, layout->waiter, &reply,
                            layout->err);
    cm_buf_clear(&layout->body);
    if (rc < 0)
        return rc;
    return reply.status == 200 ? 0 : cm_elastic_fail(layout->settings, &reply, doing, layout->err);
}

/* ---- templates ---- */

/* `updated_at` and `window_start` are dates, so that Kibana takes them as such. */
static const struct {
    const char *name, *type;
} fields[] = {
    {"url", "keyword"},
    {"country", "keyword"},
    {"window", "keyword"},
    {"window_start", "date"},
    {"dimension", "keyword"},
    {"clicks", "long"},
    {"unique_user_count", "long"},
    {"average_time_spent", "double"},
    {"time_spent_sum", "long"},
    {"time_spent_count", "long"},
    {"average_time_on_page", "double"},
    {"time_on_page_sum", "long"},
    {"time_on_page_count", "long"},
    {"entrances", "long"},
    {"exits", "long"},
    {"updated_at", "date"},
};

enum { FIELDS = sizeof fields / sizeof fields[0] };

/* Other fields are kept, but not indexed. */
static void add_mapping(cm_buf_t *body)
{
    cm_buf_add_text(body, "{\"dynamic\":false,\"properties\":{"
                          "\"URL\":{\"type\":\"alias\",\"path\":\"url\"}");
    for (int i = 0; i < FIELDS; i++)
        cm_buf_printf(body, ",\"%s\":{\"type\":\"%s\"%s}", fields[i].name, fields[i].type,
                      strcmp(fields[i].type, "date") == 0 ? ",\"format\":\"epoch_millis\"" : "");
    cm_buf_add_text(body, "}}");
}

static int put_templates(layout_t *layout, const char *alias)
{
    char path[PATH];
    cm_buf_t *body = &layout->body;

    snprintf(path, sizeof path, "/_component_template/%s", alias);
    cm_buf_printf(body, "{\"template\":{\"settings\":{\"number_of_shards\":%d",
                  layout->settings->shards);
    if (layout->settings->replicas >= 0)
        cm_buf_printf(body, ",\"number_of_replicas\":%d", layout->settings->replicas);
    cm_buf_add_text(body, "},\"mappings\":");
    add_mapping(body);
    cm_buf_add_text(body, "}}");
    int rc = order(layout, "PUT", path, "making a component template");
    if (rc < 0)
        return rc;
    snprintf(path, sizeof path, "/_index_template/%s", alias);
    cm_buf_printf(body,
                  "{\"index_patterns\":[\"%s-*\"],\"priority\":500,\"composed_of\":[\"%s\"],"
                  "\"_meta\":{\"made_by\":\"clickmill\"}}",
                  alias, alias);
    return order(layout, "PUT", path, "making an index template");
}

/* ---- what there is ---- */

/* Whether the name is the alias with a number behind it, as we make them. */
static bool numbered(cm_str_t name, const char *alias, long *number)
{
    size_t len = strlen(alias);

    if (name.len != len + 1 + DIGITS || memcmp(name.data, alias, len) != 0 || name.data[len] != '-')
        return false;
    *number = 0;
    for (size_t i = len + 1; i < name.len; i++) {
        if (name.data[i] < '0' || name.data[i] > '9')
            return false;
        *number = *number * 10 + (name.data[i] - '0');
    }
    return true;
}

typedef struct names {
    const char *alias;
    char index[CM_INDEX_NAME]; /* the first that the alias leads to */
    int count;                 /* how many it leads to */
    long latest;               /* the greatest number of those we have made */
    cm_buf_t left;             /* of these, the ones without an alias, each with "/" before it */
} names_t;

static int count_name(void *context, cm_str_t name, cm_json_t about)
{
    names_t *names = context;

    (void)about;
    if (names->count++ == 0)
        snprintf(names->index, sizeof names->index, "%.*s", (int)name.len, name.data);
    return 0;
}

/* Where the alias leads to: names->index, empty when there is none. */
static int find_alias(layout_t *layout, names_t *names)
{
    char path[PATH];
    cm_json_t root;

    snprintf(path, sizeof path, "/_alias/%s", names->alias);
    int status = ask(layout, "GET", path, &root);
    if (status < 0)
        return status;
    if (status == 200)
        cm_json_members(root, count_name, names);
    if (names->count > 1)
        return cm_fail(layout->err, CM_EUSAGE,
                       "the alias %s leads to %d indices, one is wanted: take the others away, or "
                       "choose another elasticsearch.index",
                       names->alias, names->count);
    if (names->count == 1)
        return 0;
    snprintf(path, sizeof path, "/%s/_mapping", names->alias);
    status = ask(layout, "GET", path, &root);
    if (status == 200)
        return cm_fail(layout->err, CM_EUSAGE,
                       "%s is an index, an alias is wanted in its place: `clickmill process "
                       "--rebuild` makes one and deletes that index, or choose another "
                       "elasticsearch.index",
                       names->alias);
    return status < 0 ? status : 0;
}

static bool same_name(cm_str_t name, const char *index)
{
    return name.len == strlen(index) && memcmp(name.data, index, name.len) == 0;
}

typedef struct epochs {
    const cm_elastic_indices_t *indices;
    char cells[CM_EPOCH + 1], totals[CM_EPOCH + 1];
} epochs_t;

static int read_epoch(void *context, cm_str_t name, cm_json_t about)
{
    epochs_t *epochs = context;
    cm_str_t epoch;
    cm_json_t found;

    if (!cm_json_find(about, "mappings/_meta/clickmill/epoch", &found) ||
        !cm_json_text(found, &epoch) || epoch.len != CM_EPOCH)
        return 0;
    memcpy(same_name(name, epochs->indices->cells) ? epochs->cells : epochs->totals, epoch.data,
           epoch.len);
    return 0;
}

/* Whose indices they are: indices->epoch, empty when they do not agree. */
static int find_epoch(layout_t *layout, cm_elastic_indices_t *indices)
{
    epochs_t epochs = {.indices = indices};
    char path[PATH];
    cm_json_t root;

    indices->epoch[0] = '\0';
    if (indices->cells[0] == '\0' || indices->totals[0] == '\0')
        return 0;
    snprintf(path, sizeof path, "/%s,%s/_mapping", indices->cells, indices->totals);
    int status = ask(layout, "GET", path, &root);
    if (status < 0)
        return status;
    if (status == 200)
        cm_json_members(root, read_epoch, &epochs);
    if (strcmp(epochs.cells, epochs.totals) == 0)
        memcpy(indices->epoch, epochs.cells, sizeof indices->epoch);
    return 0;
}

int cm_elastic_find(cm_elastic_t *client, const cm_elastic_settings_t *settings,
                    const cm_waiter_t *waiter, cm_elastic_indices_t *indices, cm_err_t *err)
{
    layout_t layout = start(client, settings, waiter, err);
    names_t cells = {.alias = settings->index}, totals = {.alias = settings->totals};

    int rc = find_alias(&layout, &cells);
    if (rc == 0)
        rc = find_alias(&layout, &totals);
    memcpy(indices->cells, cells.index, sizeof cells.index);
    memcpy(indices->totals, totals.index, sizeof totals.index);
    if (rc == 0)
        rc = find_epoch(&layout, indices);
    return end(&layout, rc);
}

/* ---- making ---- */

static int has_alias(void *context, cm_str_t name, cm_json_t about)
{
    (void)name;
    (void)about;
    *(bool *)context = true;
    return 0;
}

static int look_at_index(void *context, cm_str_t name, cm_json_t about)
{
    names_t *names = context;
    bool led_to = false;
    cm_json_t aliases;
    long number;

    if (!numbered(name, names->alias, &number))
        return 0;
    names->latest = number > names->latest ? number : names->latest;
    if (cm_json_get(about, "aliases", &aliases))
        cm_json_members(aliases, has_alias, &led_to);
    if (!led_to) {
        cm_buf_add_char(&names->left, '/');
        cm_buf_add_str(&names->left, name);
    }
    return 0;
}

static int list_indices(layout_t *layout, names_t *names)
{
    char path[PATH];
    cm_json_t root;

    snprintf(path, sizeof path, "/%s-*/_alias", names->alias);
    int status = ask(layout, "GET", path, &root);
    if (status == 200)
        cm_json_members(root, look_at_index, names);
    return status < 0 ? status : 0;
}

/* `from`: names with "/" before each; NULL: none. */
static int delete_left(layout_t *layout, const char *from)
{
    char path[PATH];
    int status = 0;

    while (status >= 0 && from != NULL && *from == '/') {
        size_t len = strcspn(from + 1, "/");
        snprintf(path, sizeof path, "/%.*s", (int)len, from + 1);
        status = ask(layout, "DELETE", path, NULL); /* gone already is as good */
        from += len + 1;
    }
    return status < 0 ? status : 0;
}

/* Makes the next index; with its alias, when it is the first. Somebody else may just have done
 * that. */
static int make_index(layout_t *layout, const char *alias, bool with_alias, long number,
                      char name[CM_INDEX_NAME])
{
    char path[PATH];
    cm_json_t root, type;
    cm_str_t text;

    snprintf(name, CM_INDEX_NAME, "%s-%0*ld", alias, DIGITS, number);
    snprintf(path, sizeof path, "/%s?wait_for_active_shards=0", name);
    if (with_alias)
        cm_buf_printf(&layout->body, "{\"aliases\":{\"%s\":{}}}", alias);
    int status = ask(layout, "PUT", path, &root);
    if (status < 0 || status == 200)
        return status < 0 ? status : 0;
    if (cm_json_find(root, "error/type", &type) && cm_json_text(type, &text) &&
        cm_str_equal(text, CM_STR("resource_already_exists_exception")))
        return with_alias ? 0
                          : cm_fail(layout->err, CM_EBUSY,
                                    "%s is being made by somebody else; try "
                                    "again when that has ended",
                                    name);
    cm_buf_t why = CM_BUF_INIT;
    if (cm_json_find(root, "error/reason", &type) && cm_json_text(type, &text))
        cm_buf_add_str(&why, text);
    int rc = cm_fail(layout->err, status == 400 ? CM_EUSAGE : CM_EIO,
                     "making the index %s: Elasticsearch answers %d: %.300s", name, status,
                     why.data != NULL ? why.data : "");
    cm_buf_free(&why);
    return rc;
}

static int prepare_alias(layout_t *layout, const char *alias, char name[CM_INDEX_NAME])
{
    names_t names = {.alias = alias};

    int rc = put_templates(layout, alias);
    if (rc < 0 || name[0] != '\0')
        return rc;
    rc = list_indices(layout, &names);
    if (rc == 0)
        rc = make_index(layout, alias, true, names.latest + 1, name);
    cm_buf_free(&names.left);
    return rc;
}

int cm_elastic_prepare(cm_elastic_t *client, const cm_elastic_settings_t *settings,
                       const cm_waiter_t *waiter, cm_elastic_indices_t *indices, cm_err_t *err)
{
    layout_t layout = start(client, settings, waiter, err);

    int rc = prepare_alias(&layout, settings->index, indices->cells);
    if (rc == 0)
        rc = prepare_alias(&layout, settings->totals, indices->totals);
    return end(&layout, rc);
}

static int next_index(layout_t *layout, const char *alias, char name[CM_INDEX_NAME])
{
    names_t names = {.alias = alias};

    int rc = put_templates(layout, alias);
    if (rc == 0)
        rc = list_indices(layout, &names);
    if (rc == 0)
        rc = delete_left(layout, names.left.data);
    if (rc == 0)
        rc = make_index(layout, alias, false, names.latest + 1, name);
    cm_buf_free(&names.left);
    return rc;
}

int cm_elastic_make_next(cm_elastic_t *client, const cm_elastic_settings_t *settings,
                         const cm_waiter_t *waiter, cm_elastic_indices_t *next, cm_err_t *err)
{
    layout_t layout = start(client, settings, waiter, err);

    *next = (cm_elastic_indices_t){.epoch = ""};
    int rc = next_index(&layout, settings->index, next->cells);
    if (rc == 0)
        rc = next_index(&layout, settings->totals, next->totals);
    return end(&layout, rc);
}

/* ---- checking ---- */

static int check_types(void *context, cm_str_t name, cm_json_t about)
{
    layout_t *layout = context;
    cm_json_t properties, found;

    for (int i = 0; i < FIELDS; i++) {
        cm_str_t type = CM_STR("missing");
        if (cm_json_find(about, "mappings/properties", &properties) &&
            cm_json_get(properties, fields[i].name, &found)) {
            type = CM_STR("object");
            if (cm_json_get(found, "type", &found))
                cm_json_text(found, &type);
        }
        if (!cm_str_equal(type, cm_str(fields[i].type)))
            return cm_fail(layout->err, CM_EUSAGE,
                           "index %.*s: field %s is %.*s, %s is wanted; `clickmill process "
                           "--rebuild` makes the index anew",
                           (int)name.len, name.data, fields[i].name, (int)type.len, type.data,
                           fields[i].type);
    }
    return 0;
}

int cm_elastic_check(cm_elastic_t *client, const cm_elastic_settings_t *settings,
                     const cm_elastic_indices_t *indices, cm_err_t *err)
{
    layout_t layout = start(client, settings, NULL, err);
    cm_str_t health = CM_STR("unknown");
    cm_json_t root, found;
    char path[PATH];

    snprintf(path, sizeof path, "/%s,%s/_mapping", indices->cells, indices->totals);
    int rc = ask(&layout, "GET", path, &root);
    if (rc >= 0)
        rc = rc == 200 ? cm_json_members(root, check_types, &layout) : 0;
    snprintf(path, sizeof path, "/_cluster/health/%s,%s?timeout=1s", indices->cells,
             indices->totals);
    if (rc == 0 && (rc = ask(&layout, "GET", path, &root)) >= 0) {
        rc = 0;
        if (cm_json_get(root, "status", &found))
            cm_json_text(found, &health);
        if (cm_str_equal(health, CM_STR("red")))
            rc = cm_fail(err, CM_EAWAY,
                         "the health of %s and %s is red: shards are missing; look at "
                         "/_cluster/allocation/explain",
                         indices->cells, indices->totals);
    }
    return end(&layout, rc);
}

/* ---- moving the aliases ---- */

typedef struct move {
    const char *alias;
    cm_buf_t actions;
    cm_buf_t left; /* indices that the aliases led to, each with "/" before it */
} move_t;

/* An index of the alias' name must go in the same step; others go when nobody asks them any more.
 */
static int add_removal(void *context, cm_str_t name, cm_json_t about)
{
    move_t *move = context;
    const bool index = same_name(name, move->alias);

    (void)about;
    cm_buf_add_text(&move->actions,
                    index ? ",{\"remove_index\":{\"index\":" : ",{\"remove\":{\"index\":");
    cm_buf_add_json(&move->actions, name);
    if (!index) {
        cm_buf_printf(&move->actions, ",\"alias\":\"%s\"", move->alias);
        cm_buf_add_char(&move->left, '/');
        cm_buf_add_str(&move->left, name);
    }
    cm_buf_add_text(&move->actions, "}}");
    return 0;
}

/* Appends: the alias leads to `index`, and no longer to what it led to. */
static int add_move(layout_t *layout, move_t *move, const char *alias, const char *index)
{
    char path[PATH];
    cm_json_t root;

    move->alias = alias;
    cm_buf_printf(&move->actions, "%s{\"add\":{\"index\":\"%s\",\"alias\":\"%s\"}}",
                  move->actions.len > 0 ? "," : "", index, alias);
    snprintf(path, sizeof path, "/%s/_alias", alias); /* finds an index as well as an alias */
    int status = ask(layout, "GET", path, &root);
    if (status == 200)
        cm_json_members(root, add_removal, move);
    return status < 0 ? status : 0;
}

int cm_elastic_swap(cm_elastic_t *client, const cm_elastic_settings_t *settings,
                    const cm_waiter_t *waiter, const cm_elastic_indices_t *next, cm_err_t *err)
{
    layout_t layout = start(client, settings, waiter, err);
    cm_elastic_indices_t now = *next;
    move_t move = {.alias = NULL};

    int rc = cm_elastic_refresh(client, waiter, next, err);
    if (rc == 0)
        rc = find_epoch(&layout, &now);
    if (rc == 0 && strcmp(now.epoch, next->epoch) != 0)
        rc = cm_fail(err, CM_EBUSY,
                     "somebody else has begun to rebuild %s meanwhile; try again when that has "
                     "ended",
                     settings->index);
    if (rc == 0)
        rc = add_move(&layout, &move, settings->index, next->cells);
    if (rc == 0)
        rc = add_move(&layout, &move, settings->totals, next->totals);
    if (rc == 0) {
        cm_buf_printf(&layout.body, "{\"actions\":[%s]}", move.actions.data);
        rc = order(&layout, "POST", "/_aliases", "moving the aliases to the new indices");
    }
    if (rc == 0 && move.left.len > 0) {
        cm_sleep_ms(LAST_MS);
        rc = delete_left(&layout, move.left.data);
    }
    cm_buf_free(&move.actions);
    cm_buf_free(&move.left);
    return end(&layout, rc);
}

int cm_elastic_new_epoch(char epoch[CM_EPOCH + 1], cm_err_t *err)
{
    unsigned char random[CM_EPOCH / 2];

    if (getrandom(random, sizeof random, 0) != sizeof random)
        return cm_fail(err, CM_EINTERNAL, "the system gives no random bytes");
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(epoch + 2 * i, 3, "%02x", random[i]);
    return 0;
}

int cm_elastic_set_epoch(cm_elastic_t *client, const cm_elastic_settings_t *settings,
                         const cm_waiter_t *waiter, cm_elastic_indices_t *indices,
                         const char *epoch, cm_err_t *err)
{
    layout_t layout = start(client, settings, waiter, err);
    char path[PATH];

    snprintf(path, sizeof path, "/%s,%s/_mapping", indices->cells, indices->totals);
    cm_buf_printf(&layout.body, "{\"_meta\":{\"clickmill\":{\"epoch\":\"%s\"}}}", epoch);
    int rc = order(&layout, "PUT", path, "marking the indices as ours");
    if (rc == 0)
        snprintf(indices->epoch, sizeof indices->epoch, "%s", epoch);
    return end(&layout, rc);
}

int cm_elastic_refresh(cm_elastic_t *client, const cm_waiter_t *waiter,
                       const cm_elastic_indices_t *indices, cm_err_t *err)
{
    cm_elastic_reply_t reply;
    char path[PATH];

    snprintf(path, sizeof path, "/%s,%s/_refresh", indices->cells, indices->totals);
    int rc = cm_elastic_ask(client, "POST", path, nothing, waiter, &reply, err);
    if (rc == 0 && reply.status != 200)
        rc = cm_elastic_fail(NULL, &reply, "making the documents visible", err);
    return rc;
}

/* ---- walking ---- */

/* Frees the scroll on the server, which would do so itself after a while. */
static void forget_scroll(cm_elastic_t *client, const char *scroll)
{
    cm_buf_t body = CM_BUF_INIT;
    cm_elastic_reply_t reply;

    cm_buf_add_text(&body, "{\"scroll_id\":");
    cm_buf_add_json(&body, cm_str(scroll));
    cm_buf_add_char(&body, '}');
    cm_elastic_request(client, "DELETE", "/_search/scroll", (cm_str_t){body.data, body.len}, &reply,
                       NULL);
    cm_buf_free(&body);
}

/* The answer's hits; the scroll's id goes into `scroll`, the next page's body into the layout's. */
static int take_page(layout_t *layout, const cm_elastic_reply_t *reply, cm_document_fn take,
                     void *context, size_t *count, int64_t *total, cm_buf_t *scroll)
{
    cm_json_t root, found;
    cm_str_t id;

    if (reply->status != 200)
        return cm_elastic_fail(layout->settings, reply, "reading the documents", layout->err);
    if (!cm_json_parse(layout->parser, reply->body, &root))
        return cm_fail(layout->err, CM_EIO, "a search is answered with something else than JSON");
    if (cm_json_get(root, "_scroll_id", &found) && cm_json_text(found, &id)) {
        cm_buf_clear(scroll);
        cm_buf_add_str(scroll, id);
    }
    return cm_documents_each(root, take, context, count, total, layout->err);
}

int cm_elastic_walk(cm_elastic_t *client, const cm_elastic_settings_t *settings,
                    const cm_waiter_t *waiter, const char *index, cm_str_t search,
                    cm_document_fn take, void *context, cm_err_t *err)
{
    layout_t layout = start(client, settings, waiter, err);
    cm_buf_t scroll = CM_BUF_INIT;
    cm_elastic_reply_t reply;
    int64_t total = -1, seen = 0, unused;
    char path[PATH];
    size_t count = 1;

    snprintf(path, sizeof path, "/%s/_search?scroll=5m", index);
    cm_buf_add_str(&layout.body, search);
    int rc = 0;
    while (rc == 0 && count > 0) {
        rc = cm_elastic_ask(client, "POST", scroll.len > 0 ? "/_search/scroll" : path,
                            (cm_str_t){layout.body.data, layout.body.len}, waiter, &reply, err);
        if (rc == 0)
            rc = take_page(&layout, &reply, take, context, &count, seen == 0 ? &total : &unused,
                           &scroll);
        seen += (int64_t)count;
        cm_buf_clear(&layout.body);
        cm_buf_add_text(&layout.body, "{\"scroll\":\"5m\",\"scroll_id\":");
        cm_buf_add_json(&layout.body, (cm_str_t){scroll.data, scroll.len});
        cm_buf_add_char(&layout.body, '}');
    }
    /* A page that was asked for twice, because its answer was lost, has been passed over. */
    if (rc == 0 && seen != total)
        rc = cm_fail(err, CM_EAWAY,
                     "%s: %lld of %lld documents could be read, the server was away meanwhile; try "
                     "again",
                     index, (long long)seen, (long long)total);
    if (scroll.len > 0)
        forget_scroll(client, scroll.data);
    cm_buf_free(&scroll);
    return end(&layout, rc);
}

int cm_elastic_each(cm_elastic_t *client, const cm_elastic_settings_t *settings,
                    const cm_waiter_t *waiter, const char *index, cm_document_fn take,
                    void *context, cm_err_t *err)
{
    const cm_str_t search =
        CM_STR("{\"size\":5000,\"sort\":[\"_doc\"],\"track_total_hits\":true,\"query\":{\"bool\":{"
               "\"must_not\":{\"term\":{\"dimension\":\"freshness\"}}}}}");

    return cm_elastic_walk(client, settings, waiter, index, search, take, context, err);
}
