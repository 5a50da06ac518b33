/* The program: finds the command, fills its options, runs it and says what went wrong. */
#include "cmd/commands.h"
#include "cmd/signals.h"
#include "settings/help.h"
#include "settings/invocation.h"
#include "store/embedded/demo.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* A descriptor below 3 that the caller has closed would be given to the next file that is opened,
 * and messages would be written into the data. The descriptor that takes its place fails to be read
 * or written, as a closed one does. */
static bool occupy_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            return false;
    }
    return true;
}

/* Whether a command that reads the store finds nothing in DATA, but something in that of the
 * demonstration. `query` prints a note of its own. */
static bool demo_is_meant(const cm_app_t *app, const cm_command_t *command)
{
    return (command == &cm_cmd_export || command == &cm_cmd_verify || command == &cm_cmd_serve) &&
           cm_demo_is_meant(app->global.data_dir);
}

/* Names the demonstration's store in the error of a command that found no store at all. */
static int fail_for_demo(cm_app_t *app, const cm_command_t *command, int rc)
{
    const char *data_dir = app->global.data_dir;
    const cm_err_t failed = app->err;

    if (rc != CM_EINPUT || command == &cm_cmd_query || command == &cm_cmd_import ||
        !cm_demo_is_alone(data_dir))
        return rc;
    return cm_fail(&app->err, rc,
                   "%s; the synthetic ones of `clickmill run` are in %s/demo: "
                   "--data %s/demo reads them",
                   failed.text, data_dir, data_dir);
}

static int run_command(cm_app_t *app, cm_invocation_t *call)
{
    const cm_command_t *command = call->command;

    app->command = command;
    app->values = &call->values;
    if (command->arguments[0] == '\0' && call->argument_count > 0)
        return cm_fail(&app->err, CM_EUSAGE,
                       "%s takes no arguments, but was given \"%.80s\"; see `clickmill help %s`",
                       command->name, call->arguments[0], command->name);
    if (command->renews)
        cm_signals_renew_on_hangup();
    /* Help must work also where the configuration is wrong. */
    int rc = command == &cm_cmd_help ? 0 : cm_invocation_complete(call, &app->err);
    app->global = call->global;
    app->log.level = (cm_level_t)app->global.log_level;
    if (rc == 0 && app->global.debug != NULL)
        rc = cm_debug_parse(app->global.debug, &app->log.contexts, &app->err);
    if (rc < 0)
        return rc;
    cm_invocation_log(call, &app->log);
    if (demo_is_meant(app, command))
        fprintf(app->messages,
                "there are no events in %s; the synthetic ones of `clickmill run` are in %s/demo: "
                "--data %s/demo reads them\n",
                app->global.data_dir, app->global.data_dir, app->global.data_dir);
    rc = command->run(app, call->options, call->argument_count, call->arguments);
    return fail_for_demo(app, command, rc);
}

static void show_help(FILE *out, const cm_command_t *command)
{
    cm_buf_t buf = CM_BUF_INIT;

    if (command != NULL)
        cm_help_add_command(&buf, &cm_cmd_program, command);
    else
        cm_help_add_overview(&buf, &cm_cmd_program);
    fwrite(buf.data, 1, buf.len, out);
    cm_buf_free(&buf);
}

/* Does what the command line asks for. */
static int dispatch(cm_app_t *app, cm_invocation_t *call)
{
    if (call->global.version) {
        fprintf(app->out, "clickmill %s\n", CM_VERSION);
        return 0;
    }
    if (call->global.help) {
        show_help(app->out, call->command);
        return 0;
    }
    if (call->command == NULL) {
        show_help(app->messages, NULL);
        return cm_fail(&app->err, CM_EUSAGE, "no command is given; the list is above");
    }
    return run_command(app, call);
}

/* The run has failed if the rest of the output does not reach stdout. A reader of a pipe that has
 * read enough and closed it (`| head`) is no failure. */
static int flush_output(cm_app_t *app)
{
    errno = 0;
    if (fflush(app->out) == 0 && !ferror(app->out))
        return 0;
    if (errno == EPIPE)
        return 0;
    return cm_fail(&app->err, CM_EIO, "cannot write to standard output: %s",
                   errno != 0 ? strerror(errno) : "an earlier write failed");
}

int main(int argc, char **argv)
{
    cm_app_t app = {
        .log = {.level = CM_LOG_WARN, .fd = STDERR_FILENO},
        .out = stdout,
        .messages = stderr,
        .terminal = isatty(STDERR_FILENO) == 1,
    };
    cm_invocation_t call;

    if (!occupy_standard_streams())
        return cm_err_exit_status(CM_EIO);
    cm_signals_catch(&app);
    int rc = cm_invocation_parse(&call, &cm_cmd_program, argc, argv, &app.err);
    if (rc == 0)
        rc = dispatch(&app, &call);
    if (rc >= 0)
        rc = flush_output(&app);
    if (rc < 0 && rc != CM_ESTOP)
        fprintf(app.messages, "clickmill: %s\n", app.err.text);
    cm_invocation_free(&call);
    return cm_err_exit_status(rc);
}
