/* The program: finds the command, fills its options, runs it, says what went wrong. */
#include "base/config.h"
#include "cmd/commands.h"
#include "settings/help.h"
#include "store/embedded/demo.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define DEFAULT_CONFIG "clickmill.yaml"

enum { AGAIN_MS = 1000 };

/* A signal handler reaches nothing but globals: the only ones of the program. */
static atomic_bool stop_asked, hurry_asked;
static atomic_llong stop_asked_ns; /* when last; 0: not yet */
static atomic_bool hurries;        /* the command ends its wait when hurry is asked */
static atomic_int hangups;         /* that did not ask the command to stop */
static atomic_bool terminal_may_go;

/* The first signal asks the command to finish its work, a later one ends the process as usual, or
 * where the command waits for a server only that wait. One that comes at once is the same again:
 * `make` passes on what its children have got as well. */
static void on_stop(int signal_number)
{
    long long now = cm_clock_ticks_ns(), last = 0;

    if (atomic_compare_exchange_strong(&stop_asked_ns, &last, now)) {
        atomic_store(&stop_asked, true);
    } else if (now - last <= AGAIN_MS * INT64_C(1000000)) {
        return;
    } else if (atomic_load(&hurries) && !atomic_exchange(&hurry_asked, true)) {
        atomic_store(&stop_asked_ns, now);
    } else {
        signal(signal_number, SIG_DFL);
        raise(signal_number);
    }
}

/* For a command that serves: a process (`kill -HUP`, a service manager) asks it to look at its
 * files again. The kernel says that the terminal is gone. */
static void on_hangup(int signal_number, siginfo_t *info, void *context)
{
    (void)context;
    if (info->si_code <= 0)
        atomic_fetch_add(&hangups, 1);
    else if (!atomic_load(&terminal_may_go))
        on_stop(signal_number);
}

static void renew_on_hangup(void)
{
    struct sigaction hangup = {.sa_sigaction = on_hangup, .sa_flags = SA_SIGINFO};
    struct sigaction before;

    sigemptyset(&hangup.sa_mask);
    sigaction(SIGHUP, &hangup, &before);
    atomic_store(&terminal_may_go, before.sa_handler == SIG_IGN); /* nohup */
}

/* Without SA_RESTART, so that a command that waits for input or a clock wakes up. A broken pipe
 * and a file at its size limit come back as errors of write(), with a sentence. */
static void catch_signals(void)
{
    struct sigaction stop = {.sa_handler = on_stop};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction hangup;

    sigemptyset(&stop.sa_mask);
    sigemptyset(&ignore.sa_mask);
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    /* The terminal is gone; nohup says that this does not matter. */
    if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN)
        sigaction(SIGHUP, &stop, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGXFSZ, &ignore, NULL);
}

/* A descriptor below 3 that the caller has closed would be given to the next file opened, and
 * messages would go into the data. What takes its place fails to be read, or written, as a closed
 * one does. */
static bool occupy_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            return false;
    }
    return true;
}

/* What one command line is parsed into. */
typedef struct invocation {
    const cm_command_t *command; /* NULL: none named */
    cm_option_values_t global_values, values;
    void *options; /* the command's struct */
    char **arguments;
    int argument_count;
} invocation_t;

/* Sets both tables' options from argv without the program's name and the command's. */
static int parse_words(cm_app_t *app, invocation_t *call, int argc, char **argv)
{
    const cm_option_t *command_table = cm_command_options(call->command);
    const cm_option_t *tables[] = {command_table, cm_global_option_table};
    cm_option_values_t *values[] = {&call->values, &call->global_values};

    int rc =
        cm_options_defaults(cm_global_option_table, &app->global, &call->global_values, &app->err);
    if (rc == 0 && call->command != NULL)
        call->options = cm_alloc_zero(1, call->command->options_size);
    if (rc == 0)
        rc = cm_options_defaults(command_table, call->options, &call->values, &app->err);
    if (rc == 0)
        rc = cm_options_parse(tables, values, 2, argc, argv, &call->argument_count, call->arguments,
                              &app->err);
    return rc;
}

/* Finds the command's name among argv and parses all the rest. */
static int parse_command_line(cm_app_t *app, invocation_t *call, int argc, char **argv)
{
    int count = 0;
    int at = cm_options_find_argument(cm_global_option_table, argc, argv, &app->err);

    if (at < 0)
        return at;
    bool version = at < argc && strcmp(argv[at], "version") == 0; /* as many programs take it */
    if (at < argc && !version) {
        call->command = cm_help_find(argv[at]);
        if (call->command == NULL)
            return cm_help_fail_unknown(argv[at], &app->err);
    }
    call->arguments = cm_alloc((size_t)argc * sizeof *call->arguments);
    char **words = cm_alloc((size_t)argc * sizeof *words);
    for (int i = 1; i < argc; i++) {
        if (i != at)
            words[count++] = argv[i];
    }
    int rc = parse_words(app, call, count, words);
    free(words);
    app->global.version |= version;
    return rc;
}

