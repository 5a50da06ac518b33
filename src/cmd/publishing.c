#include "cmd/publishing.h"

#include "pipeline/accounts.h"

int cm_publishing_start(cm_app_t *app, const cm_index_settings_t *target, cm_store_t *store,
                        bool rebuild, bool endless, cm_index_mirror_t **mirror)
{
    const cm_index_settings_t source =
        cm_index_settings_of_data_dir(app->global.data_dir, target->daily);
    const cm_index_mirror_options_t options = {.source = source,
                                               .target = *target,
                                               .store = store,
                                               .rebuild = rebuild,
                                               .endless = endless,
                                               .stop = app->stop,
                                               .messages = app->messages,
                                               .terminal = app->terminal};

    *mirror = NULL;
    return cm_index_in_data_dir(target) ? 0 : cm_index_mirror_start(&options, mirror, &app->err);
}

void cm_publishing_add_json(cm_buf_t *buf, const cm_index_applied_t *applied)
{
    cm_buf_printf(buf,
                  "\"index\":{\"sent\":%llu,\"removed\":%llu,\"refused\":%llu,\"retries\":%llu,"
                  "\"compared\":%s,\"bytes\":%llu,\"wire_bytes\":%llu}",
                  (unsigned long long)applied->sent, (unsigned long long)applied->removed,
                  (unsigned long long)applied->refused, (unsigned long long)applied->retries,
                  applied->compared ? "true" : "false", (unsigned long long)applied->bytes,
                  (unsigned long long)applied->wire_bytes);
}

void cm_publishing_print(cm_app_t *app, const cm_index_applied_t *applied, const char *place)
{
    cm_buf_t line = CM_BUF_INIT;

    cm_buf_printf(&line, "%s: ", place);
    cm_buf_add_grouped(&line, (int64_t)applied->sent);
    cm_buf_add_text(&line, " documents sent, ");
    cm_buf_add_grouped(&line, (int64_t)applied->removed);
    cm_buf_add_text(&line, " removed, ");
    cm_buf_add_grouped(&line, (int64_t)applied->refused);
    cm_buf_printf(&line, " refused%s",
                  applied->refused > 0 ? " (`clickmill dead list` says why)" : "");
    if (applied->compared)
        cm_buf_add_text(&line,
                        "; all documents were compared, because another program had written");
    fprintf(app->messages, "%s\n", line.data);
    cm_buf_free(&line);
}

void cm_publishing_print_accounts(cm_app_t *app, const cm_account_t *taken, const char *dead_list,
                                  const cm_index_refreshed_t *answers, double seconds,
                                  const cm_index_mirror_t *mirror)
{
    cm_index_applied_t applied = {0};
    cm_buf_t json = CM_BUF_INIT;

    if (mirror != NULL)
        applied = cm_index_mirror_applied(mirror);
    if (!app->global.json) {
        cm_app_print_account_as(app, taken, app->out, dead_list);
        cm_app_print_answers(app, answers, seconds);
        if (mirror != NULL)
            cm_publishing_print(app, &applied, cm_index_mirror_place(mirror));
        return;
    }
    cm_buf_add_char(&json, '{');
    cm_accounts_add_json(&json, taken);
    cm_buf_add_text(&json, ",\"answers\":");
    cm_accounts_add_answers_json(&json, answers, seconds);
    if (mirror != NULL) {
        cm_buf_add_char(&json, ',');
        cm_publishing_add_json(&json, &applied);
    }
    fprintf(app->out, "%s}\n", json.data);
    cm_buf_free(&json);
}
