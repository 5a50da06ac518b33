/* IP addresses in all their forms. */
#include "base/address.h"

#include "support.h"

#include <arpa/inet.h>

static void expect(const char *text, const char *canonical)
{
    cm_address_t address;
    char got[CM_ADDRESS_TEXT] = "";

    if (cm_address_of_list(cm_str(text), &address))
        cm_address_write(&address, got);
    if (strcmp(got, canonical) != 0)
        fail_msg("%s: \"%s\", not \"%s\"", text, got, canonical);
}

static void reads_addresses_in_all_their_forms(void **state)
{
    (void)state;
    expect("8.8.8.8", "8.8.8.8");
    expect(" 8.8.8.8 ", "8.8.8.8");
    expect("\"8.8.8.8:443\"", "8.8.8.8");
    expect("255.255.255.255", "255.255.255.255");
    expect("0.0.0.0", "0.0.0.0");
    expect("[2001:DB8:0:0::1]:80", "2001:db8::1");
    expect("::ffff:8.8.4.4", "8.8.4.4");
    expect("fe80::1%eth0", "fe80::1");
    expect("10.0.0.1, 8.8.8.8, 9.9.9.9", "8.8.8.8");
    expect("10.0.0.1, unknown, 10.0.0.2", "10.0.0.1");
}

static void refuses_what_is_no_address(void **state)
{
    static const char *const texts[] = {
        "",        "-",         "8",        "8.8.8",     "8.8.8.8.",   ".8.8.8.8",
        "8..8.8",  "8.8.8.8.8", "08.8.8.8", "8.8.8.256", "8.8.8.1000", "8.8.8.00",
        "8.8.8.x", "localhost", "8.8.8.8a", "1:2",       "example.com"};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        expect(texts[i], "");
}

/* Random texts of the characters of addresses: exactly those that inet_pton() accepts are
 * addresses. */
static void agrees_with_the_system(void **state)
{
    static const char letters[] = "0123456789......0125";
    uint64_t seed = 5;
    int addresses = 0;

    (void)state;
    for (int i = 0; i < 200000; i++) {
        char text[17];
        uint8_t bytes[4];
        cm_address_t address;
        size_t len = 0;
        for (size_t end = 7 + test_random(&seed) % 5; len < end; len++)
            text[len] = letters[test_random(&seed) % (sizeof letters - 1)];
        text[len] = '\0';
        bool expected = inet_pton(AF_INET, text, bytes) == 1;
        if (cm_address_parse(cm_str(text), &address) != expected)
            fail_msg("%s: %s", text, expected ? "refused" : "taken");
        if (expected && (!cm_address_is_v4(&address) || memcmp(address.bytes + 12, bytes, 4) != 0))
            fail_msg("%s is read wrongly", text);
        addresses += expected;
    }
    assert_true(addresses > 500);
}

static cm_str_t who(const char *text, cm_address_t *address)
{
    assert_true(cm_address_parse(cm_str(text), address));
    return cm_address_limit_key(address);
}

/* What a limit is counted by: an IPv4 address, also in an IPv6 socket, and a network of IPv6.
 */
static void limits_are_of_one(void **state)
{
    cm_address_t a, b;

    (void)state;
    assert_false(cm_str_equal(who("8.8.8.8", &a), who("8.8.4.4", &b)));
    assert_false(cm_str_equal(who("::ffff:8.8.8.8", &a), who("::ffff:8.8.4.4", &b)));
    assert_true(cm_str_equal(who("::ffff:8.8.8.8", &a), who("8.8.8.8", &b)));
    assert_true(cm_str_equal(who("2001:db8:1:2::3", &a), who("2001:db8:1:2:ffff::4", &b)));
    assert_false(cm_str_equal(who("2001:db8:1:2::3", &a), who("2001:db8:1:3::3", &b)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_addresses_in_all_their_forms),
        cmocka_unit_test(refuses_what_is_no_address),
        cmocka_unit_test(agrees_with_the_system),
        cmocka_unit_test(limits_are_of_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
