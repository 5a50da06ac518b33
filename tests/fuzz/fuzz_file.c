/* A whole file as a source of events, in the format that its start shows or that the first byte of
 * the input names: the account is right, every accepted event keeps the contract, and a line that
 * gives none becomes a dead letter with a reason and a place. */
#include "fuzz.h"
#include "source/file/file.h"
#include "source/visitor.h"

#include <sys/mman.h>
#include <unistd.h>

static const uint8_t visitor_key[CM_VISITOR_KEY] = "a key that is no secret";

/* The path is borrowed by the source. */
static cm_source_t *open_source(const char *path, uint8_t choice, cm_err_t *err)
{
    cm_source_t *source = NULL;
    const cm_file_options_t options = {.path = path,
                                       .format = (cm_file_format_t)(choice % 5),
                                       .all = choice & 8,
                                       .site = choice & 16 ? "https://example.org/" : NULL,
                                       .visitor_key = visitor_key};
    int rc = cm_file_open(&options, &source, err);
    if (rc < 0)
        fuzz_check_refusal(rc, CM_EINPUT, err);
    return source;
}

static void check_batch(const cm_batch_t *batch)
{
    const cm_account_t *account = &batch->account;

    FUZZ_CHECK(account->read == account->accepted + account->rejected + account->skipped);
    FUZZ_CHECK(account->accepted == batch->count && account->rejected == batch->dead_count);
    for (size_t i = 0; i < batch->count; i++)
        fuzz_check_event(&batch->events[i]);
    for (size_t i = 0; i < batch->dead_count; i++)
        FUZZ_CHECK(batch->dead[i].reason.len > 10 && batch->dead[i].origin.len > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err = {0};
    char path[40];
    int rc;

    if (size < 1)
        return 0;
    int fd = memfd_create("input", MFD_CLOEXEC);
    FUZZ_CHECK(fd >= 0 && write(fd, data + 1, size - 1) == (ssize_t)(size - 1));
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    cm_source_t *source = open_source(path, data[0], &err);
    if (source != NULL) {
        do {
            cm_batch_clear(&batch);
            rc = cm_source_next(source, &batch, &err);
            check_batch(&batch);
        } while (rc > 0);
        if (rc < 0)
            fuzz_check_refusal(rc, CM_EINPUT, &err);
        else
            FUZZ_CHECK(batch.position_count == 1 && batch.positions[0].position == -1);
    }
    cm_source_close(source);
    cm_batch_free(&batch);
    close(fd);
    return 0;
}
