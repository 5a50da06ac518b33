#include "source/kafka/internal.h"

typedef cm_source_kafka_t self_t;

/* ---- rebalances ---- */

bool cm_source_kafka_is_cooperative(const self_t *self)
{
    return strcmp(rd_kafka_rebalance_protocol(self->client.rk), "COOPERATIVE") == 0;
}

void cm_source_kafka_give_back(const self_t *self, const rd_kafka_topic_partition_list_t *list)
{
    if (cm_source_kafka_is_cooperative(self)) {
        rd_kafka_error_t *error = rd_kafka_incremental_unassign(self->client.rk, list);
        if (error != NULL)
            rd_kafka_error_destroy(error);
    } else {
        rd_kafka_assign(self->client.rk, NULL);
    }
}

/* Notes the rebalance: librdkafka waits until the partitions are assigned or given back, and their
 * messages in the queue stay valid until then. */
void cm_source_kafka_on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                                  rd_kafka_topic_partition_list_t *list, void *opaque)
{
    self_t *self = ((cm_kafka_client_t *)opaque)->owner;

    if (self->closing) { /* everything is acknowledged or given up */
        cm_source_kafka_give_back(self, list);
        return;
    }
    if (code != RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS &&
        code != RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) {
        rd_kafka_assign(rk, NULL);
        return;
    }
    if (self->pending != NULL)
        rd_kafka_topic_partition_list_destroy(self->pending);
    self->pending = rd_kafka_topic_partition_list_copy(list);
    self->pending_assign = code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
}

void cm_source_kafka_on_commit(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                               rd_kafka_topic_partition_list_t *list, void *opaque)
{
    self_t *self = ((cm_kafka_client_t *)opaque)->owner;

    (void)rk;
    cm_source_kafka_parts_committed(&self->parts, &self->client, code, list);
}

int cm_source_kafka_assign(self_t *self, const rd_kafka_topic_partition_list_t *list, cm_err_t *err)
{
    rd_kafka_error_t *error = NULL;

    if (cm_source_kafka_is_cooperative(self))
        error = rd_kafka_incremental_assign(self->client.rk, list);
    else if (rd_kafka_assign(self->client.rk, list) != 0)
        return cm_fail(err, CM_EINTERNAL, "taking partitions: %s",
                       rd_kafka_err2str(rd_kafka_last_error()));
    if (error == NULL)
        return 0;
    int rc = cm_fail(err, CM_EINTERNAL, "taking partitions: %s", rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return rc;
}

void cm_source_kafka_resume(self_t *self)
{
    if (!self->paused)
        return;
    self->paused = false;
    rd_kafka_topic_partition_list_t *list =
        cm_source_kafka_parts_list(&self->parts, self->client.settings);
    rd_kafka_resume_partitions(self->client.rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    cm_source_kafka_parts_seek(&self->parts, &self->client);
}

/* 1: brokers do not answer now. */
static int take_partitions(self_t *self, rd_kafka_topic_partition_list_t *list, cm_err_t *err)
{
    int rc = cm_source_kafka_find_starts(self, list, err);
    if (rc != 0)
        return rc;
    rc = cm_source_kafka_assign(self, list, err);
    if (rc < 0)
        return rc;
    self->joined = self->placed = true;
    rd_kafka_resume_partitions(self->client.rk,
                               list); /* they may have been paused when they were given back */
    if (cm_source_kafka_is_cooperative(self)) /* librdkafka had paused the others */
        cm_source_kafka_parts_seek(&self->parts, &self->client);
    return 0;
}

void cm_source_kafka_drop_held(self_t *self)
{
    for (size_t i = 0; i < self->held_count; i++)
        rd_kafka_message_destroy(self->held[i]);
    self->held_count = 0;
}

static int drop_partitions(self_t *self, const rd_kafka_topic_partition_list_t *list, cm_err_t *err)
{
    const cm_source_kafka_owner_t *owner = &self->options.owner;

    int rc = owner->drain != NULL ? owner->drain(owner->context, err) : 0;
    if (rc < 0)
        return rc;
    /* The store may have been slow. A partition that is given back while it is paused would still
     * be paused when it is assigned again. */
    cm_source_kafka_resume(self);
    cm_source_kafka_parts_commit(&self->parts, &self->client, false);
    cm_source_kafka_give_back(self, list);
    cm_source_kafka_drop_held(self);
    self->placed = cm_source_kafka_is_cooperative(
        self); /* with the other protocol, a new assignment follows */
    for (int i = 0; i < list->cnt; i++)
        cm_source_kafka_parts_remove(&self->parts, list->elems[i].partition);
    if (cm_source_kafka_is_cooperative(
            self)) /* librdkafka had paused the others, and what was held is dropped */
        cm_source_kafka_parts_seek(&self->parts, &self->client);
    return 0;
}

int cm_source_kafka_rebalance(self_t *self, cm_err_t *err)
{
    rd_kafka_topic_partition_list_t *list = self->pending;
    const bool taken = self->pending_assign;

    if (list == NULL)
        return 0;
    self->pending = NULL; /* the owner's drain calls keep_alive(), which may bring the next one */
    int rc = taken ? take_partitions(self, list, err) : drop_partitions(self, list, err);
    if (rc != 0 && self->pending == NULL) { /* it is still to be done or to be given up */
        self->pending = list;
        self->pending_assign = taken;
        return rc < 0 ? rc : 0;
    }
    cm_log(self->client.settings->log, CM_LOG_INFO, "rebalance", "%s=%d topic=%s",
           taken ? "taken" : "given", list->cnt, self->client.settings->topic);
    rd_kafka_topic_partition_list_destroy(list);
    return rc < 0 ? rc : 0;
}

/* An assignment can be answered by taking no partition; giving all back would not answer it. */
void cm_source_kafka_give_up_pending(self_t *self)
{
    rd_kafka_topic_partition_list_t *none = rd_kafka_topic_partition_list_new(0);
    cm_err_t why;

    if (self->pending != NULL && self->pending_assign)
        cm_source_kafka_assign(self, none, &why);
    else if (self->pending != NULL)
        cm_source_kafka_give_back(self, self->pending);
    if (self->pending != NULL)
        rd_kafka_topic_partition_list_destroy(self->pending);
    self->pending = NULL;
    rd_kafka_topic_partition_list_destroy(none);
}
