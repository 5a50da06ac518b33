/* The columns before the time of a line, in the layouts of real servers. */
#include "source/file/accesslog_columns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Parses a text in its own heap block, so that a sanitizer finds reads past its end. */
static int parse(const char *head, cm_access_t *access, char **copy, cm_err_t *err)
{
    size_t len = strlen(head);

    *copy = malloc(len ? len : 1);
    memcpy(*copy, head, len);
    return cm_accesslog_parse_columns((cm_str_t){*copy, len}, access, err);
}

static void expect(const char *head, const char *address, const char *host, const char *user)
{
    cm_access_t access;
    cm_err_t err = {0, ""};
    char *copy, got[200];

    if (parse(head, &access, &copy, &err) < 0)
        fail_msg("%s: %s", head, err.text);
    snprintf(got, sizeof got, "%.*s|%.*s|%.*s", (int)access.address.len, access.address.data,
             (int)access.host.len, access.host.data, (int)access.user.len, access.user.data);
    char want[200];
    snprintf(want, sizeof want, "%s|%s|%s", address, host, user);
    if (strcmp(want, got) != 0)
        fail_msg("%s: %s, not %s", head, got, want);
    free(copy);
}

static void reads_the_layouts_of_servers(void **state)
{
    (void)state;
    expect("8.8.8.8 - - ", "8.8.8.8", "", "");
    expect("8.8.8.8 - anna ", "8.8.8.8", "", "anna");
    expect("8.8.8.8 ident first.last ", "8.8.8.8", "", "first.last");
    expect("8.8.8.8 -  -  ", "8.8.8.8", "", ""); /* Jetty */
    expect("8.8.8.8\t-\t- ", "8.8.8.8", "", "");
    expect("8.8.8.8 - [8.8.8.8] - - ", "8.8.8.8", "", ""); /* ingress-nginx */
    expect("10.0.0.7 - [1.1.1.1, 10.0.0.9] - anna ", "1.1.1.1", "", "anna");
    expect("8.8.8.8 - (www.example.com) - ", "8.8.8.8", "www.example.com", "");
    expect("www.example.com:443 8.8.8.8 - anna ", "8.8.8.8", "www.example.com:443", "anna");
    expect("www.example.com 8.8.8.8 - first.last ", "8.8.8.8", "www.example.com", "first.last");
    expect("8.8.8.8 www.example.com anna ", "8.8.8.8", "www.example.com", "anna"); /* lighttpd */
    expect("8.8.8.8 - a.example a.example - ", "8.8.8.8", "a.example", "");        /* Virtualmin */
    expect("8.8.8.8 - www.example.com - ", "8.8.8.8", "www.example.com", "");
    expect("host1.example - - ", "host1.example", "", "");
    expect("www.example.com:80 host1.example - - ", "host1.example", "www.example.com:80", "");
    expect("_ 8.8.8.8 - - ", "8.8.8.8", "", "");
    expect("_:443 8.8.8.8 - - ", "8.8.8.8", "", "");
    expect("- - - ", "-", "", "");
    expect("unknown - - ", "unknown", "", "");
}

