/* --listen: the addresses that it takes, and the errors of the others. */
#include "support.h"

#include "serve/listen.h"

#include <stdio.h>
#include <unistd.h>

static void test_listen(void **context)
{
    static const char *const bad[] = {
        "",        "80 80",           "localhost",    "localhost:",
        ":",       "127.0.0.1:65536", "::1:8080",     "[::1]",
        "[]:80",   "example.org:80",  "127.0.0.1:-1", "127.0.0.1:8 ",
        "[::1:80",
    };
    cm_listen_t got;
    cm_err_t err;
    (void)context;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char sentence[200];
        snprintf(sentence, sizeof sentence,
                 "--listen \"%s\" is not ADDRESS:PORT; give for example 127.0.0.1:8080, "
                 "[::1]:8080 or 0.0.0.0:8080, or a port alone for this machine only",
                 bad[i]);
        assert_int_equal(cm_listen_open(bad[i], &got, &err), CM_EUSAGE);
        assert_string_equal(err.text, sentence);
    }
    assert_int_equal(cm_listen_open("192.0.2.1:8080", &got, &err), CM_EUSAGE);
    assert_string_equal(err.text, "this machine has no address 192.0.2.1; choose one of its own, "
                                  "or 0.0.0.0 for all of them, with --listen");
    static const struct {
        const char *text;
        bool loopback;
    } good[] = {{"127.0.0.1:0", true}, {"localhost:0", true}, {"127.3.2.1:0", true},
                {"[::1]:0", true},     {"0.0.0.0:0", false},  {"[::]:0", false},
                {"0", true},           {":0", true}};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(cm_listen_open(good[i].text, &got, &err), 0);
        assert_true(got.port > 0);
        assert_int_equal(got.loopback, good[i].loopback);
        close(got.fd);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
