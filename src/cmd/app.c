#include "cmd/app.h"

#include <errno.h>

int cm_app_write(cm_app_t *app, cm_buf_t *buf)
{
    errno = 0;
    bool written = buf->len == 0 || fwrite(buf->data, 1, buf->len, app->out) == buf->len;
    cm_buf_clear(buf);
    if (written && fflush(app->out) == 0)
        return 0;
    if (errno == EPIPE) /* a reader that has read enough (`| head`) is no failure */
        return CM_ESTOP;
    return cm_fail(&app->err, CM_EIO, "cannot write to standard output (%s); check where it goes",
                   strerror(errno));
}

cm_pipeline_env_t cm_app_env(const cm_app_t *app)
{
    return (cm_pipeline_env_t){.log = &app->log,
                               .clock = app->clock,
                               .messages = app->messages,
                               .terminal = app->terminal,
                               .stop = app->stop,
                               .hurry = app->hurry,
                               .hurries = app->hurries};
}

cm_store_settings_t cm_app_store_settings(const cm_app_t *app, const cm_store_options_t *options)
{
    return (cm_store_settings_t){
        .engine = (cm_store_choice_t)options->engine,
        .data_dir = app->global.data_dir,
        .clock = app->clock,
        .log = &app->log,
        .cassandra = cm_cassandra_settings_of(&options->cassandra, &app->log, app->stop),
        .memory = app->global.memory};
}

cm_questions_settings_t cm_app_questions(const cm_app_t *app, const cm_questions_given_t *given)
{
    return (cm_questions_settings_t){.data_dir = app->global.data_dir,
                                     .given = *given,
                                     .session_timeout = app->global.session_timeout,
                                     .memory = app->global.memory,
                                     .daily = app->global.visitors == CM_VISITORS_DAILY};
}

void cm_app_print_left_out(const cm_app_t *app, uint64_t rejected)
{
    if (rejected > 0)
        fprintf(app->messages,
                "%llu rows are no events of the contract and were left out; `clickmill export "
                "--store cassandra` names the first\n",
                (unsigned long long)rejected);
}

cm_index_refresh_options_t cm_app_refresh_options(const cm_app_t *app, unsigned windows)
{
    return (cm_index_refresh_options_t){.windows = windows,
                                        .session_timeout = app->global.session_timeout,
                                        .memory = app->global.memory,
                                        .daily = app->global.visitors == CM_VISITORS_DAILY,
                                        .clock = app->clock,
                                        .log = &app->log};
}

cm_index_settings_t cm_app_index_settings(const cm_app_t *app, const cm_index_options_t *options)
{
    return (cm_index_settings_t){.engine = options->engine,
                                 .data_dir = app->global.data_dir,
                                 .elasticsearch = cm_elastic_settings_of(
                                     &options->elasticsearch, app->values, &app->log, app->stop),
                                 .daily = app->global.visitors == CM_VISITORS_DAILY};
}

void cm_app_print_account(cm_app_t *app, const cm_account_t *account, FILE *json)
{
    cm_app_print_account_as(app, account, json, "clickmill dead list");
}

void cm_app_print_account_as(cm_app_t *app, const cm_account_t *account, FILE *json,
                             const char *dead_list)
{
    cm_buf_t text = CM_BUF_INIT;

    if (app->global.json) {
        cm_buf_add_char(&text, '{');
        cm_accounts_add_json(&text, account);
        cm_buf_add_text(&text, "}\n");
    } else {
        cm_accounts_add_lines(&text, account, dead_list);
    }
    fputs(text.data, app->global.json ? json : app->messages);
    cm_buf_free(&text);
}

void cm_app_print_answers(cm_app_t *app, const cm_index_refreshed_t *done, double seconds)
{
    cm_buf_t text = CM_BUF_INIT;

    if (app->global.json) {
        cm_accounts_add_answers_json(&text, done, seconds);
        fprintf(app->out, "%s\n", text.data);
        fflush(app->out);
    } else {
        cm_accounts_add_answers_line(&text, done, seconds);
        fputs(text.data, app->messages);
    }
    cm_buf_free(&text);
}