static void reads_balancers_and_lists(void **state)
{
    (void)state;
    expect("1.1.1.1, 10.1.2.3, 10.1.2.4 - - ", "1.1.1.1", "", "");
    expect("1.1.1.1,10.1.2.3 - - ", "1.1.1.1", "", "");
    expect("1.1.1.1 , 10.1.2.3 - - ", "1.1.1.1", "", "");
    expect("\"1.1.1.1, 10.1.2.3\" - - ", "1.1.1.1", "", "");
    expect("10.1.2.3, 1.1.1.1 - - ", "1.1.1.1", "", "");
    expect("10.1.2.3, 10.1.2.4 - - ", "10.1.2.3", "", "");
    expect("unknown, 1.1.1.1 - anna ", "1.1.1.1", "", "anna");
    expect("-, - - - ", "-", "", "");
    expect("172.31.13.163 (45.56.150.80, 172.31.13.163) - - ", "45.56.150.80", "",
           ""); /* Beanstalk */
    expect("127.0.0.1 67.67.67.67, 163.241.184.49 - ", "67.67.67.67", "", "");
    expect("8.8.8.8, 10.0.0.1 10.0.0.7 - - ", "8.8.8.8", "", "");
    expect("10.0.0.9 8.8.8.8 - anna ", "8.8.8.8", "", "anna");
    expect("- 8.8.8.8 - - ", "8.8.8.8", "", "");
    expect("lb1 8.8.8.8 - anna ", "8.8.8.8", "", "anna");
    expect("8.8.8.8 - lb1 - ", "8.8.8.8", "", "");
    expect("8.8.8.8 - 10.0.0.5:8080 anna ", "8.8.8.8", "", "anna");
    /* an address with a server's port is a virtual host without a name, and not a site */
    expect("9.9.9.9:80 8.8.8.8 - - ", "8.8.8.8", "", "");
    expect("9.9.9.9:443 10.0.0.7 - anna ", "10.0.0.7", "", "anna");
    expect("9.9.9.9:8080 8.8.8.8 - - ", "8.8.8.8", "", "");
    expect("10.0.0.5:8443 10.0.0.7 - - ", "10.0.0.7", "", "");
    expect("[2606:4700::1]:8080 8.8.8.8 - - ", "8.8.8.8", "", "");
    /* or by chance it is the port of a visitor */
    expect("9.9.9.9:8080 10.0.0.7 - - ", "9.9.9.9", "", "");
    expect("9.9.9.9:8443 10.0.0.7, 10.0.0.8 - - ", "9.9.9.9", "", "");
    expect("[2606:4700::1]:8080 10.0.0.7 - - ", "2606:4700::1", "", "");
    expect("10.0.0.5 - 8.8.8.8 ", "8.8.8.8", "", ""); /* an address is not a name */
}

static void writes_addresses_in_one_form(void **state)
{
    (void)state;
    expect("8.8.8.8:40000 - - ", "8.8.8.8", "", "");
    expect("\"8.8.8.8\" - - ", "8.8.8.8", "", "");
    expect("::ffff:8.8.8.8 - - ", "8.8.8.8", "", "");
    expect("::FFFF:0808:0808 - - ", "8.8.8.8", "", "");
    expect("[::ffff:8.8.8.8]:40000 - - ", "8.8.8.8", "", "");
    expect("[2001:db8::1] - - ", "2001:db8::1", "", "");
    expect("[2001:DB8::1]:443 - - ", "2001:db8::1", "", "");
    expect("2001:0db8:0000:0000:0000:0000:0000:0001 - - ", "2001:db8::1", "", "");
    expect("fe80::1%eth0 - - ", "fe80::1", "", "");
    expect("::1 - - ", "::1", "", "");
    expect("host1.example:40000 - - ", "host1.example", "", "");
    expect("256.8.8.8 - - ", "256.8.8.8", "", "");
}

static void reads_user_names(void **state)
{
    (void)state;
    expect("8.8.8.8 - \"john doe\" ", "8.8.8.8", "", "john doe");
    expect("8.8.8.8 - \"\" ", "8.8.8.8", "", "");
    expect("8.8.8.8 - \"-\" ", "8.8.8.8", "", "");
    expect("8.8.8.8 - anna@example.com ", "8.8.8.8", "", "anna@example.com");
    expect("8.8.8.8 - EXAMPLE\\anna ", "8.8.8.8", "", "EXAMPLE\\anna");
    /* A name that contains an address is not a user name either. */
    expect("8.8.8.8 - anna@8.8.8.8 ", "8.8.8.8", "", "");
    expect("8.8.8.8 - u8.8.8.8. ", "8.8.8.8", "", "");
    expect("8.8.8.8 - 8.8.8.8/32 ", "8.8.8.8", "", "");
    expect("8.8.8.8 - ip:2001:4860:4860::8888 ", "8.8.8.8", "", "");
    expect("8.8.8.8 - anna@1.2.3 ", "8.8.8.8", "", "anna@1.2.3");
    expect("8.8.8.8 - DOMAIN:add ", "8.8.8.8", "", "DOMAIN:add");
}

