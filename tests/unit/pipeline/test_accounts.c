/* Accounts as text. */
#include "pipeline/accounts.h"
#include "support.h"

/* Events that are gone or left are given after the sum, as text and as JSON, and are no success. */
static void missing_events(void **state)
{
    cm_buf_t text = CM_BUF_INIT;
    cm_account_t account = {.read = 10, .accepted = 9, .rejected = 1}, sum = {.gone = 1};
    cm_err_t err;

    (void)state;
    assert_int_equal(cm_accounts_check(&account, &err), 0);
    account.gone = 12345;
    cm_account_add(&sum, &account);
    assert_int_equal(sum.gone, 12346);
    assert_int_equal(cm_accounts_check(&account, &err), CM_EMISSING);
    assert_string_equal(err.text,
                        "12345 messages were deleted in Kafka before they were read: the topic "
                        "keeps them too short a time (retention.ms, retention.bytes), or too few "
                        "read it");
    cm_accounts_add_lines(&text, &account, "dead list");
    account.gone = 0;
    account.collected = 9;
    account.resumed = 2;
    account.sent = 3;
    account.dead = 1;
    account.spooled = 7;
    account.told = 1; /* its sender knows: there is no letter */
    cm_account_add(&sum, &account);
    assert_int_equal(sum.collected, 9);
    assert_int_equal(sum.resumed, 2);
    assert_int_equal(sum.sent, 3);
    assert_int_equal(sum.dead, 1);
    assert_int_equal(sum.spooled, 7);
    assert_int_equal(cm_accounts_check(&account, &err), CM_EMISSING);
    assert_string_equal(err.text, "7 events are left in the spool; start the same command again "
                                  "when Kafka takes them, and it sends them");
    cm_accounts_add_lines(&text, &account, "dead list");
    account.gone = 3;
    cm_accounts_add_json(&text, &account);
    assert_string_equal(text.data,
                        "read 10 = accepted 9 + rejected 1 + skipped 0; gone 12,345\n"
                        "rejected messages are kept: `dead list` shows them\n"
                        "read 10 = accepted 9 + rejected 1 + skipped 0; collected 9 + resumed from "
                        "the spool 2 = sent to Kafka 3 + dead letters 1 + spooled 7\n"
                        "events that Kafka refuses are kept: `clickmill dead list` shows them\n"
                        "\"read\":10,\"accepted\":9,\"rejected\":1,\"skipped\":0,"
                        "\"unknown_fields\":0,\"gone\":3,\"collected\":9,\"resumed\":2,\"sent\":3,"
                        "\"dead\":1,\"spooled\":7");
    cm_buf_free(&text);
}

/* Skipped bots are a part of the skipped, the most frequent kind first; without bots nothing is
 * said. */
static void bots_by_kind(void **state)
{
    cm_buf_t text = CM_BUF_INIT;
    cm_batch_t batch = CM_BATCH_INIT;
    cm_account_t sum = {.read = 0};

    (void)state;
    cm_batch_skip(&batch);
    cm_batch_skip_bot(&batch, CM_BOT_SEO);
    cm_account_add(&sum, &batch.account);
    cm_accounts_add_lines(&text, &sum, "dead list");
    cm_batch_skip_bot(&batch, CM_BOT_OTHER);
    for (int i = 0; i < 1200; i++)
        cm_batch_skip_bot(&batch, CM_BOT_AI_CRAWLER);
    cm_account_add(&sum, &batch.account);
    cm_accounts_add_lines(&text, &sum, "dead list");
    cm_accounts_add_json(&text, &sum);
    assert_string_equal(text.data,
                        "read 2 = accepted 0 + rejected 0 + skipped 2 (1 of them by a bot)\n"
                        "bots: seo 1\n"
                        "read 1,205 = accepted 0 + rejected 0 + skipped 1,205 (1,203 of them by "
                        "bots)\n"
                        "bots: ai-crawler 1,200, seo 2, other 1\n"
                        "\"read\":1205,\"accepted\":0,\"rejected\":0,\"skipped\":1205,"
                        "\"unknown_fields\":0,\"bots\":1203,\"bots_by_kind\":{\"ai-crawler\":1200,"
                        "\"other\":1,\"seo\":2}");
    cm_batch_free(&batch);
    cm_buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(missing_events),
                                       cmocka_unit_test(bots_by_kind)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
