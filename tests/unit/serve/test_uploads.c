/* Bodies that are not whole: what an address may have of them, and what becomes of the others. */
#include "support.h"

#include "base/clock.h"
#include "serve/uploads.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct sender {
    cm_upload_t coming;
    int ours, theirs;
} sender_t;

static void open_sender(cm_uploads_t *bodies, sender_t *sender, const char *address)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    sender->ours = pair[0];
    sender->theirs = pair[1];
    cm_uploads_begin(bodies, &sender->coming, cm_str(address), sender->ours, false);
}

static void close_sender(cm_uploads_t *bodies, sender_t *sender)
{
    cm_uploads_end(bodies, &sender->coming);
    close(sender->ours);
    close(sender->theirs);
}

/* What the other end was told, before the connection was ended. */
static void assert_told(const sender_t *sender, const char *status, const char *sentence)
{
    char text[1000];
    size_t len = 0;
    ssize_t got;

    while ((got = read(sender->theirs, text + len, sizeof text - 1 - len)) > 0)
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
    cm_uploads_t *bodies;
    cm_err_t err;

    assert_int_equal(cm_uploads_start(options, &bodies, &err), 0);
    return bodies;
}

static void an_address_has_so_many(void **state)
{
    cm_uploads_t *bodies = start(&(cm_uploads_options_t){
        .max_bytes = 1000, .max_each = 500, .most = 3, .timeout_ms = 60000});
    sender_t one[4], other;

    (void)state;
    for (int i = 0; i < 4; i++)
        open_sender(bodies, &one[i], "one");
    open_sender(bodies, &other, "other");
    for (int i = 0; i < 3; i++)
        assert_int_equal(cm_uploads_add(bodies, &one[i].coming, 10, false), CM_UPLOAD_FITS);
    /* All of them are new: the last one has to wait; but not when it comes at once, and not that
     * of another address. */
    assert_int_equal(cm_uploads_add(bodies, &one[3].coming, 10, false), CM_UPLOAD_ADDRESS_LIMIT);
    assert_int_equal(cm_uploads_add(bodies, &one[3].coming, 10, true), CM_UPLOAD_FITS);
    assert_int_equal(cm_uploads_add(bodies, &other.coming, 500, false), CM_UPLOAD_FITS);
    assert_int_equal(cm_uploads_add(bodies, &other.coming, 1, false), CM_UPLOAD_ADDRESS_LIMIT);
    cm_uploads_end(bodies, &one[3].coming);
    cm_sleep_ms(1100);
    /* Now the oldest one is given up for it. */
    cm_uploads_begin(bodies, &one[3].coming, CM_STR("one"), one[3].ours, false);
    assert_int_equal(cm_uploads_add(bodies, &one[3].coming, 10, false), CM_UPLOAD_FITS);
    assert_told(&one[0], "429 ", "too many unfinished bodies");
    assert_false(cm_uploads_complete(bodies, &one[0].coming));
    for (int i = 1; i < 4; i++)
        assert_true(cm_uploads_complete(bodies, &one[i].coming));
    for (int i = 0; i < 4; i++)
        close_sender(bodies, &one[i]);
    close_sender(bodies, &other);
    cm_uploads_stop(bodies);
}

static void the_address_with_most_makes_room(void **state)
{
    cm_uploads_t *bodies = start(&(cm_uploads_options_t){
        .max_bytes = 1000, .max_each = 800, .most = 10, .timeout_ms = 60000});
    sender_t large, small, next;

    (void)state;
    open_sender(bodies, &small, "small");
    open_sender(bodies, &large, "large");
    open_sender(bodies, &next, "next");
    assert_int_equal(cm_uploads_add(bodies, &small.coming, 300, false), CM_UPLOAD_FITS);
    assert_int_equal(cm_uploads_add(bodies, &large.coming, 600, false), CM_UPLOAD_FITS);
    assert_int_equal(cm_uploads_add(bodies, &next.coming, 200, false), CM_UPLOAD_TOTAL_LIMIT);
    cm_sleep_ms(1100);
    assert_int_equal(cm_uploads_add(bodies, &next.coming, 200, false), CM_UPLOAD_FITS);
    assert_told(&large, "429 ", "send fewer at once");
    assert_true(cm_uploads_complete(bodies, &small.coming));
    /* What is whole takes room until it is over, and is not given up. */
    assert_true(cm_uploads_complete(bodies, &next.coming));
    close_sender(bodies, &large);
    open_sender(bodies, &large, "large");
    assert_int_equal(cm_uploads_add(bodies, &large.coming, 501, false), CM_UPLOAD_TOTAL_LIMIT);
    assert_int_equal(cm_uploads_add(bodies, &large.coming, 500, false), CM_UPLOAD_FITS);
    close_sender(bodies, &small);
    close_sender(bodies, &next);
    close_sender(bodies, &large);
    cm_uploads_stop(bodies);
}

static void a_body_has_its_time(void **state)
{
    cm_uploads_t *bodies = start(
        &(cm_uploads_options_t){.max_bytes = 1000, .max_each = 500, .most = 3, .timeout_ms = 300});
    sender_t slow, head, whole;

    (void)state;
    open_sender(bodies, &slow, "one");
    open_sender(bodies, &head, "one");
    open_sender(bodies, &whole, "one");
    assert_int_equal(cm_uploads_add(bodies, &slow.coming, 10, false), CM_UPLOAD_FITS);
    assert_int_equal(cm_uploads_add(bodies, &whole.coming, 10, false), CM_UPLOAD_FITS);
    assert_true(cm_uploads_complete(bodies, &whole.coming));
    assert_told(&slow, "408 ", "collect.body_timeout");
    assert_told(&head, "408 ", "collect.body_timeout");
    assert_false(cm_uploads_complete(bodies, &slow.coming));
    assert_false(cm_uploads_complete(bodies, &head.coming));
    assert_true(cm_uploads_complete(bodies, &whole.coming));
    close_sender(bodies, &slow);
    close_sender(bodies, &head);
    close_sender(bodies, &whole);
    cm_uploads_stop(bodies);
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