static void leaves_prefixes_out(void **state)
{
    static const char *const prefixes[] = {
        "Oct 10 10:00:01 web1 nginx: ",
        "Oct  1 10:00:01 web1 nginx[123]: ",
        "<134>Oct 10 10:00:01 web1 nginx: ",
        "<134>Oct 10 10:00:01 nginx: ",
        "Oct 10 2025 10:00:01 web1 nginx: ",
        "Oct 10 10:00:01.123456 web1 nginx[1]: ",
        "2025-10-10T10:00:01.123456+00:00 web1 nginx: ",
        "2025-10-10T10:00:01+0000 web1 nginx[7]: ",
        "<134>1 2025-10-10T10:00:01.003Z web1.example nginx 123 - - ",
        "<134>1 2025-10-10T10:00:01Z web1 nginx - ID47 [x@32473 a=\"]\\\"b\" c=\"d\"][y] ",
        "<134>1 2025-10-10T10:00:01Z web1 nginx - - - \xef\xbb\xbf",
        "<165>1 - - - - - - ",
        "2025-10-10T10:00:01.123456789Z ",          /* docker logs --timestamps */
        "2025-10-10T10:00:01.123456789Z stdout F ", /* the container runtime of Kubernetes */
        "web-1  | ",                                /* docker compose */
        "[pod/web-7d/nginx] ",                      /* kubectl logs --prefix */
        "nginx: ",
        "Fri 2025-10-10 10:00:01 UTC web1 nginx[1]: ",
        "2025-10-10 10:00:01 web1 nginx[1]: ",
    };
    char head[200];

    (void)state;
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        snprintf(head, sizeof head, "%s8.8.8.8 - anna ", prefixes[i]);
        expect(head, "8.8.8.8", "", "anna");
        snprintf(head, sizeof head, "%swww.example.com:443 2001:db8:: - - ", prefixes[i]);
        expect(head, "2001:db8::", "www.example.com:443", "");
    }
}

static void rejects_every_other_layout(void **state)
{
#define COLUMN                                                                                     \
    "a column between address and user is neither an address nor a host name (a user name is one " \
    "column)"
#define NOT_USER "the column before the time is a host name, not a user name"
#define VISITOR  "no column before the time is the address of a visitor"
    static const struct {
        const char *head, *why;
    } cases[] = {
        {"", "it does not begin with address, identity, user and [time]"},
        {"8.8.8.8 ", "it does not begin with address, identity, user and [time]"},
        {"8.8.8.8 - ", "it does not begin with address, identity, user and [time]"},
        {"8.8.8.8 - john doe ", COLUMN},
        {"8.8.8.8 - anna www.example.com ", COLUMN},
        {"8.8.8.8 0.002 - - ", COLUMN},
        {"8.8.8.8 - 8.8.8.8 john doe ", COLUMN},
        {"8.8.8.8 - - www.example.com ", NOT_USER},
        {"8.8.8.8 - www.example.com ", NOT_USER},
        {"8.8.8.8 - anna:80 ", NOT_USER},
        {"8.8.8.8 - - (www.example.com) ", "the column before the time is not a user name"},
        {"8.8.8.8 - [anna] ", "the column before the time is not a user name"},
        {"web1 nginx 8.8.8.8 - - ", COLUMN},
        {"a b c d e ", VISITOR},
        {"www.example.com - - - ", VISITOR},
        {"{\"a\":1} - - ", VISITOR},
        {"a, b - - ", VISITOR},
        {"8.8.8.8 - \"anna ", "a quote or bracket before the time is not closed"},
        {"8.8.8.8 - (a - ", "a quote or bracket before the time is not closed"},
        {"8.8.8.8 - - - - - - - - ",
         "there are more columns before the time than in any known layout"},
    };
    cm_access_t access;
    char *copy, want[200];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cm_err_t err = {0, ""};
        int rc = parse(cases[i].head, &access, &copy, &err);
        snprintf(want, sizeof want, "not an access log line: %s", cases[i].why);
        if (rc != CM_EREJECT || strcmp(want, err.text) != 0)
            fail_msg("%s: %d, %s", cases[i].head, rc, err.text);
        free(copy);
    }
}

/* No part of a line makes the parser read past its end. */
static void survives_every_cut(void **state)
{
    static const char head[] = "<134>1 2025-10-10T10:00:01Z w n - - [x a=\"\\\"\"] \xef\xbb\xbf"
                               "w.example:443 \"1.1.1.1, [::1%e]:80\" - (a, b) [c] \"j d\" ";
    cm_access_t access;
    char text[sizeof head], *copy;

    (void)state;
    for (size_t from = 0; from < sizeof head; from++) {
        for (size_t to = from; to < sizeof head; to++) {
            snprintf(text, sizeof text, "%.*s", (int)(to - from), head + from);
            parse(text, &access, &copy, NULL);
            free(copy);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_layouts_of_servers),
        cmocka_unit_test(reads_balancers_and_lists),
        cmocka_unit_test(writes_addresses_in_one_form),
        cmocka_unit_test(reads_user_names),
        cmocka_unit_test(leaves_prefixes_out),
        cmocka_unit_test(rejects_every_other_layout),
        cmocka_unit_test(survives_every_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
