/* The commands, each from the file of its name. A new one needs a line here and one in commands.c.
 * Constants, for any thread. */
#ifndef CM_CMD_COMMANDS_H
#define CM_CMD_COMMANDS_H

#include "cmd/app.h"

extern const cm_command_t cm_cmd_collect;
extern const cm_command_t cm_cmd_dead;
extern const cm_command_t cm_cmd_recover;
extern const cm_command_t cm_cmd_doctor;
extern const cm_command_t cm_cmd_enrich;
extern const cm_command_t cm_cmd_export;
extern const cm_command_t cm_cmd_help;
extern const cm_command_t cm_cmd_import;
extern const cm_command_t cm_cmd_ingest;
extern const cm_command_t cm_cmd_process;
extern const cm_command_t cm_cmd_produce;
extern const cm_command_t cm_cmd_query;
extern const cm_command_t cm_cmd_run;
extern const cm_command_t cm_cmd_serve;
extern const cm_command_t cm_cmd_verify;

/* All of them. */
extern const cm_program_t cm_cmd_program;

#endif
