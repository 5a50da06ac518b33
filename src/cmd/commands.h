/* The commands, each from the file of its name. Adding one: a line here and one in commands.c. */
#ifndef CM_CMD_COMMANDS_H
#define CM_CMD_COMMANDS_H

#include "cmd/app.h"

extern const cm_command_t cm_command_collect;
extern const cm_command_t cm_command_dead;
extern const cm_command_t cm_command_recover;
extern const cm_command_t cm_command_doctor;
extern const cm_command_t cm_command_enrich;
extern const cm_command_t cm_command_export;
extern const cm_command_t cm_command_help;
extern const cm_command_t cm_command_import;
extern const cm_command_t cm_command_ingest;
extern const cm_command_t cm_command_process;
extern const cm_command_t cm_command_produce;
extern const cm_command_t cm_command_query;
extern const cm_command_t cm_command_run;
extern const cm_command_t cm_command_serve;
extern const cm_command_t cm_command_verify;

#endif
