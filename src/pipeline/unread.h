/* Unread: what a process has sent to a topic itself and has not read from there yet.
 *
 * What `run` has sent, and Kafka has acknowledged, belongs to the answers of the run: at its end it
 * is read up to the last own message. Used by the intake's thread. */
#ifndef CM_PIPELINE_UNREAD_H
#define CM_PIPELINE_UNREAD_H

#include "kafka/ends.h"
#include "pipeline/intake.h"

/* Reads with the driver until nothing is unread, for 30 s at most, and until no message has come
 * for 5 s; a second signal ends it at once. The intake keeps its positions in a store. Commits, and
 * prints what could not be read. */
int cm_unread_read(cm_driver_t *driver, cm_intake_t *intake, cm_kafka_ends_t *ends, cm_err_t *err);

#endif