/* Sets what the command line has left open from the configuration file. */
static int apply_config(cm_app_t *app, invocation_t *call)
{
    cm_config_t config = CM_CONFIG_INIT;
    cm_config_table_t *tables;
    size_t count = 0;
    const char *path = app->global.config;
    int rc;

    if (path == NULL) {
        if (access(DEFAULT_CONFIG, F_OK) != 0)
            return 0;
        path = DEFAULT_CONFIG;
    }
    while (cm_commands[count] != NULL)
        count++;
    tables = cm_alloc((count + 1) * sizeof *tables);
    for (size_t i = 0; i < count; i++) {
        bool running = cm_commands[i] == call->command;
        tables[i] =
            (cm_config_table_t){cm_command_options(cm_commands[i]), running ? &call->values : NULL};
    }
    tables[count] = (cm_config_table_t){cm_global_option_table, &call->global_values};
    rc = cm_config_read(&config, path, &app->err);
    if (rc == 0)
        rc = cm_config_apply(&config, tables, count + 1, &app->err);
    cm_config_free(&config);
    free(tables);
    return rc;
}

/* Sets what is still open from file and environment. */
static int complete_options(cm_app_t *app, invocation_t *call)
{
    int rc = apply_config(app, call);

    if (rc == 0)
        rc = cm_options_environment(cm_global_option_table, &call->global_values, &app->err);
    if (rc == 0)
        rc = cm_options_environment(cm_command_options(call->command), &call->values, &app->err);
    app->log.level = (cm_level_t)app->global.log_level;
    return rc;
}

/* Whether who looks into the store rather wants that of the demonstration. (`query` says so in its
 * own words.) */
static bool demo_is_meant(const cm_app_t *app, const cm_command_t *command)
{
    return (command == &cm_command_export || command == &cm_command_verify ||
            command == &cm_command_serve) &&
           cm_demo_is_meant(app->global.data_dir);
}

/* The same where there is no store at all. */
static int fail_for_demo(cm_app_t *app, const cm_command_t *command, int rc)
{
    const char *data_dir = app->global.data_dir;
    const cm_err_t failed = app->err;

    if (rc != CM_EINPUT || command == &cm_command_query || command == &cm_command_import ||
        !cm_demo_is_alone(data_dir))
        return rc;
    return cm_fail(&app->err, rc,
                   "%s; the synthetic ones of `clickmill run` are in %s/demo: "
                   "--data %s/demo reads them",
                   failed.text, data_dir, data_dir);
}

static int run_command(cm_app_t *app, invocation_t *call)
{
    const cm_command_t *command = call->command;

    app->command = command;
    app->values = &call->values;
    if (command->arguments[0] == '\0' && call->argument_count > 0)
        return cm_fail(&app->err, CM_EUSAGE,
                       "%s takes no arguments, but was given \"%.80s\"; see `clickmill help %s`",
                       command->name, call->arguments[0], command->name);
    if (command->renews)
        renew_on_hangup();
    /* Help must be there also where the configuration is wrong. */
    int rc = command == &cm_command_help ? 0 : complete_options(app, call);
    if (rc < 0)
        return rc;
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
        cm_help_add_command(&buf, command);
    else
        cm_help_add_overview(&buf);
    fwrite(buf.data, 1, buf.len, out);
    cm_buf_free(&buf);
}

/* Does what the command line asks for. */
static int dispatch(cm_app_t *app, invocation_t *call)
{
    if (app->global.version) {
        fprintf(app->out, "clickmill %s\n", CM_VERSION);
        return 0;
    }
    if (app->global.help) {
        show_help(app->out, call->command);
        return 0;
    }
    if (call->command == NULL) {
        show_help(app->messages, NULL);
        return cm_fail(&app->err, CM_EUSAGE, "which command? The list is above");
    }
    return run_command(app, call);
}

/* What stdio still holds must reach stdout, or the run has failed. A reader that has seen enough
 * and left (`| head`) is no failure. */
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
        .stop = &stop_asked,
        .hurry = &hurry_asked,
        .hurries = &hurries,
        .hangups = &hangups,
    };
    invocation_t call = {.command = NULL};

    if (!occupy_standard_streams())
        return cm_err_exit_status(CM_EIO);
    catch_signals();
    int rc = parse_command_line(&app, &call, argc, argv);
    if (rc == 0)
        rc = dispatch(&app, &call);
    if (rc >= 0)
        rc = flush_output(&app);
    if (rc < 0 && rc != CM_ESTOP)
        fprintf(app.messages, "clickmill: %s\n", app.err.text);
    free(call.options);
    free(call.arguments);
    cm_options_free(&call.values);
    cm_options_free(&call.global_values);
    return cm_err_exit_status(rc);
}
