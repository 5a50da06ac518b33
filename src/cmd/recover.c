/* clickmill recover: copies the readable part of a damaged store to a new one. */
#include "store/embedded/recover.h"
#include "store/embedded/sound.h"

#include "base/progress.h"
#include "cmd/commands.h"
#include "cmd/next.h"

typedef struct recover_options {
    const char *to;
} recover_options_t;

static const cm_option_t options[] = {
    {.name = "to",
     .type = CM_OPT_TEXT,
     .offset = offsetof(recover_options_t, to),
     .arg = "DIR",
     .help = "new data directory for everything that can be saved"},
    {.name = NULL},
};

typedef struct printing {
    cm_app_t *app;
    cm_progress_t progress;
    cm_buf_t lost; /* JSON objects */
} printing_t;

/* Ordinals for people begin with 1: the first event is event 1. */
static void show_lost(void *context, int64_t from, int64_t to, const char *why)
{
    printing_t *printing = context;

    cm_progress_end(&printing->progress);
    if (!printing->app->global.json)
        fprintf(printing->app->messages, "lost: events %lld to %lld: %s\n", (long long)from + 1,
                (long long)to, why);
    cm_buf_printf(&printing->lost,
                  "%s{\"from\":%lld,\"to\":%lld,\"why\":", printing->lost.len > 0 ? "," : "",
                  (long long)from + 1, (long long)to);
    cm_buf_add_json(&printing->lost, cm_str(why));
    cm_buf_add_char(&printing->lost, '}');
}

static void show_progress(void *context, double share)
{
    printing_t *printing = context;
    cm_progress_show(&printing->progress, share, 0);
}

/* Names of tables. */
static void add_unsound(cm_buf_t *text, unsigned unsound, const char *quote, const char *between)
{
    const char *before = "";

    for (unsigned i = 0; i < CM_SOUND_TABLES; i++) {
        if (!(unsound & 1u << i))
            continue;
        cm_buf_printf(text, "%s%s%s%s", before, quote, cm_sound_names[i], quote);
        before = between;
    }
}

static void print_json(const printing_t *printing, const cm_recovered_t *done)
{
    cm_buf_t unsound = CM_BUF_INIT;

    add_unsound(&unsound, done->unsound, "\"", ",");
    fprintf(printing->app->out,
            "{\"events\":%lld,\"blocks\":%lld,\"texts\":%lld,\"dead\":%lld,\"positions\":%lld,"
            "\"settings\":%lld,\"key\":%s,\"lost_events\":%lld,\"lost_blocks\":%lld,"
            "\"lost_texts\":%lld,\"nameless\":%lld,\"partial\":%lld,\"lost_dead\":%lld,"
            "\"lost_key\":%s,\"broken_log\":%s,\"unsound\":[%s],\"lost\":[%s]}\n",
            (long long)done->events, (long long)done->blocks, (long long)done->strings,
            (long long)done->dead, (long long)done->positions, (long long)done->settings,
            done->key ? "true" : "false", (long long)done->lost_events,
            (long long)done->lost_blocks, (long long)done->lost_strings, (long long)done->nameless,
            (long long)done->partial, (long long)done->lost_dead, done->lost_key ? "true" : "false",
            done->broken_log ? "true" : "false", unsound.len > 0 ? unsound.data : "",
            printing->lost.len > 0 ? printing->lost.data : "");
    cm_buf_free(&unsound);
}

/* "1 text", "2 texts" */
static void add_count(cm_buf_t *line, const char *before, int64_t count, const char *what)
{
    cm_buf_add_text(line, before);
    cm_buf_add_grouped(line, count);
    cm_buf_printf(line, " %s%s", what, count == 1 ? "" : "s");
}

/* What may be lost and cannot be counted. */
static void add_doubts(cm_buf_t *line, const cm_recovered_t *done)
{
    if (done->lost_key)
        cm_buf_add_text(line, "lost: the visitors' key, its file has another content\n");
    if (done->unsound != 0) {
        cm_buf_add_text(line, "not whole: ");
        add_unsound(line, done->unsound, "", ", ");
        cm_buf_add_text(line, "; more of what was in these tables may be lost\n");
    }
    if (done->broken_log)
        cm_buf_add_text(line, "not whole: the log; more of what is behind the damaged place may be "
                              "lost\n");
}

