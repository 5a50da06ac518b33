/* Help in all its forms, made from the tables of commands and options.
 *
 * Every function appends to the caller's buffer; the text depends only on the tables, so it
 * is the same on every machine. For any thread. */
#ifndef CM_SETTINGS_HELP_H
#define CM_SETTINGS_HELP_H

#include "settings/command.h"

/* A line of a command's details: a paragraph, or an example, which begins with a space and is not
 * changed. */
typedef struct cm_help_line {
    cm_str_t text; /* without the line end */
    bool example;
} cm_help_line_t;

/* Takes the next line of `*details`; false at their end. */
bool cm_help_next_line(const char **details, cm_help_line_t *line);

/* Appends what Clickmill is, its commands and the global options; like the next one in at most 80
 * columns. */
void cm_help_add_overview(cm_buf_t *buf, const cm_program_t *program);

/* Appends the help of one command: usage, summary, details, options, exit codes. */
void cm_help_add_command(cm_buf_t *buf, const cm_program_t *program, const cm_command_t *command);

/* What Clickmill is, in one sentence. */
extern const char cm_help_about[];

/* The meaning of each exit status of the program, NULL where a number is not used. */
enum { CM_EXIT_COUNT = 14 };
extern const char *const cm_help_exits[CM_EXIT_COUNT];

/* Appends a manual page in roff (man(7)): of one command, or where it is NULL of the program. */
void cm_help_add_man(cm_buf_t *buf, const cm_program_t *program, const cm_command_t *command);

/* Appends the reference of all commands, configuration keys and exit codes in Markdown. */
void cm_help_add_markdown(cm_buf_t *buf, const cm_program_t *program);

/* Append scripts that complete commands, options and choices. */
void cm_help_add_bash(cm_buf_t *buf, const cm_program_t *program);
void cm_help_add_zsh(cm_buf_t *buf, const cm_program_t *program);
void cm_help_add_fish(cm_buf_t *buf, const cm_program_t *program);

#endif
