/* TLS: right and wrong certificate authorities and names, the client's own certificate, plain bytes
 * on either side. The certificates are made here, by OpenSSL. */
#include "certificates.h"
#include "cql_rig.h"

#include <sys/socket.h>

static char *directory;
static pair_t ca, other_ca, node, foreign, client, stranger;

static const char *path_of(const char *name)
{
    static char paths[4][300];
    static int turn;
    char *path = paths[turn++ % 4];

    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

static int make_certificates(void **state)
{
    (void)state;
    directory = test_directory();
    ca = make_pair("Test CA", NULL, NULL, 1);
    other_ca = make_pair("Other CA", NULL, NULL, 2);
    node = make_pair("node", "IP:127.0.0.1,IP:127.0.0.2,DNS:localhost,DNS:node.example", &ca, 3);
    foreign = make_pair("foreign", "DNS:elsewhere.example", &ca, 4);
    client = make_pair("client", NULL, &ca, 5);
    stranger = make_pair("stranger", NULL, &other_ca, 6);
    write_pem(directory, "ca.pem", &ca, false);
    write_pem(directory, "other.pem", &other_ca, false);
    write_pem(directory, "client.pem", &client, true);
    write_pem(directory, "stranger.pem", &stranger, true);
    return 0;
}

static int drop_certificates(void **state)
{
    pair_t *all[] = {&ca, &other_ca, &node, &foreign, &client, &stranger};

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        EVP_PKEY_free(all[i]->key);
        X509_free(all[i]->cert);
    }
    test_remove(directory);
    return 0;
}