static void print_account(cm_app_t *app, const char *to, const cm_recovered_t *done)
{
    cm_buf_t line = CM_BUF_INIT;

    add_count(&line, "saved: ", done->events, "event");
    add_count(&line, " in ", done->blocks, "block");
    add_count(&line, ", ", done->strings, "text");
    add_count(&line, ", ", done->dead, "dead letter");
    add_count(&line, ", ", done->positions, "position");
    cm_buf_printf(&line, " of sources, %s visitors' key\n", done->key ? "the" : "no");
    add_count(&line, "lost: ", done->lost_events, "event");
    add_count(&line, " in ", done->lost_blocks, "damaged block");
    add_count(&line, ", ", done->lost_strings, "text");
    add_count(&line, ", ", done->lost_dead, "dead letter");
    cm_buf_add_char(&line, '\n');
    if (done->nameless > 0) {
        add_count(&line, "lost: ", done->nameless, "event");
        cm_buf_add_text(&line, " whose user or URL is among the lost texts\n");
    }
    if (done->partial > 0) {
        add_count(&line, "saved without a country or another text that is lost: ", done->partial,
                  "event");
        cm_buf_add_char(&line, '\n');
    }
    add_doubts(&line, done);
    fputs(line.data, app->messages);
    cm_buf_clear(&line);
    cm_next_add_word(&line, cm_str(to));
    fprintf(app->messages, "next: clickmill process --data %s\n", line.data);
    cm_buf_free(&line);
}

/* 0 only when all is there for certain. */
static int judge(cm_app_t *app, const char *to, const cm_recovered_t *done)
{
    const int64_t lost = done->lost_events + done->nameless;

    if (lost + done->lost_strings + done->lost_dead + done->partial > 0)
        return cm_fail(&app->err, CM_ECORRUPT,
                       "%lld events of %s are lost, the rest is in %s; what is lost can be "
                       "imported again from where it came",
                       (long long)lost, app->global.data_dir, to);
    if (done->unsound != 0 || done->broken_log || done->lost_key)
        return cm_fail(&app->err, CM_ECORRUPT,
                       "not all of %s can be read, and more may be lost than can be counted; what "
                       "can be read is in %s",
                       app->global.data_dir, to);
    return 0;
}

static int run(cm_app_t *app, const void *given, int argc, char **argv)
{
    const recover_options_t *asked = given;
    printing_t printing = {.app = app, .lost = CM_BUF_INIT};
    const cm_recover_options_t recover = {.data_dir = app->global.data_dir,
                                          .to = asked->to,
                                          .clock = app->clock,
                                          .stop = app->stop,
                                          .lost = show_lost,
                                          .progress = show_progress,
                                          .context = &printing};
    cm_recovered_t done;

    (void)argc;
    (void)argv;
    if (asked->to == NULL)
        return cm_fail(&app->err, CM_EUSAGE,
                       "recover wants --to DIR: a new data directory for what can be saved");
    cm_progress_start(&printing.progress, app->terminal ? app->messages : NULL, app->terminal,
                      "saving", "events");
    int rc = cm_recover(&recover, &done, &app->err);
    cm_progress_end(&printing.progress);
    if (rc == CM_ESTOP)
        rc = cm_fail(&app->err, CM_EIO, "stopped before all was saved: remove %s", asked->to);
    if (rc == 0 && app->global.json)
        print_json(&printing, &done);
    else if (rc == 0)
        print_account(app, asked->to, &done);
    cm_buf_free(&printing.lost);
    return rc < 0 ? rc : judge(app, asked->to, &done);
}

const cm_command_t cm_cmd_recover = {
    .name = "recover",
    .arguments = "",
    .summary = "save the readable part of a damaged data directory",
    .details =
        "Reads the database of --data page by page, also where SQLite says that it is malformed, "
        "and copies every block of events with a correct checksum to a new data directory, with "
        "dead letters, positions of sources, settings and the visitors' key when they can be "
        "read. Changes in SQLite's log that are not in the database yet are read too. It reports "
        "which events are lost, and which tables cannot be read completely, so that more may be "
        "lost than can be counted. It ends with 0 when everything was certainly saved, and with "
        "6 otherwise. The damaged directory is not changed; first stop the process that writes "
        "it. `clickmill process` then computes the answers of the new directory.\n"
        " clickmill recover --data data --to data.saved",
    .options = options,
    .options_size = sizeof(recover_options_t),
    .run = run,
};
