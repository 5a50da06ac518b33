/* The format of a file, and the files that are refused before they are read. */
#include "file_support.h"

#define LINE(user, request, status)                                                                \
    "192.0.2.1 - " user " [17/May/2015:10:05:03 +0000] \"" request "\" " status                    \
    " 1 \"-\" \"Mozilla/5.0\"\n"

static void recognises_formats(void **state)
{
    static const struct {
        const char *text;
        cm_file_format_t format;
    } cases[] = {
        {"", CM_FILE_JSONL},
        {"\n \n", CM_FILE_JSONL},
        {"\n  {", CM_FILE_JSONL},
        {"\n  {\n\n\"url\":", CM_FILE_JSON},
        {"{\"user_id\": \"u\",\r\n \"url\": \"/\"}", CM_FILE_JSON},
        {"{\"user_id\": \"u\",\n{\"url\": \"/\"}", CM_FILE_JSONL}, /* cut */
        {"{\"user_id\": \"{\"}\n{", CM_FILE_JSONL},
        {"  [", CM_FILE_JSON},
        {"[2001:db8::1] - - [17/May/2015:10:05:03 +0000] \"-\" 200 1\n", CM_FILE_COMBINED},
        {"[pod/web/nginx] ::1 - - [17/May/2015:10:05:03 +0000] \"-\" 200 1\n", CM_FILE_COMBINED},
        {"user_id,timestamp,url\n", CM_FILE_CSV},
        {"url,\"user_id\",a,timestamp", CM_FILE_CSV},
        {LINE("-", "GET / HTTP/1.1", "200"), CM_FILE_COMBINED},
        {"TTP/1.1\" 200 5 \"-\" \"-\"\n" LINE("-", "GET / HTTP/1.1", "200"), CM_FILE_COMBINED},
        {"# comment\n\n" LINE("-", "GET / HTTP/1.1", "200"), CM_FILE_COMBINED},
        {"{\"user_id\":\"u\"}\n" LINE("-", "-", "200") LINE("-", "-", "200"), CM_FILE_COMBINED},
        {"{\"user_id\":\"u\"}\n" LINE("-", "-", "200"), CM_FILE_JSONL},
        {"\":1}\n{\"user_id\":\"u\"}\n", CM_FILE_JSONL},
        {"\xef\xbb\xbf" LINE("-", "GET / HTTP/1.1", "200"), CM_FILE_COMBINED},
        {"\xef\xbb\xbfuser_id,timestamp,url\n", CM_FILE_CSV},
        {"h - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 1\n", CM_FILE_COMBINED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cm_source_t *source =
            test_file_open((cm_file_options_t){.path = temp_write_text("f", cases[i].text)});
        assert_int_equal(cases[i].format, cm_file_format(source));
        cm_source_close(source);
    }
}

static void expect_open_failure(cm_file_options_t options, const char *sentence)
{
    cm_source_t *source = NULL;
    cm_err_t err = {0, ""};

    options.visitor_key = test_file_key;
    assert_int_equal(CM_EINPUT, cm_file_open(&options, &source, &err));
    temp_assert_text(sentence, err.text);
}

static void says_what_it_cannot_open(void **state)
{
    (void)state;
    expect_open_failure((cm_file_options_t){.path = "/nowhere/a"},
                        "cannot open /nowhere/a: No such file or directory; check the path");
    expect_open_failure(
        (cm_file_options_t){.path = temp_write_text("a", "hello\n")},
        "@/a: none of its first lines is a JSON object or a line of an access log "
        "(combined or common), and the first is no CSV header with user_id, "
        "timestamp and url; name the format with --format jsonl, json, csv, combined or "
        "common");
    expect_open_failure(
        (cm_file_options_t){.path = temp_write_text(
                                "a", "8.8.8.8 - a b [17/May/2015:10:05:03 +0000] \"-\" 200 1\n")},
        "@/a: none of its first lines is a JSON object or a line of an access log (combined or "
        "common), and the first is no CSV header with user_id, timestamp and url; the first is not "
        "an access log line: a column between address and user is neither an address nor a host "
        "name (a user name is one column); name the format with --format jsonl, json, csv, "
        "combined or "
        "common");
    expect_open_failure(
        (cm_file_options_t){.path = temp_write_text("a", "user_id,url\n"), .format = CM_FILE_CSV},
        "@/a: the first line does not name the column timestamp; CSV needs a header with user_id, "
        "timestamp and url");
    expect_open_failure(
        (cm_file_options_t){.path = temp_write_text("a", "\x1f\x8b\x08"), .format = 0},
        "@/a is truncated: it ends at byte 3 in the middle of a gzip member; get a "
        "whole copy and run the import again");
}

static const struct {
    const char *text, *name;
} unread[] = {
    {"{\"level\":\"info\",\"logger\":\"http.log.access.log0\",\"request\":{}}\n",
     "an access log of Caddy (JSON)"},
    {"{\"ClientAddr\":\"8.8.8.8:1\",\"DownstreamStatus\":200,\"RequestPath\":\"/\"}\n",
     "an access log of Traefik (JSON)"},
    {"{\"remote_addr\": \"8.8.8.8\", \"request_uri\": \"/\", \"status\": \"200\"}\n",
     "an access log of nginx in JSON"},
    {"{\"ip\": \"8.8.8.8\", \"path\": \"/\", \"status\": \"200\"}\n", "an access log in JSON"},
    {"{\"log\":\"8.8.8.8 - - [x] \\\"GET\\n\",\"stream\":\"stdout\",\"time\":\"2025\"}\n",
     "a log file of Docker (json-file; `docker logs` writes its access log)"},
    {"[{\"ip\": \"8.8.8.8\", \"path\": \"/\", \"status\": \"200\"}]", "an access log in JSON"},
    {"[\n  {\n    \"ip\": \"8.8.8.8\",\n    \"path\": \"/\",\n    \"status\": 200\n  }\n]\n",
     "an access log in JSON"},
    {"#Software: Microsoft Internet Information Services 10.0\n#Version: 1.0\n"
     "#Fields: date time s-ip cs-method cs-uri-stem c-ip sc-status\n"
     "2025-10-10 10:00:00 10.0.0.1 GET /a 8.8.8.8 200\n",
     "an access log of IIS (W3C extended format)"},
    {"2014-06-03 05:14:44 W3SVC7 10.0.1.3 GET /index.html - 80 - 10.62.32.123 - 304 0 0 344\n",
     "an access log of IIS (W3C extended format)"},
    {"#Version: 1.0\n#Fields: date time x-edge-location sc-bytes c-ip cs-method\n"
     "2019-12-04\t21:02:31\tLAX1\t392\t192.0.2.100\tGET\td111.cloudfront.net\t/\t200\n",
     "an access log of CloudFront"},
    {"2019-12-04\t21:02:31\tLAX1\t392\t192.0.2.100\tGET\td111.cloudfront.net\t/\t200\n",
     "an access log of CloudFront"},
    {"http 2018-07-02T22:23:00.186641Z app/lb/50dc 192.168.131.39:2817 10.0.0.1:80 0.000 0.001 "
     "0.000 200 200 34 366 \"GET http://www.example.com:80/ HTTP/1.1\" \"curl/7\" - -\n",
     "an access log of an application load balancer of AWS (ALB)"},
    {"2015-05-13T23:39:43.945958Z lb 192.168.131.39:2817 10.0.0.1:80 0.000073 0.001048 "
     "0.000057 "
     "200 200 0 29 \"GET http://www.example.com:80/ HTTP/1.1\" \"curl/7.38.0\" - -\n",
     "an access log of a classic load balancer of AWS (ELB)"},
    {"Feb  6 12:14:14 localhost haproxy[14389]: 10.0.1.2:33317 [06/Feb/2009:12:14:14.655] in "
     "static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 \"GET / HTTP/1.1\"\n",
     "a log of HAProxy"},
    {"10.0.1.2:33317 [06/Feb/2009:12:14:14.655] in static/srv1 10/0/30/69/109 200 2750 - - "
     "---- 1/1/1/1/0 0/0 \"GET /index.html HTTP/1.1\"\n",
     "a log of HAProxy"},
};

/* Each is refused with the name of its format, also when a format is given that no line has. */
static void refuses_formats_that_are_not_read(void **state)
{
    char sentence[400];

    (void)state;
    for (size_t i = 0; i < sizeof unread / sizeof *unread; i++) {
        const char *path = temp_write_text("a", unread[i].text);
        snprintf(sentence, sizeof sentence,
                 "@/a: this is %s, a format that is not read; nothing of it was taken; have the "
                 "server write the combined format, or convert it to JSON lines with user_id, "
                 "timestamp and url",
                 unread[i].name);
        expect_open_failure((cm_file_options_t){.path = path}, sentence);
        expect_open_failure((cm_file_options_t){.path = path, .format = CM_FILE_COMBINED},
                            sentence);
        expect_open_failure((cm_file_options_t){.path = path, .format = CM_FILE_JSONL}, sentence);
    }
    /* A single such line in a readable file is one bad line. */
    cm_source_t *source = test_file_open((cm_file_options_t){
        .path =
            temp_write_text("a", "#Fields: date\n" LINE("-", "-", "200") LINE("-", "-", "200"))});
    assert_int_equal(CM_FILE_COMBINED, cm_file_format(source));
    cm_source_close(source);
}

static void refuses_a_site_without_a_host(void **state)
{
    static const char *const sites[] = {"https://", "a b", "http://a?b", "://a"};
    cm_source_t *source = NULL;
    cm_err_t err;

    (void)state;
    for (size_t i = 0; i < sizeof sites / sizeof *sites; i++) {
        const cm_file_options_t options = {
            .path = temp_write_text("a", "{}\n"), .site = sites[i], .visitor_key = test_file_key};
        assert_int_equal(CM_EUSAGE, cm_file_open(&options, &source, &err));
        assert_non_null(strstr(err.text, "names no host"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recognises_formats),
        cmocka_unit_test(says_what_it_cannot_open),
        cmocka_unit_test(refuses_formats_that_are_not_read),
        cmocka_unit_test(refuses_a_site_without_a_host),
    };
    return cmocka_run_group_tests(tests, temp_setup, temp_teardown);
}
