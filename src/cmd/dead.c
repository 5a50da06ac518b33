/* clickmill dead: the messages that broke a rule. */
#include "cmd/dead.h"

#include "base/terminal.h"
#include "cmd/commands.h"
#include "index/mirror.h"
#include "pipeline/pipeline.h"
#include "store/embedded/store.h"
#include "store/open.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static const cm_option_t options[] = {
    {.name = "limit",
     .type = CM_OPT_INT,
     .offset = offsetof(cm_dead_options_t, limit),
     .arg = "N",
     .min = 0,
     .max = 1e15,
     .help = "list: letters at most; 0, the default, means all"},
    {.name = "with",
     .type = CM_OPT_TEXT,
     .offset = offsetof(cm_dead_options_t, with),
     .arg = "FILE|-",
     .help = "replay: read the mended message of one letter from here"},
    {.name = "from",
     .type = CM_OPT_CHOICE,
     .offset = offsetof(cm_dead_options_t, from),
     .arg = "PLACE",
     .def = "store",
     .choices = "store|kafka",
     .help = "where the letters are: in the embedded store, or in Kafka's topic"},
    {.name = "files",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_dead_options_t, import),
     .rows = cm_file_option_rows},
    {.name = "group",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_dead_options_t, kafka),
     .rows = cm_kafka_group_option},
    {.name = "kafka",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_dead_options_t, kafka),
     .rows = cm_kafka_option_rows},
    {.name = NULL},
};

static int parse_id(cm_app_t *app, const char *text, int64_t *id)
{
    if (cm_str_to_i64(cm_str(text), id) && *id > 0)
        return 0;
    return cm_fail(&app->err, CM_EUSAGE,
                   "a dead letter's number is wanted, not \"%.40s\"; "
                   "`clickmill dead list` shows them",
                   text);
}

/* ---- list and show ---- */

static void add_json(cm_buf_t *buf, const cm_dead_shown_t *letter)
{
    bool utf8 = cm_utf8_valid(letter->payload.data, letter->payload.len);

    cm_buf_printf(buf, "{\"id\":%s,\"time\":", letter->id);
    cm_buf_add_json(buf, letter->time);
    cm_buf_add_text(buf, ",\"origin\":");
    cm_buf_add_json(buf, letter->origin);
    cm_buf_add_text(buf, ",\"reason\":");
    cm_buf_add_json(buf, letter->reason);
    cm_buf_printf(buf, ",\"bytes\":%zu,\"payload\":", letter->payload.len);
    if (utf8)
        cm_buf_add_json(buf, letter->payload);
    else
        cm_buf_add_text(buf, "null"); /* not UTF-8: `dead show` has the bytes */
    cm_buf_add_text(buf, "}\n");
}

int cm_dead_print(cm_app_t *app, const cm_dead_shown_t *letter, bool whole)
{
    cm_buf_t buf = CM_BUF_INIT;

    if (app->global.json) {
        add_json(&buf, letter);
    } else if (whole) {
        cm_buf_add_str(&buf, letter->payload);
        cm_buf_add_char(&buf, '\n');
    } else {
        cm_buf_printf(&buf, "%s  ", letter->id);
        cm_terminal_add(&buf, letter->time);
        cm_buf_add_text(&buf, "  ");
        cm_terminal_add(&buf, letter->origin);
        cm_buf_add_text(&buf, "  ");
        cm_terminal_add(&buf, letter->reason);
        cm_buf_add_char(&buf, '\n');
    }
    int rc = cm_app_write(app, &buf);
    cm_buf_free(&buf);
    return rc;
}

typedef struct printer {
    cm_app_t *app;
    bool whole; /* show: the payload's bytes and nothing else */
    bool printed;
} printer_t;

static int print_letter(void *context, const cm_store_letter_t *letter)
{
    printer_t *printer = context;
    char id[24], when[CM_TIME_TEXT];

    printer->printed = true;
    snprintf(id, sizeof id, "%lld", (long long)letter->id);
    const cm_dead_shown_t shown = {.id = id,
                                   .time = cm_str(cm_time_format(letter->time, when)),
                                   .origin = letter->origin,
                                   .reason = letter->reason,
                                   .payload = letter->payload};
    return cm_dead_print(printer->app, &shown, printer->whole);
}

