#include "cmd/commands.h"

/* In the order in which help shows them: the way of an event. */
static const cm_command_t *const commands[] = {
    &cm_cmd_run,    &cm_cmd_produce, &cm_cmd_collect, &cm_cmd_import,
    &cm_cmd_ingest, &cm_cmd_process, &cm_cmd_query,   &cm_cmd_verify,
    &cm_cmd_export, &cm_cmd_dead,    &cm_cmd_recover, &cm_cmd_serve,
    &cm_cmd_enrich, &cm_cmd_doctor,  &cm_cmd_help,    NULL,
};

static const cm_option_t *composed[sizeof commands / sizeof commands[0]];

const cm_program_t cm_cmd_program = {commands, composed};
