/* Which address is the visitor's: that of the connection, or one of its X-Forwarded-For header. */
#include "serve/proxies.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <arpa/inet.h>
#include <cmocka.h>

/* Asserts the address that is found behind a proxy, or that of `peer` where it is not a proxy. */
static void expect(const char *peer, const char *forwarded, const char *visitor, bool direct)
{
    char text[CM_ADDRESS_TEXT];
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    const struct sockaddr *address = (const struct sockaddr *)&v4;
    cm_proxies_t *proxies;
    cm_err_t err;
    bool loopback;

    assert_return_code(cm_proxies_new("127.0.0.1, 10.0.0.0/8, 2001:db8:1::/48", &proxies, &err), 0);
    if (inet_pton(AF_INET, peer, &v4.sin_addr) != 1) {
        assert_int_equal(inet_pton(AF_INET6, peer, &v6.sin6_addr), 1);
        address = (const struct sockaddr *)&v6;
    }
    assert_int_equal(cm_proxies_client(proxies, address, forwarded, text, &loopback), direct);
    assert_string_equal(text, visitor);
    cm_proxies_free(proxies);
}

/* All forms of one address are one visitor. */
static void all_forms_of_an_address(void **state)
{
    static const char *const forms[] = {
        "8.8.8.8",
        "8.8.8.8:40000",
        "\"8.8.8.8:40000\"",
        " 8.8.8.8 ",
        "::ffff:8.8.8.8",
        "[::ffff:8.8.8.8]:40000",
        "::FFFF:0808:0808",
        "[::ffff:808:808]",
        "\"8.8.8.8\"",
        "8.8.8.8, 10.0.0.1",
        "8.8.8.8:1, [::ffff:10.0.0.1]:2",
        "8.8.8.8,,10.0.0.1,",
    };
    static const char *const forms6[] = {
        "2001:db8::7",
        "2001:DB8::7",
        "2001:0db8:0000:0000:0000:0000:0000:0007",
        "[2001:db8::7]",
        "[2001:db8::7]:443",
        "\"[2001:db8::7]:40000\"",
        "2001:db8:0:0:0:0:0.0.0.7",
        "2001:db8::7, 2001:db8:1::99",
    };

    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        expect("127.0.0.1", forms[i], "8.8.8.8", false);
    for (size_t i = 0; i < sizeof forms6 / sizeof *forms6; i++)
        expect("2001:db8:1::2", forms6[i], "2001:db8::7", false);
}

static void what_a_stranger_says_does_not_count(void **state)
{
    (void)state;
    expect("9.9.9.9", "8.8.8.8", "9.9.9.9", true);
    expect("127.0.0.1", NULL, "127.0.0.1", true);
    expect("127.0.0.1", "8.8.8.8, 9.9.9.9", "9.9.9.9", false);
    expect("127.0.0.1", "8.8.8.8, 9.9.9.9, 10.1.2.3", "9.9.9.9", false);
    /* an element that is not an address ends the search */
    expect("127.0.0.1", "8.8.8.8, unknown, 10.1.2.3", "10.1.2.3", false);
    expect("127.0.0.1", "_hidden", "127.0.0.1", false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_forms_of_an_address),
        cmocka_unit_test(what_a_stranger_says_does_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
