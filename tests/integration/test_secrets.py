"""Secrets on the command line, where every user of the machine could read them."""

from harness import OK, USAGE
from test_run import free_port

# Every option that takes one, and a command that has it; what stands before the secret.
OPTIONS = [
    ("collect", "--token", "web=", "collect.tokens"),
    ("run", "--token", "web=", "collect.tokens"),
    ("run", "--password", "", "http.password"),
    ("run", "--read-token", "", "http.read_token"),
    ("serve", "--password", "", "http.password"),
    ("serve", "--read-token", "", "http.read_token"),
    ("ingest", "--cassandra-password", "", "cassandra.password"),
    ("process", "--elasticsearch-password", "", "elasticsearch.password"),
    ("query", "--elasticsearch-api-key", "", "elasticsearch.api_key"),
    *[("ingest", "--kafka-property", name + "=", "kafka.properties") for name in (
        "sasl.password", "ssl.key.password", "ssl.keystore.password", "ssl.key.pem",
        "sasl.oauthbearer.client.secret", "sasl.oauthbearer.config", "sasl.jaas.config")],
    *[("process", "--spark-property", name + "=", "spark.properties") for name in (
        "spark.ssl.keyPassword", "spark.authenticate.secret", "spark.hadoop.fs.s3a.secret.key",
        "spark.hadoop.fs.s3a.access.key",
        "spark.hadoop.fs.azure.account.key.shop.blob.core.windows.net")],
]


def test_literals_are_refused(t):
    for command, option, before, key in OPTIONS:
        for words in ([option, before + "Hunter-2"], [option + "=" + before + "Hunter-2"]):
            result = t.clickmill(command, *words, check=USAGE)
            t.says(result, option + ": every user of this machine can read a secret that is given on "
                   "the command line; write '%s${NAME}' for an environment variable or %sfile:PATH "
                   "for what a file holds, or set %s in the configuration file" % (
                       before, before, key))
            t.true("Hunter" not in result.err + result.out, "the secret is shown\n%s" % result)


def test_better_ways_are_taken(t):
    """They are read, and not only let through."""
    for way, said in (("${NO_SUCH_VARIABLE}", "NO_SUCH_VARIABLE is not set"),
                      ("file:no-such-file", "cannot read no-such-file")):
        for words in (["collect", "--token", "web=" + way], ["run", "--password", way],
                      ["serve", "--read-token", way],
                      ["ingest", "--kafka-property", "sasl.password=" + way],
                      ["query", "--index", "elasticsearch", "--elasticsearch-username", "ann",
                       "--elasticsearch-password", way],
                      ["query", "--index", "elasticsearch", "--elasticsearch-api-key", way]):
            if words[0] == "serve":
                t.ingest('{"user_id": "ann", "timestamp": 1000, "url": "/a"}')
            t.says(t.clickmill(*words, check=USAGE), said)


def test_what_is_no_secret(t):
    """Names of files, users, endpoints and classes stand there as before."""
    for name in ("ssl.ca.location", "ssl.key.location", "sasl.username", "sasl.mechanism",
                 "sasl.oauthbearer.token.endpoint.url", "ssl.certificate.pem", "client.id"):
        result = t.clickmill("ingest", "--kafka-property", name + "=x", "extra", check=USAGE)
        t.says(result, '"extra"')
    for name in ("spark.executor.memory",
                 "spark.hadoop.fs.s3a.aws.credentials.provider"):
        result = t.clickmill("process", "--spark-property", name + "=x", "extra", check=USAGE)
        t.says(result, '"extra"')


def test_other_places_may_hold_them(t):
    """The file and the environment cannot be read by other users."""
    t.write("clickmill.yaml", "http:\n  password: literal\n")
    port = free_port()
    for env in ({}, {"CLICKMILL_PASSWORD": "literal"}):
        process = t.start("run", "--no-demo", "--listen", "127.0.0.1:%d" % port, env=env)
        t.until(lambda: ":%d" % port in process.err, "it listens", process=process)
        process.stop(OK)
        t.write("clickmill.yaml", "")


def test_a_wrong_one_is_not_shown(t):
    result = t.clickmill("collect", "--token", "Hunter-2", check=USAGE)
    t.says(result, "--token wants NAME=VALUE")
    t.true("Hunter" not in result.err, "the secret is shown\n%s" % result)