static int print_letters(cm_app_t *app, bool whole, int64_t id, int64_t limit)
{
    printer_t printer = {.app = app, .whole = whole};
    cm_store_t *store;

    int rc = cm_store_open_directory_read(app->global.data_dir, &store, &app->err);
    if (rc < 0)
        return rc;
    rc = cm_store_each_letter(store, id, limit, print_letter, &printer, &app->err);
    cm_store_close(store);
    if (rc == 0 && !whole && !printer.printed)
        fprintf(app->messages, "there are no dead letters in %s\n", app->global.data_dir);
    return rc;
}

/* ---- replay ---- */

/* Letters that become durable together. Each of them alone would wait for the disk. */
enum { GROUP_LETTERS = 1000, GROUP_BYTES = 16 << 20 };

typedef struct replay {
    cm_app_t *app;
    const cm_dead_options_t *options;
    cm_store_t *store;
    cm_dead_visitors_t visitors;
    cm_account_t account;
    uint64_t documents; /* letters that were no events but documents of Elasticsearch */
    int64_t *ids;       /* the letters to replay, collected first: replaying changes the table */
    size_t count, cap;
    /* Those since the last commit: what of the account is not durable yet, how many, their bytes.
     */
    cm_account_t waiting;
    size_t letters, bytes;
} replay_t;

static int commit(replay_t *replay)
{
    int rc = cm_sink_commit(&replay->store->sink, &replay->app->err);

    if (rc == 0)
        cm_account_add(&replay->account, &replay->waiting);
    replay->waiting = (cm_account_t){0};
    replay->letters = replay->bytes = 0;
    return rc;
}

static int commit_when_many(replay_t *replay, size_t bytes)
{
    replay->bytes += bytes;
    if (++replay->letters < GROUP_LETTERS && replay->bytes < GROUP_BYTES)
        return 0;
    return commit(replay);
}

/* So that the mirrors of the index compare all rows next time. */
static int forget_checkpoints(const replay_t *replay, cm_err_t *err)
{
    const cm_index_settings_t here = {.engine = CM_INDEX_EMBEDDED,
                                      .data_dir = replay->app->global.data_dir};
    cm_index_t *index;

    int rc = cm_index_open_writer(&here, replay->store, &index, err);
    if (rc < 0)
        return rc;
    rc = cm_index_set_checkpoint(index, NULL, NULL, err);
    cm_index_close(index);
    return rc;
}

/* A document that Elasticsearch refused is no event: its letter goes, and the copy there is
 * compared with the answers next time, which sends what it lacks. */
static int replay_document(replay_t *replay, int64_t id)
{
    cm_err_t *err = &replay->app->err;

    int rc = 0;

    /* First: should we end before the letters are gone, no more than a comparison is lost. That is
     * a transaction of its own. */
    if (replay->documents++ == 0 && (rc = commit(replay)) == 0)
        rc = forget_checkpoints(replay, err);
    return rc == 0 ? cm_store_forget_letter(replay->store, id, err) : rc;
}

static int collect_id(void *context, const cm_store_letter_t *letter)
{
    replay_t *replay = context;
    if (replay->count == replay->cap) {
        replay->cap = replay->cap ? replay->cap * 2 : 64;
        replay->ids = cm_realloc(replay->ids, replay->cap * sizeof *replay->ids);
    }
    replay->ids[replay->count++] = letter->id;
    return 0;
}

/* A letter is mended by one message: of several, those that break a rule would be lost with it. */
static int check_alone(cm_app_t *app, const cm_dead_options_t *asked, cm_source_t *source, int more,
                       uint64_t messages)
{
    cm_batch_t rest = CM_BATCH_INIT;

    while (more > 0) {
        cm_batch_clear(&rest);
        more = cm_source_next(source, &rest, &app->err);
        messages += rest.account.read;
    }
    cm_batch_free(&rest);
    if (more < 0 || messages == 1)
        return more;
    return cm_fail(&app->err, CM_EINPUT,
                   "%s holds %llu messages, --with takes one: the letter's, mended; `clickmill "
                   "import` takes many",
                   asked->with, (unsigned long long)messages);
}