static void serve_tls(rig_t *rig, const pair_t *own, bool wants_client)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());

    SSL_CTX_use_certificate(tls, own->cert);
    SSL_CTX_use_PrivateKey(tls, own->key);
    if (wants_client) {
        assert_int_equal(1, SSL_CTX_load_verify_locations(tls, path_of("ca.pem"), NULL));
        SSL_CTX_set_verify(tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    rig->fake.tls = tls;
}

static void open_tls(rig_t *rig, const pair_t *own, bool wants_client, cm_cql_tls_t options)
{
    rig_open(rig, 1);
    serve_tls(rig, own, wants_client);
    options.enabled = true;
    rig->options.tls = options;
}

static void check_works(rig_t *rig)
{
    outcome_t outcome = {0};

    rig_connect(rig);
    cm_cql_prepared_t *prepared = rig_prepare(rig, INSERT);
    for (int i = 0; i < 1000; i++)
        rig_insert(rig, prepared, i, true, &outcome);
    rig_settle(rig);
    assert_int_equal(1000, outcome.calls);
    assert_int_equal(0, outcome.error.code);
    rig_close(rig);
}

static void check_fails(rig_t *rig, const char *sentence)
{
    cm_err_t err = {0};

    rig_begin(rig);
    assert_int_equal(CM_CQL_FAILED, cm_cql_state(rig->session));
    assert_int_equal(CM_CQL_TLS, cm_cql_last_error(rig->session)->code);
    assert_int_equal(CM_EUSAGE, cm_cql_connect(rig->session, 0, &err));
    if (strstr(err.text, sentence) == NULL)
        fail_msg("%s", err.text);
    rig_close(rig);
}

static void test_trusted(void **state)
{
    rig_t rig;

    (void)state;
    for (int version = 4; version <= 5; version++) {
        open_tls(&rig, &node, false, (cm_cql_tls_t){.ca_file = path_of("ca.pem")});
        rig.options.version = version;
        rig.options.compression = version == 5 ? CM_CQL_LZ4 : CM_CQL_UNCOMPRESSED;
        check_works(&rig);
    }
}

/* The whole session is one encrypted byte stream in pieces: records arrive in parts. */
static void test_large_answers(void **state)
{
    rig_t rig;
    outcome_t read = {0};
    cm_err_t err = {0};

    (void)state;
    open_tls(&rig, &node, false, (cm_cql_tls_t){.ca_file = path_of("ca.pem")});
    rig.fake.many = 15000;
    rig.fake.page_rows = 15000;
    rig_connect(&rig);
    assert_ok(cm_cql_query(rig.session, CM_STR("SELECT key, value FROM ks.many"), NULL, 0, NULL,
                           on_outcome, &read, &err),
              err);
    rig_settle(&rig);
    assert_int_equal(15000, read.rows);
    rig_close(&rig);
}

/* A damaged record closes a connection; it is no error of the settings. */
static void test_damaged_record(void **state)
{
    rig_t rig;
    outcome_t outcome = {0};
    cm_cql_stats_t stats;

    (void)state;
    open_tls(&rig, &node, false, (cm_cql_tls_t){.ca_file = path_of("ca.pem")});
    rig_connect(&rig);
    cm_cql_prepared_t *prepared = rig_prepare(&rig, INSERT);
    rig.fake.nodes[0].fault = SILENCE;
    rig.fake.nodes[0].fault_count = 1;
    rig_insert(&rig, prepared, 3, true, &outcome);
    rig_settle(&rig);
    for (int i = 0; i < FAKE_CONNS; i++) {
        cql_fake_conn_t *c = &rig.fake.nodes[0].conns[i];
        if (c->fd >= 0)
            assert_int_equal(16, send(c->fd, "\x17\x03\x03\x00\x0bno TLS at all", 16, 0));
    }
    rig_pass(&rig, 5000, 50);
    assert_int_equal(1, outcome.calls);
    assert_string_equal("", outcome.error.text);
    assert_int_equal(1, rig.fake.seen[3]);
    cm_cql_stats(rig.session, &stats);
    assert_true(stats.disconnects > 0);
    rig_close(&rig);
}

static void test_wrong_authority(void **state)
{
    rig_t rig;

    (void)state;
    open_tls(&rig, &node, false, (cm_cql_tls_t){.ca_file = path_of("other.pem")});
    check_fails(&rig, "the node's certificate is not trusted: unable to get local issuer");
}

static void test_wrong_name(void **state)
{
    rig_t rig;

    (void)state;
    open_tls(&rig, &foreign, false, (cm_cql_tls_t){.ca_file = path_of("ca.pem")});
    check_fails(&rig, "the node's certificate is not trusted: IP address mismatch");
    open_tls(&rig, &node, false,
             (cm_cql_tls_t){.ca_file = path_of("ca.pem"), .host_name = "other.example"});
    check_fails(&rig, "the node's certificate is not trusted: hostname mismatch");
}

/* The name of every certificate can be given; else that of a contact point counts. */
static void test_right_name(void **state)
{
    rig_t rig;

    (void)state;
    open_tls(&rig, &node, false,
             (cm_cql_tls_t){.ca_file = path_of("ca.pem"), .host_name = "node.example"});
    check_works(&rig);
    open_tls(&rig, &foreign, false,
             (cm_cql_tls_t){.ca_file = path_of("ca.pem"), .host_name = "elsewhere.example"});
    check_works(&rig);
    open_tls(&rig, &node, false, (cm_cql_tls_t){.ca_file = path_of("ca.pem")});
    snprintf(rig.contact, sizeof rig.contact, "localhost:%d", rig.fake.nodes[0].port);
    check_works(&rig);
}

static void test_insecure(void **state)
{
    rig_t rig;

    (void)state;
    open_tls(&rig, &foreign, false, (cm_cql_tls_t){.insecure = true});
    check_works(&rig);
}

static void test_client_certificate(void **state)
{
    rig_t rig;

    (void)state;
    open_tls(&rig, &node, true,
             (cm_cql_tls_t){.ca_file = path_of("ca.pem"), .cert_file = path_of("client.pem")});
    check_works(&rig);
    open_tls(&rig, &node, true, (cm_cql_tls_t){.ca_file = path_of("ca.pem")});
    check_fails(&rig, "certificate required");
    open_tls(&rig, &node, true,
             (cm_cql_tls_t){.ca_file = path_of("ca.pem"), .cert_file = path_of("stranger.pem")});
    check_fails(&rig, "unknown ca");
}

/* TLS to a node without TLS ends with an error, and so does the opposite. */
static void test_plain_node(void **state)
{
    rig_t rig;

    (void)state;
    rig_open(&rig, 1);
    rig.options.tls = (cm_cql_tls_t){.enabled = true, .ca_file = path_of("ca.pem")};
    rig_begin(&rig);
    assert_int_equal(CM_CQL_CONNECTING, cm_cql_state(rig.session));
    assert_string_equal("the node closed the connection during the TLS handshake",
                        cm_cql_last_error(rig.session)->text);
    rig_close(&rig);

    rig_open(&rig, 1);
    serve_tls(&rig, &node, false);
    rig_begin(&rig);
    assert_int_equal(CM_CQL_CONNECTING, cm_cql_state(rig.session));
    assert_non_null(cm_cql_last_error(rig.session));
    rig_close(&rig);
}

static void test_files_refused(void **state)
{
    static const char *const sentences[] = {
        " cannot be used as the client's certificate: ",
        " cannot be used as the key of ",
        "TLS: there is a key, ",
    };
    cm_cql_options_t options[3] = {
        {.tls = {.enabled = true, .insecure = true, .cert_file = "/nonexistent.pem"}},
        {.tls = {.enabled = true, .insecure = true, .cert_file = path_of("ca.pem")}},
        {.tls = {.enabled = true, .insecure = true, .key_file = path_of("client.pem")}},
    };

    (void)state;
    for (int i = 0; i < 3; i++) {
        cm_cql_t *session = NULL;
        cm_err_t err = {0};
        assert_int_equal(CM_EUSAGE, cm_cql_open(&options[i], &session, &err));
        if (strstr(err.text, sentences[i]) == NULL)
            fail_msg("%s", err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trusted),        cmocka_unit_test(test_large_answers),
        cmocka_unit_test(test_damaged_record), cmocka_unit_test(test_wrong_authority),
        cmocka_unit_test(test_wrong_name),     cmocka_unit_test(test_right_name),
        cmocka_unit_test(test_insecure),       cmocka_unit_test(test_client_certificate),
        cmocka_unit_test(test_plain_node),     cmocka_unit_test(test_files_refused),
    };
    return cmocka_run_group_tests(tests, make_certificates, drop_certificates);
}
