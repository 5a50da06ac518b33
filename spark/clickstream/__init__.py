"""The answers of docs/contract.md on Spark: raw events -> exact answers -> Elasticsearch.

    spark-submit clickstream_job.py SETTINGS.json

`clickmill process --engine spark` runs it so; the Databricks notebook calls clickstream.job.run().
The settings:

    input        {"cassandra": {"keyspace": ..., "table": ...}}, {"parquet": PATH} or {"json": PATH}.
                 "extended": true says that the table has the columns of the optional fields
    windows      some of "all", "day", "hour"
    session_timeout  seconds
    visitors     "daily": ids of visitors live for one UTC day, which the answers then say
    totals       false leaves out the numbers per url, per country and of the whole site
    output       {"elasticsearch": {"index": ALIAS, "totals": ALIAS}} or {"parquet": PATH}.
                 "cells_index" and "totals_index" name two existing indices, which are then written
                 as they are; without them, missing indices are created. "rebuild": true fills new
                 indices and then moves the aliases. "shards" and "replicas" apply to indices that
                 are created
    elastic      {"hosts": [URL, ...]} or {"cloud_id": ...}; "insecure": true checks no certificate
    options      properties of Spark and of its Cassandra connector
    secrets      {"options": properties that are never shown, "elastic": {"username", "password"},
                 {"api_key"} or {"authorization"}}
    ca           files of certificates (PEM): one for "cassandra", one for "elasticsearch".
                 "shared": true says that every machine can read the directory of Cassandra's file,
                 so that the key store can be written there

The modules: `reading` loads the events, `fields` checks the optional ones, `answers` computes, `server` is the HTTP client of
Elasticsearch, `index` creates indices and moves aliases, `writer` sends the documents, `tls` prepares
the certificates, `job` puts them together.
"""
