/* The loop of `run`: traffic, clicks and answers in one process.
 *
 * One thread does everything except milling, answering HTTP requests, and sending to Kafka. */
#ifndef CM_CMD_RUN_LOOP_H
#define CM_CMD_RUN_LOOP_H

#include "cmd/publishing.h"
#include "cmd/run_cluster.h"
#include "cmd/run_collect.h"
#include "pipeline/upkeep.h"
#include "serve/server.h"

/* Everything that runs; opened and closed by run.c. Must not move while it is open. */
typedef struct cm_run {
    cm_app_t *app;
    cm_store_t *store;
    cm_cluster_t cluster;
    cm_run_collect_t collect;
    cm_pipeline_t pipeline; /* its source: the traffic, or Kafka's topic; NULL: none, or it ended */
    cm_credentials_t credentials;
    cm_server_t *server;
    cm_index_mirror_t *mirror; /* NULL: the embedded index is the only one */
    cm_upkeep_t upkeep;
    cm_driver_t driver;
} cm_run_t;

/* Brings the answers up to date with what an earlier run has left. `every_ms`: how often the loop
 * refreshes them. */
int cm_run_open_answers(cm_run_t *run, int64_t every_ms);

/* Runs until the app is told to stop. */
int cm_run_loop(cm_run_t *run);

/* Commits what was read, refreshes the answers for the last time, and prints the account. */
int cm_run_finish(cm_run_t *run);

#endif
