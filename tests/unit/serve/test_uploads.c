/* Uploads: how many an address may have, and what happens to the others. */
#include "support.h"

#include "base/clock.h"
#include "serve/uploads.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct sender {
    cm_upload_t upload;
    int server, client;
} sender_t;

static void open_sender(cm_uploads_t *uploads, sender_t *sender, const char *address)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    sender->server = pair[0];
    sender->client = pair[1];
    cm_uploads_begin(uploads, &sender->upload, cm_str(address), sender->server, false);
}

static void close_sender(cm_uploads_t *uploads, sender_t *sender)
{
    cm_uploads_end(uploads, &sender->upload);
    close(sender->server);
    close(sender->client);
}

/* The answer that the client got before its connection was ended. */
static void assert_told(const sender_t *sender, const char *status, const char *sentence)
{
    char text[1000];
    size_t len = 0;
    ssize_t got;

    while ((got = read(sender->client, text + len, sizeof text - 1 - len)) > 0)
        len += (size_t)got;
    text[len] = '\0';
    assert_int_equal(strncmp(text, "HTTP/1.1 ", 9), 0);
    assert_int_equal(strncmp(text + 9, status, strlen(status)), 0);
    const char *body = strstr(text, "\r\n\r\n");
    assert_non_null(body);
    assert_non_null(strstr(body, sentence));
    const char *length = strstr(text, "Content-Length: ");
    assert_int_equal(strtoul(length + 16, NULL, 10), strlen(body + 4));
}

static cm_uploads_t *start(const cm_uploads_options_t *options)
{
    cm_uploads_t *uploads;
    cm_err_t err;

    assert_int_equal(cm_uploads_start(options, &uploads, &err), 0);
    return uploads;
}

static void an_address_has_so_many(void **state)
{
    cm_uploads_t *uploads = start(&(cm_uploads_options_t){
        .max_bytes = 1000, .max_each = 500, .most = 3, .timeout_ms = 60000});
    sender_t one[4], other;

    (void)state;
    for (int i = 0; i < 4; i++)
        open_sender(uploads, &one[i], "one");
    open_sender(uploads, &other, "other");
    for (int i = 0; i < 3; i++)
        assert_int_equal(cm_uploads_add(uploads, &one[i].upload, 10, false), CM_UPLOAD_FITS);
    /* All of them are new: the last one has to wait; but not when it arrives at once, and not that
     * of another address. */
    assert_int_equal(cm_uploads_add(uploads, &one[3].upload, 10, false), CM_UPLOAD_ADDRESS_LIMIT);
    assert_int_equal(cm_uploads_add(uploads, &one[3].upload, 10, true), CM_UPLOAD_FITS);
    assert_int_equal(cm_uploads_add(uploads, &other.upload, 500, false), CM_UPLOAD_FITS);
    assert_int_equal(cm_uploads_add(uploads, &other.upload, 1, false), CM_UPLOAD_ADDRESS_LIMIT);
    cm_uploads_end(uploads, &one[3].upload);
    cm_sleep_ms(1100);
    /* Now the oldest one is given up to make room. */
    cm_uploads_begin(uploads, &one[3].upload, CM_STR("one"), one[3].server, false);
    assert_int_equal(cm_uploads_add(uploads, &one[3].upload, 10, false), CM_UPLOAD_FITS);
    assert_told(&one[0], "429 ", "too many unfinished bodies");
    assert_false(cm_uploads_complete(uploads, &one[0].upload));
    for (int i = 1; i < 4; i++)
        assert_true(cm_uploads_complete(uploads, &one[i].upload));
    for (int i = 0; i < 4; i++)
        close_sender(uploads, &one[i]);
    close_sender(uploads, &other);
    cm_uploads_stop(uploads);
}

static void the_address_with_most_makes_room(void **state)
{
    cm_uploads_t *uploads = start(&(cm_uploads_options_t){
        .max_bytes = 1000, .max_each = 800, .most = 10, .timeout_ms = 60000});
    sender_t large, small, next;

    (void)state;
    open_sender(uploads, &small, "small");
    open_sender(uploads, &large, "large");
    open_sender(uploads, &next, "next");
    assert_int_equal(cm_uploads_add(uploads, &small.upload, 300, false), CM_UPLOAD_FITS);
    assert_int_equal(cm_uploads_add(uploads, &large.upload, 600, false), CM_UPLOAD_FITS);
    assert_int_equal(cm_uploads_add(uploads, &next.upload, 200, false), CM_UPLOAD_TOTAL_LIMIT);
    cm_sleep_ms(1100);
    assert_int_equal(cm_uploads_add(uploads, &next.upload, 200, false), CM_UPLOAD_FITS);
    assert_told(&large, "429 ", "send fewer at once");
    assert_true(cm_uploads_complete(uploads, &small.upload));
    /* A complete upload needs room until it is ended, and is not given up. */
    assert_true(cm_uploads_complete(uploads, &next.upload));
    close_sender(uploads, &large);
    open_sender(uploads, &large, "large");
    assert_int_equal(cm_uploads_add(uploads, &large.upload, 501, false), CM_UPLOAD_TOTAL_LIMIT);
    assert_int_equal(cm_uploads_add(uploads, &large.upload, 500, false), CM_UPLOAD_FITS);
    close_sender(uploads, &small);
    close_sender(uploads, &next);
    close_sender(uploads, &large);
    cm_uploads_stop(uploads);
}

static void a_body_has_its_time(void **state)
{
    cm_uploads_t *uploads = start(
        &(cm_uploads_options_t){.max_bytes = 1000, .max_each = 500, .most = 3, .timeout_ms = 300});
    sender_t slow, head, whole;

    (void)state;
    open_sender(uploads, &slow, "one");
    open_sender(uploads, &head, "one");
    open_sender(uploads, &whole, "one");
    assert_int_equal(cm_uploads_add(uploads, &slow.upload, 10, false), CM_UPLOAD_FITS);
    assert_int_equal(cm_uploads_add(uploads, &whole.upload, 10, false), CM_UPLOAD_FITS);
    assert_true(cm_uploads_complete(uploads, &whole.upload));
    assert_told(&slow, "408 ", "collect.body_timeout");
    assert_told(&head, "408 ", "collect.body_timeout");
    assert_false(cm_uploads_complete(uploads, &slow.upload));
    assert_false(cm_uploads_complete(uploads, &head.upload));
    assert_true(cm_uploads_complete(uploads, &whole.upload));
    close_sender(uploads, &slow);
    close_sender(uploads, &head);
    close_sender(uploads, &whole);
    cm_uploads_stop(uploads);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_has_so_many),
        cmocka_unit_test(the_address_with_most_makes_room),
        cmocka_unit_test(a_body_has_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