/* Reads one letter's message as `import` would read a file that holds just that. */
static int read_message(cm_app_t *app, const cm_dead_options_t *asked,
                        const cm_dead_visitors_t *visitors, const char *path, cm_sink_t *sink,
                        cm_batch_t *batch)
{
    const cm_file_options_t file = {.path = path,
                                    .format = (cm_file_format_t)asked->import.format,
                                    .all = asked->import.all,
                                    .times = visitors->times,
                                    .site = asked->import.site,
                                    .older_keys = visitors->older_keys,
                                    .visitor_key = visitors->key,
                                    .enrich = cm_enricher_visit,
                                    .enrich_context = visitors->enriching.enricher,
                                    .fill = cm_enricher_fill,
                                    .fill_context = visitors->enriching.enricher};
    cm_source_t *source = NULL;
    int more = 1;

    int rc = cm_file_open(&file, &source, &app->err);
    if (rc < 0)
        return rc;
    /* One message gives one batch with something in it, and the source keeps its texts until
     * then. */
    while (more > 0 && batch->account.read == 0) {
        cm_batch_clear(batch);
        more = cm_source_next(source, batch, &app->err);
    }
    batch->position_count = 0;
    batch->dead_count = 0; /* it is a dead letter already */
    if (more >= 0 && batch->count > 0)
        rc = cm_sink_put(sink, batch, &app->err);
    if (more >= 0 && rc == 0 && asked->with != NULL)
        rc = check_alone(app, asked, source, more, batch->account.read);
    cm_source_close(source);
    return more < 0 ? more : rc;
}

int cm_dead_retry(cm_app_t *app, const cm_dead_options_t *asked, const cm_dead_visitors_t *visitors,
                  const char *path, cm_sink_t *sink, cm_account_t *account)
{
    cm_batch_t batch = CM_BATCH_INIT;

    int rc = read_message(app, asked, visitors, path, sink, &batch);
    if (rc == CM_EINPUT && asked->with == NULL) { /* of no known format: still dead */
        batch.account = (cm_account_t){.read = 1, .rejected = 1};
        rc = 0;
    }
    *account = batch.account;
    cm_batch_free(&batch);
    return rc;
}

int cm_dead_file_open(cm_dead_file_t *file, cm_err_t *err)
{
    file->fd = memfd_create("dead letter", MFD_CLOEXEC);
    if (file->fd < 0)
        return cm_fail(err, CM_EINTERNAL, "the kernel gives no memory file");
    snprintf(file->path, sizeof file->path, "/proc/self/fd/%d", file->fd);
    return 0;
}

int cm_dead_file_write(cm_dead_file_t *file, cm_str_t payload, cm_err_t *err)
{
    if (ftruncate(file->fd, 0) == 0 &&
        pwrite(file->fd, payload.data, payload.len, 0) == (ssize_t)payload.len)
        return 0;
    return cm_fail(err, CM_EIO, "no memory file for a dead letter");
}

static int replay_message(replay_t *replay, int64_t id, const char *path)
{
    cm_account_t account;

    int rc = cm_dead_retry(replay->app, replay->options, &replay->visitors, path,
                           &replay->store->sink, &account);
    /* Event in and letter out are one transaction. */
    if (rc == 0 && account.accepted > 0)
        rc = cm_store_forget_letter(replay->store, id, &replay->app->err);
    if (rc == 0)
        cm_account_add(&replay->waiting, &account);
    return rc;
}

typedef struct writer {
    cm_dead_file_t file;
    size_t bytes;
    bool document; /* the letter is one of Elasticsearch */
    cm_err_t *err;
} writer_t;

static int write_message(void *context, const cm_store_letter_t *letter)
{
    static const cm_str_t prefix = {CM_INDEX_MIRROR_ORIGIN, sizeof CM_INDEX_MIRROR_ORIGIN - 1};
    writer_t *writer = context;

    writer->document = letter->origin.len > prefix.len &&
                       memcmp(letter->origin.data, prefix.data, prefix.len) == 0;
    writer->bytes = letter->payload.len;
    return cm_dead_file_write(&writer->file, letter->payload, writer->err);
}

static int replay_all(replay_t *replay)
{
    writer_t writer = {.err = &replay->app->err};

    int rc = cm_dead_file_open(&writer.file, &replay->app->err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; rc == 0 && i < replay->count && !atomic_load(replay->app->stop); i++) {
        rc = cm_store_each_letter(replay->store, replay->ids[i], 1, write_message, &writer,
                                  &replay->app->err);
        if (rc == 0)
            rc = writer.document ? replay_document(replay, replay->ids[i])
                                 : replay_message(replay, replay->ids[i], writer.file.path);
        if (rc == 0)
            rc = commit_when_many(replay, writer.bytes);
    }
    close(writer.file.fd);
    if (rc == 0)
        rc = commit(replay);
    if (rc < 0 || replay->documents == 0)
        return rc;
    fprintf(replay->app->messages,
            "%llu answers that Elasticsearch had refused: the next `clickmill process --index "
            "elasticsearch` sends again what it lacks\n",
            (unsigned long long)replay->documents);
    return 0;
}

