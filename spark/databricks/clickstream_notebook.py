# Databricks notebook source
# MAGIC %md
# MAGIC # Answers from clicks
# MAGIC
# MAGIC Reads the raw events from Cassandra, computes the exact answers of Clickmill's contract (clicks,
# MAGIC unique users, time spent, entrances, exits per URL and country) and writes them to
# MAGIC Elasticsearch, each document under its own `_id`: running it again rewrites and never doubles.

# COMMAND ----------

for name, value in {
    "keyspace": "clickstream",
    "table": "clickstream_events",
    "elasticsearch_host": "https://elasticsearch.example.com:9200",
    "index": "clickstream_data_index",
    "totals": "clickstream_totals_index",
    "windows": "all",
    "session_timeout": "1800",
    "secret_scope": "clickmill",
}.items():
    dbutils.widgets.text(name, value)  # noqa: F821

# COMMAND ----------

# MAGIC %md
# MAGIC The job is the one that `clickmill process --engine spark` runs; it lies beside this notebook's
# MAGIC directory. User names and passwords come from the secret scope and are not shown.

# COMMAND ----------

import os
import sys
from urllib.parse import urlsplit

sys.path.insert(0, os.path.abspath(".."))
import clickstream_job  # noqa: E402


def widget(name):
    return dbutils.widgets.get(name)  # noqa: F821


def secret(name):
    return dbutils.secrets.get(widget("secret_scope"), name)  # noqa: F821


where = urlsplit(widget("elasticsearch_host"))
settings = {
    "input": {"cassandra": {"keyspace": widget("keyspace"), "table": widget("table")}},
    "windows": widget("windows").split(","),
    "session_timeout": int(widget("session_timeout")),
    "output": {"elasticsearch": {"index": widget("index"), "totals": widget("totals")}},
    "elastic": {
        "es.nodes": where.hostname,
        "es.port": str(where.port or (443 if where.scheme == "https" else 9200)),
        "es.net.ssl": "true" if where.scheme == "https" else "false",
        "es.nodes.wan.only": "true",
    },
    "secrets": {"elastic": {
        "es.net.http.auth.user": secret("elasticsearch-username"),
        "es.net.http.auth.pass": secret("elasticsearch-password"),
    }},
}

# COMMAND ----------

account = clickstream_job.run(settings, spark)  # noqa: F821
print(account)

# COMMAND ----------

dbutils.notebook.exit(str(account))  # noqa: F821
