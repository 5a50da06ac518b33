/* Does one thing to the index on Elasticsearch and says what came of it, for the integration tests:
 *
 *     elastic_index HOSTS INDEX TOTALS find|prepare|next
 *     elastic_index HOSTS INDEX TOTALS swap|epoch CELLS-NAME TOTALS-NAME [EPOCH]
 *     elastic_index HOSTS INDEX TOTALS each NAME
 *
 * Prints the names of both indices and the epoch, or each document; the exit status is the error's,
 * its sentence goes to stderr. */
#include "index/elasticsearch/elasticsearch.h"

#include <stdio.h>

typedef struct asked {
    const char *what;
    char **names;
    int count;
} asked_t;

static int print_document(void *context, cm_str_t id, const cm_answer_t *answer)
{
    cm_buf_t line = CM_BUF_INIT;

    (void)context;
    cm_buf_add_str(&line, id);
    cm_buf_add_char(&line, ' ');
    if (answer != NULL)
        cm_document_add(&line, answer);
    else
        cm_buf_add_text(&line, "none");
    puts(line.data);
    cm_buf_free(&line);
    return 0;
}

static int act(const cm_elastic_settings_t *settings, cm_elastic_t *client, const asked_t *asked,
               cm_err_t *err)
{
    cm_index_elasticsearch_indices_t indices = {0};
    int rc = 0;

    if (strcmp(asked->what, "each") == 0)
        return cm_index_elasticsearch_each(client, settings, NULL, asked->names[0], print_document,
                                           NULL, err);
    if (asked->count >= 2) {
        snprintf(indices.cells, sizeof indices.cells, "%s", asked->names[0]);
        snprintf(indices.totals, sizeof indices.totals, "%s", asked->names[1]);
    }
    if (strcmp(asked->what, "swap") == 0)
        rc = cm_index_elasticsearch_swap(client, settings, NULL, &indices, err);
    else if (strcmp(asked->what, "epoch") == 0)
        rc = cm_index_elasticsearch_set_epoch(client, settings, NULL, &indices, asked->names[2],
                                              err);
    if (strcmp(asked->what, "next") == 0)
        rc = cm_index_elasticsearch_make_next(client, settings, NULL, &indices, err);
    else if (rc == 0)
        rc = cm_index_elasticsearch_find(client, settings, NULL, &indices, err);
    if (rc == 0 && strcmp(asked->what, "prepare") == 0)
        rc = cm_index_elasticsearch_prepare(client, settings, NULL, &indices, err);
    if (rc == 0)
        printf("%s %s %s\n", indices.cells, indices.totals, indices.epoch);
    return rc;
}

int main(int argc, char **argv)
{
    const cm_log_t log = {.level = CM_LOG_WARN, .fd = 2};
    cm_elastic_t *client = NULL;
    cm_err_t err;

    if (argc < 5)
        return 2;
    const cm_elastic_settings_t settings = {.hosts = argv[1],
                                            .index = argv[2],
                                            .totals = argv[3],
                                            .shards = 2,
                                            .replicas = 0,
                                            .connections = 1,
                                            .bulk_bytes = 1 << 20,
                                            .timeout_ms = 30000,
                                            .log = &log};
    const asked_t asked = {argv[4], argv + 5, argc - 5};
    int rc = cm_elastic_open(&settings, &client, &err);
    if (rc == 0)
        rc = act(&settings, client, &asked, &err);
    if (rc < 0)
        fprintf(stderr, "%s\n", err.text);
    cm_elastic_close(client);
    return cm_err_exit_status(rc);
}