static int collect(replay_t *replay, int argc, char **argv)
{
    cm_err_t *err = &replay->app->err;
    int64_t id;

    if (argc == 0)
        return cm_store_each_letter(replay->store, 0, 0, collect_id, replay, err);
    for (int i = 0; i < argc; i++) {
        int rc = parse_id(replay->app, argv[i], &id);
        if (rc == 0)
            rc = cm_store_each_letter(replay->store, id, 1, collect_id, replay, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int replay_letters(cm_app_t *app, const cm_dead_options_t *asked, int argc, char **argv)
{
    replay_t replay = {.app = app, .options = asked};

    int rc = cm_store_open_directory(app->global.data_dir, app->clock, &replay.store, &app->err);
    if (rc < 0)
        return rc;
    cm_enriching_open(&replay.visitors.enriching, &asked->import.enrich, asked->import.all,
                      &app->log);
    rc = cm_timestamp_format_open(&asked->import.times, &replay.visitors.times, &app->err);
    if (rc == 0)
        rc = cm_enrichment_start(replay.visitors.enriching.enrichment, &app->err);
    if (rc == 0)
        rc = cm_store_older_keys(replay.store, &replay.visitors.older_keys, &app->err);
    if (rc == 0)
        rc = cm_store_secret(replay.store, replay.visitors.key, &app->err);
    if (rc == 0)
        rc = collect(&replay, argc, argv);
    if (rc == 0)
        rc = asked->with != NULL ? replay_message(&replay, replay.ids[0], asked->with)
                                 : replay_all(&replay);
    if (rc == 0 && asked->with != NULL)
        rc = commit(&replay);
    if (rc == 0)
        cm_app_print_account(app, &replay.account, app->out);
    cm_enriching_close(&replay.visitors.enriching);
    cm_timestamp_format_close(&replay.visitors.times);
    cm_sink_close(&replay.store->sink);
    free(replay.ids);
    return rc;
}

static int run(cm_app_t *app, const void *given, int argc, char **argv)
{
    const cm_dead_options_t *asked = given;
    const bool kafka = asked->from == CM_DEAD_FROM_KAFKA;
    int64_t id;

    if (argc == 1 && strcmp(argv[0], "list") == 0)
        return kafka ? cm_dead_kafka_print(app, asked, false, NULL)
                     : print_letters(app, false, 0, asked->limit);
    if (argc == 2 && strcmp(argv[0], "show") == 0) {
        if (kafka)
            return cm_dead_kafka_print(app, asked, true, argv[1]);
        int rc = parse_id(app, argv[1], &id);
        return rc < 0 ? rc : print_letters(app, true, id, 1);
    }
    if (argc >= 1 && strcmp(argv[0], "replay") == 0) {
        if (asked->with != NULL && argc != 2)
            return cm_fail(&app->err, CM_EUSAGE, "--with mends one letter: give its number");
        return kafka ? cm_dead_kafka_replay(app, asked, argc - 1, argv + 1)
                     : replay_letters(app, asked, argc - 1, argv + 1);
    }
    return cm_fail(&app->err, CM_EUSAGE,
                   "dead wants list, show NUMBER or replay [NUMBER...]; see `clickmill help dead`");
}

const cm_command_t cm_cmd_dead = {
    .name = "dead",
    .arguments = "list | show NUMBER | replay [NUMBER...]",
    .summary = "dead letters: messages that broke a rule",
    .details =
        "list shows number, time, origin and reason of each; show prints the message, byte for "
        "byte; replay tries all of them again, or some, with what the program and its options "
        "make of them now: those that become events are dead no more. Of documents that "
        "Elasticsearch refused the next `clickmill process` sends what is still lacking.\n"
        "A line of a CSV file has no header to be read by: mend it as JSON and replay it so:\n"
        " clickmill dead replay 17 --with mended.json\n"
        "With --from kafka the letters are those of Kafka's topic, with numbers like 0@17 "
        "(partition "
        "and offset), and replay puts what becomes an event onto the topic of the events, once: "
        "the "
        "letter is marked in the same transaction.",
    .options = options,
    .options_size = sizeof(cm_dead_options_t),
    .run = run,
};
