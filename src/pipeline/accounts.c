#include "pipeline/accounts.h"

#include "base/progress.h"

static bool has_spool(const cm_account_t *account)
{
    return account->collected > 0 || account->resumed > 0 || account->sent > 0 ||
           account->dead > 0 || account->spooled > 0;
}

static uint64_t all_bots(const cm_account_t *account)
{
    uint64_t sum = 0;

    for (int kind = 0; kind < CM_BOT_KINDS; kind++)
        sum += account->bots[kind];
    return sum;
}

/* "bots":3,"bots_by_kind":{"ai-crawler":2,"seo":1} */
static void add_bots_json(cm_buf_t *buf, const cm_account_t *account)
{
    const char *before = "{";

    cm_buf_printf(buf, ",\"bots\":%llu,\"bots_by_kind\":", (unsigned long long)all_bots(account));
    for (int kind = 0; kind < CM_BOT_KINDS; kind++) {
        if (account->bots[kind] == 0)
            continue;
        cm_buf_printf(buf, "%s\"%s\":%llu", before, cm_bot_kind_name(kind),
                      (unsigned long long)account->bots[kind]);
        before = ",";
    }
    cm_buf_add_char(buf, '}');
}

static bool has_lost(const cm_account_t *account)
{
    uint64_t lost = 0;

    for (int i = 0; i < CM_EXTRA_COUNT; i++)
        lost |= account->lost[i];
    return lost > 0;
}

/* A line about so many of something; none for 0. */
static void add_counted(cm_buf_t *buf, uint64_t count, const char *one, const char *several)
{
    if (count > 0)
        cm_buf_printf(buf, "%llu %s\n", (unsigned long long)count, count == 1 ? one : several);
}

static void add_lost_json(cm_buf_t *buf, const cm_account_t *account)
{
    const char *before = ",\"lost_fields\":{";

    for (int i = 0; i < CM_EXTRA_COUNT; i++) {
        if (account->lost[i] == 0)
            continue;
        cm_buf_printf(buf, "%s\"%s\":%llu", before, cm_extra_names[i],
                      (unsigned long long)account->lost[i]);
        before = ",";
    }
    cm_buf_add_text(buf, has_lost(account) ? "}" : "");
}

static void add_lost(cm_buf_t *buf, const cm_account_t *account)
{
    const char *before = "";

    if (!has_lost(account))
        return;
    cm_buf_add_text(buf, "fields for which the table has no columns were left out: ");
    for (int i = 0; i < CM_EXTRA_COUNT; i++) {
        if (account->lost[i] == 0)
            continue;
        cm_buf_printf(buf, "%s%s of ", before, cm_extra_names[i]);
        cm_buf_add_grouped(buf, (int64_t)account->lost[i]);
        cm_buf_add_text(buf, account->lost[i] == 1 ? " event" : " events");
        before = ", ";
    }
    cm_buf_add_text(buf, "; cassandra.extended keeps them\n");
}

void cm_accounts_add_json(cm_buf_t *buf, const cm_account_t *account)
{
    cm_buf_printf(buf,
                  "\"read\":%llu,\"accepted\":%llu,\"rejected\":%llu,\"skipped\":%llu,"
                  "\"unknown_fields\":%llu",
                  (unsigned long long)account->read, (unsigned long long)account->accepted,
                  (unsigned long long)account->rejected, (unsigned long long)account->skipped,
                  (unsigned long long)account->unknown_fields);
    if (all_bots(account) > 0)
        add_bots_json(buf, account);
    if (account->refused > 0)
        cm_buf_printf(buf, ",\"refused\":%llu", (unsigned long long)account->refused);
    if (account->cut_referrers > 0)
        cm_buf_printf(buf, ",\"cut_referrers\":%llu", (unsigned long long)account->cut_referrers);
    if (account->cut_campaigns > 0)
        cm_buf_printf(buf, ",\"cut_campaigns\":%llu", (unsigned long long)account->cut_campaigns);
    if (account->gone > 0)
        cm_buf_printf(buf, ",\"gone\":%llu", (unsigned long long)account->gone);
    add_lost_json(buf, account);
    if (has_spool(account))
        cm_buf_printf(buf,
                      ",\"collected\":%llu,\"resumed\":%llu,\"sent\":%llu,\"dead\":%llu,"
                      "\"spooled\":%llu",
                      (unsigned long long)account->collected, (unsigned long long)account->resumed,
                      (unsigned long long)account->sent, (unsigned long long)account->dead,
                      (unsigned long long)account->spooled);
}

int cm_accounts_check(const cm_account_t *account, cm_err_t *err)
{
    if (account->gone > 0)
        return cm_fail(err, CM_EMISSING,
                       "%llu messages were deleted in Kafka before they were read: the topic keeps "
                       "them too short a time (retention.ms, retention.bytes), or too few read it",
                       (unsigned long long)account->gone);
    if (account->spooled > 0)
        return cm_fail(err, CM_EMISSING,
                       "%llu events are left in the spool; start the same command again when Kafka "
                       "takes them, and it sends them",
                       (unsigned long long)account->spooled);
    return 0;
}

