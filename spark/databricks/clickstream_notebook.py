# Databricks notebook source
# MAGIC %md
# MAGIC # Answers from clicks
# MAGIC
# MAGIC Reads the raw events from Cassandra, computes the exact answers of Clickmill's contract (clicks,
# MAGIC unique users, time spent, entrances, exits per URL and country) and writes them to
# MAGIC Elasticsearch, each document under its own `_id`: another run overwrites the same documents.

# COMMAND ----------

for name, value in {
    "cassandra_host": "cassandra.example.com",
    "cassandra_local_dc": "datacenter1",
    "cassandra_authentication": "password",
    "cassandra_tls": "false",
    "cassandra_ca": "",
    "cassandra_ciphers": "",
    "cassandra_properties": "",
    "keyspace": "clickstream",
    "table": "clickstream_events",
    "extended": "false",
    "elasticsearch_host": "https://elasticsearch.example.com:9200",
    "elasticsearch_cloud_id": "",
    "elasticsearch_authentication": "password",
    "elasticsearch_ca": "",
    "index": "clickstream_data_index",
    "totals": "clickstream_totals_index",
    "windows": "all",
    "session_timeout": "1800",
    "visitors": "auto",
    "secret_scope": "clickmill",
}.items():
    dbutils.widgets.text(name, value)  # noqa: F821

# COMMAND ----------

# MAGIC %md
# MAGIC The job is the same package that `clickmill process --engine spark` runs; it lies next to this
# MAGIC notebook's directory. User names, passwords and keys come from the secret scope and are not
# MAGIC shown. An authentication of `none` reads none.

# COMMAND ----------

import os
import sys

sys.path.insert(0, os.path.abspath(".."))
from clickstream.job import run  # noqa: E402


def widget(name):
    return dbutils.widgets.get(name).strip()  # noqa: F821


def secret(name):
    return dbutils.secrets.get(widget("secret_scope"), name)  # noqa: F821


def choice(name, *values):
    value = widget(name)
    if value not in values:
        raise ValueError("%s is %r, which is none of %s" % (name, value, ", ".join(values)))
    return value


def cassandra():
    """The properties of the connector, and the secret ones."""
    options = {
        "spark.cassandra.connection.host": widget("cassandra_host"),
        "spark.cassandra.connection.localDC": widget("cassandra_local_dc"),
        "spark.cassandra.connection.timeoutMS": "60000",
        "spark.cassandra.read.timeoutMS": "120000",
    }
    if choice("cassandra_tls", "true", "false") == "true":
        options["spark.cassandra.connection.ssl.enabled"] = "true"
        if widget("cassandra_ciphers"):
            options["spark.cassandra.connection.ssl.enabledAlgorithms"] = widget(
                "cassandra_ciphers")
    for pair in widget("cassandra_properties").split():
        name, _, value = pair.partition("=")
        options[name] = value
    if choice("cassandra_authentication", "password", "none") == "none":
        return options, {}
    return options, {"spark.cassandra.auth.username": secret("cassandra-username"),
                     "spark.cassandra.auth.password": secret("cassandra-password")}


def elasticsearch():
    """The settings of Elasticsearch, and the secret ones."""
    if widget("elasticsearch_cloud_id"):
        where = {"cloud_id": widget("elasticsearch_cloud_id")}
    else:
        where = {"hosts": widget("elasticsearch_host").split(",")}
    kind = choice("elasticsearch_authentication", "password", "api_key", "none")
    if kind == "api_key":
        return where, {"api_key": secret("elasticsearch-api-key")}
    if kind == "none":
        return where, {}
    return where, {"username": secret("elasticsearch-username"),
                   "password": secret("elasticsearch-password")}


options, secret_options = cassandra()
elastic, secret_elastic = elasticsearch()
settings = {
    "input": {"cassandra": {"keyspace": widget("keyspace"), "table": widget("table"),
                            "extended": choice("extended", "true", "false") == "true"}},
    "windows": widget("windows").split(","),
    "session_timeout": int(widget("session_timeout")),
    "visitors": choice("visitors", "auto", "daily"),
    "output": {"elasticsearch": {"index": widget("index"), "totals": widget("totals")}},
    "options": options,
    "elastic": elastic,
    "secrets": {"options": secret_options, "elastic": secret_elastic},
    # The key store for Cassandra is written next to its file, where all machines can read it.
    "ca": {"shared": True, **{part: widget(part + "_ca") for part in (
        "cassandra", "elasticsearch") if widget(part + "_ca")}},
}

# COMMAND ----------

spark.conf.set("spark.sql.session.timeZone", "UTC")  # noqa: F821
account = run(settings, spark)  # noqa: F821
print(account)

# COMMAND ----------

dbutils.notebook.exit(str(account))  # noqa: F821