/* "; gone 12": a count that does not belong to the sum. */
static void add_missing(cm_buf_t *line, const char *what, uint64_t count)
{
    if (count == 0)
        return;
    cm_buf_printf(line, "; %s ", what);
    cm_buf_add_grouped(line, (int64_t)count);
}

/* "; collected 100 + resumed from the spool 100 = sent to Kafka 150 + spooled 50". */
static void add_spool(cm_buf_t *line, const cm_account_t *account)
{
    cm_buf_add_text(line, "; collected ");
    cm_buf_add_grouped(line, (int64_t)account->collected);
    if (account->resumed > 0) {
        cm_buf_add_text(line, " + resumed from the spool ");
        cm_buf_add_grouped(line, (int64_t)account->resumed);
    }
    cm_buf_add_text(line, " = sent to Kafka ");
    cm_buf_add_grouped(line, (int64_t)account->sent);
    if (account->dead > 0) {
        cm_buf_add_text(line, " + dead letters ");
        cm_buf_add_grouped(line, (int64_t)account->dead);
    }
    cm_buf_add_text(line, " + spooled ");
    cm_buf_add_grouped(line, (int64_t)account->spooled);
}

/* "bots: search-engine 1,200, seo 4": the most frequent kind first. */
static void add_bots(cm_buf_t *line, const cm_account_t *account)
{
    const char *before = "bots: ";
    bool added[CM_BOT_KINDS] = {false};

    for (;;) {
        int most = -1;
        for (int kind = 0; kind < CM_BOT_KINDS; kind++) {
            if (!added[kind] && account->bots[kind] > (most < 0 ? 0 : account->bots[most]))
                most = kind;
        }
        if (most < 0)
            break;
        cm_buf_printf(line, "%s%s ", before, cm_bot_kind_name(most));
        cm_buf_add_grouped(line, (int64_t)account->bots[most]);
        added[most] = true;
        before = ", ";
    }
    cm_buf_add_char(line, '\n');
}

void cm_accounts_add_lines(cm_buf_t *buf, const cm_account_t *account, const char *dead_list)
{
    cm_buf_add_text(buf, "read ");
    cm_buf_add_grouped(buf, (int64_t)account->read);
    cm_buf_add_text(buf, " = accepted ");
    cm_buf_add_grouped(buf, (int64_t)account->accepted);
    cm_buf_add_text(buf, " + rejected ");
    cm_buf_add_grouped(buf, (int64_t)account->rejected);
    cm_buf_add_text(buf, " + skipped ");
    cm_buf_add_grouped(buf, (int64_t)account->skipped);
    const uint64_t bots = all_bots(account);
    if (bots > 0) {
        cm_buf_add_text(buf, " (");
        cm_buf_add_grouped(buf, (int64_t)bots);
        cm_buf_add_text(buf, bots == 1 ? " of them by a bot)" : " of them by bots)");
    }
    add_missing(buf, "gone", account->gone);
    if (has_spool(account))
        add_spool(buf, account);
    cm_buf_add_char(buf, '\n');
    if (bots > 0)
        add_bots(buf, account);
    if (account->rejected > account->told)
        cm_buf_printf(buf, "rejected messages are kept: `%s` shows them\n", dead_list);
    if (account->dead > 0)
        cm_buf_add_text(buf,
                        "events that Kafka refuses are kept: `clickmill dead list` shows them\n");
    add_lost(buf, account);
    add_counted(buf, account->unknown_fields, "field that the contract does not know was ignored",
                "fields that the contract does not know were ignored");
    add_counted(buf, account->cut_referrers,
                "referrer that is too long or not UTF-8 was cut to its origin",
                "referrers that are too long or not UTF-8 were cut to their origin");
    add_counted(buf, account->cut_campaigns, "campaign value of URLs was cut to 256 bytes",
                "campaign values of URLs were cut to 256 bytes");
}

void cm_accounts_add_answers_json(cm_buf_t *buf, const cm_index_refreshed_t *done, double seconds)
{
    cm_buf_printf(buf,
                  "{\"accepted\":%lld,\"events\":%lld,\"duplicates\":%lld,\"cells\":%lld,"
                  "\"seconds\":%.6f}",
                  (long long)done->accepted, (long long)done->events, (long long)done->duplicates,
                  (long long)done->cells, seconds);
}

void cm_accounts_add_answers_line(cm_buf_t *buf, const cm_index_refreshed_t *done, double seconds)
{
    cm_buf_add_text(buf, "accepted ");
    cm_buf_add_grouped(buf, done->accepted);
    cm_buf_add_text(buf, " = events ");
    cm_buf_add_grouped(buf, done->events);
    cm_buf_add_text(buf, " + duplicates ");
    cm_buf_add_grouped(buf, done->duplicates);
    cm_buf_add_text(buf, "; ");
    cm_buf_add_grouped(buf, done->cells);
    cm_buf_printf(buf, " cells in %.3f s%s\n", seconds, done->changed ? "" : " (nothing new)");
}
