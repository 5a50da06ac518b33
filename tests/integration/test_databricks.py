"""The Spark job on Databricks, as far as it can be tested without an account: the bundle keeps the
published schema, and its variables reach the job."""

import glob
import json
import os
import re
import subprocess

import cluster
import test_stack
from harness import ROOT, slow

BUNDLE = os.path.join(ROOT, "spark", "databricks")

# The bundles' schema as Python classes; the CLI of the same number has the same schema.
BUNDLES = ("databricks-bundles==1.22.1",)
VALIDATE = """
import json, sys
from databricks.bundles.jobs import Job
try:
    print(json.dumps(Job.from_dict(json.load(sys.stdin)).as_dict()))
except (TypeError, ValueError) as error:
    print(json.dumps(str(error)))
"""
# The fields of the schema (bundle/schema/jsonschema.json of the CLI) outside of resources.
TOP = {
    "": {"artifacts", "bundle", "environments", "experimental", "include", "permissions", "presets",
         "python", "resources", "run_as", "scripts", "sync", "targets", "variables", "workspace"},
    "bundle": {"name", "databricks_cli_version", "cluster_id", "compute_id", "deployment", "engine",
               "git", "uuid"},
    "sync": {"exclude", "include", "paths"},
    "variable": {"default", "description", "lookup", "type"},
    "target": {"artifacts", "bundle", "cluster_id", "compute_id", "default", "git", "mode",
               "permissions", "presets", "resources", "run_as", "sync", "variables", "workspace"},
    "permission": {"group_name", "level", "service_principal_name", "user_name"},
    "run_as": {"group_name", "service_principal_name", "user_name"}}
PRODUCTION = ("prod", "prod_aws", "prod_gcp")


def the_bundle(t):
    return test_stack.yaml_of(t, os.path.join(BUNDLE, "databricks.yml"))


def the_job(bundle, target=None):
    """The job as it is deployed to a target."""
    job = dict(bundle["resources"]["jobs"]["clickmill_answers"])
    if target is not None:
        job.update(bundle["targets"][target].get("resources", {}).get("jobs", {}).get(
            "clickmill_answers", {}))
    return job


def test_the_bundle(t):
    """It is complete: the named files exist, it contains no secret, and the schedule is valid."""
    path = os.path.join(BUNDLE, "databricks.yml")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    bundle = the_bundle(t)
    used = set(re.findall(r"\$\{var\.(\w+)\}", text))
    t.equal(used, set(bundle["variables"]), "variables that are used and those that there are")
    t.true(all("description" in variable for variable in bundle["variables"].values()),
           "a variable without description")
    job = the_job(bundle)
    cron = job["schedule"]["quartz_cron_expression"].split()
    t.equal((len(cron), job["schedule"]["timezone_id"]), (6, "UTC"), "schedule")
    t.true("?" in (cron[3], cron[5]), "Quartz wants a ? for one of the days: %s" % cron)
    clusters = {entry["job_cluster_key"] for entry in job["job_clusters"]}
    t.equal({task["job_cluster_key"] for task in job["tasks"]}, clusters, "clusters of the tasks")
    t.equal([name for name, target in bundle["targets"].items() if target.get("default")],
            ["dev"], "default target")
    (task,) = job["tasks"]
    notebook = os.path.normpath(os.path.join(BUNDLE, task["notebook_task"]["notebook_path"]))
    t.true(os.path.exists(notebook), notebook)
    t.equal(task["libraries"], [{"maven": {
        "coordinates": "com.datastax.spark:spark-cassandra-connector-assembly_2.12:3.5.1"}}])
    t.equal(bundle["variables"]["spark_version"]["default"], "16.4.x-scala2.12", "Scala as well")
    included = {os.path.normpath(path) for pattern in bundle["sync"]["include"]
                for path in glob.glob(os.path.join(BUNDLE, pattern))}
    package = os.path.join(os.path.dirname(BUNDLE), "clickstream")
    t.equal(included, {os.path.join(package, name) for name in os.listdir(package)
                       if name.endswith(".py")}, "files that are sent beside the notebook")
    t.equal(re.findall("dapi[0-9a-f]{8}|-----BEGIN", text), [], "something secret")


def test_the_bundle_in_production(t):
    """The user of the job, its viewers, its notifications, its machines; and a single-user cluster."""
    bundle = the_bundle(t)
    t.equal(bundle["bundle"]["databricks_cli_version"], ">= 0.240.0, < 2.0.0")
    cluster = the_job(bundle)["job_clusters"][0]["new_cluster"]
    t.equal(cluster, {"spark_version": "${var.spark_version}", "node_type_id": "${var.node_type}",
                      "num_workers": "${var.workers}", "data_security_mode": "SINGLE_USER"})
    machines = {"prod": "Standard_D4ds_v5", "prod_aws": "m6gd.xlarge", "prod_gcp": "n2-highmem-4"}
    for name in PRODUCTION:
        target = bundle["targets"][name]
        t.equal(target["mode"], "production")
        t.equal(target["run_as"], {"service_principal_name": "${var.service_principal}"})
        t.equal(target["permissions"], [
            {"level": "CAN_MANAGE", "service_principal_name": "${var.service_principal}"},
            {"level": "CAN_MANAGE", "user_name": "${workspace.current_user.userName}"},
            {"level": "CAN_VIEW", "group_name": "${var.viewers}"}])
        t.equal(the_job(bundle, name)["email_notifications"], {"on_failure": ["${var.notify}"]})
        t.equal({**bundle["variables"]["node_type"], "default": target.get("variables", {}).get(
            "node_type", bundle["variables"]["node_type"]["default"])}["default"], machines[name])
    # These have no default: they must be given, except for development, which does not use them.
    t.equal([name for name, variable in bundle["variables"].items() if "default" not in variable],
            ["service_principal", "notify"])
    t.equal(bundle["targets"]["dev"], {"mode": "development", "default": True, "variables": {
        "service_principal": "", "notify": ""}})


@slow
def test_the_bundle_keeps_the_schema(t):
    """Each field is in the published schema, with a value of its type."""
    python = cluster.python_with("databricks-bundles", BUNDLES)

    def validated(job):
        done = subprocess.run([python, "-c", VALIDATE], input=json.dumps(job), capture_output=True,
                              text=True, check=True)
        return json.loads(done.stdout)

    bundle = the_bundle(t)
    for target in bundle["targets"]:
        job = the_job(bundle, target)
        t.equal(validated(job), job, "the job in " + target)
    wrong = the_job(bundle)
    wrong["job_clusters"] = [{"job_cluster_key": "answers", "new_cluster": {
        "spark_version": "16", "data_security_mode": "SINGLE"}}]
    t.equal(validated(wrong), "'SINGLE' is not a valid DataSecurityMode", "what is refused")
    t.equal(validated(dict(the_job(bundle), retries=1)), "Unexpected field 'retries' for class Job")

    def known(given, kind):
        t.equal(set(given) - TOP[kind], set(), "fields of %s that there are not" % (kind or "all"))

    known(bundle, "")
    known(bundle["bundle"], "bundle")
    known(bundle["sync"], "sync")
    for variable in bundle["variables"].values():
        known(variable, "variable")
    for target in bundle["targets"].values():
        known(target, "target")
        known(target.get("run_as", {}), "run_as")
        t.true(target["mode"] in ("development", "production"), target["mode"])
        for permission in target.get("permissions", []):
            known(permission, "permission")
            t.true(permission["level"] in ("CAN_MANAGE", "CAN_VIEW", "CAN_RUN"), permission)


USUAL = {
    "input": {"cassandra": {"keyspace": "clickstream", "table": "clickstream_events",
                            "extended": False}},
    "windows": ["all"], "session_timeout": 1800, "visitors": "auto",
    "output": {"elasticsearch": {"index": "clickstream_data_index",
                                 "totals": "clickstream_totals_index"}},
    "options": {"spark.cassandra.connection.host": "cassandra.example.com",
                "spark.cassandra.connection.localDC": "datacenter1",
                "spark.cassandra.connection.timeoutMS": "60000",
                "spark.cassandra.read.timeoutMS": "120000"},
    "elastic": {"hosts": ["https://elasticsearch.example.com:9200"]},
    "secrets": {
        "options": {"spark.cassandra.auth.username": "clickmill/cassandra-username",
                    "spark.cassandra.auth.password": "clickmill/cassandra-password"},
        "elastic": {"username": "clickmill/elasticsearch-username",
                    "password": "clickmill/elasticsearch-password"}},
    "ca": {"shared": True}}
COSMOS = {
    "cassandra_host": "mine.cassandra.cosmos.azure.com:10350", "cassandra_local_dc": "West Europe",
    "cassandra_tls": "true", "cassandra_ca": "/Volumes/main/tls/cassandra.pem",
    "cassandra_ciphers": "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "secret_scope": "own",
    "cassandra_properties": "spark.cassandra.concurrent.reads=16 spark.cassandra.input.split.sizeInMB=64",
    "elasticsearch_cloud_id": "mine:ZXU=", "elasticsearch_authentication": "api_key",
    "elasticsearch_ca": "/Volumes/main/tls/elastic.pem", "windows": "all,hour",
    "session_timeout": "600", "visitors": "daily", "keyspace": "k", "table": "t", "extended": "true",
    "index": "i", "totals": "s"}


def test_the_notebook(t):
    """The bundle's variables reach the job: the defaults, for Cosmos DB and Elastic Cloud, and
    without authentication."""
    with open(os.path.join(BUNDLE, "clickstream_notebook.py"), encoding="utf-8") as file:
        text = file.read()
    t.equal(text.splitlines()[0], "# Databricks notebook source")
    t.true(text.count("# COMMAND ----------") >= 4, "cells")
    bundle = the_bundle(t)
    given = the_job(bundle)["tasks"][0]["notebook_task"]["base_parameters"]
    defaults = {name: variable.get("default") for name, variable in bundle["variables"].items()}

    def run(**variables):
        """Runs the notebook like `--var NAME=VALUE` for each."""
        known = {**defaults, **variables}
        return run_notebook(text, {name: str(known[value[len("${var."):-1]])
                                   for name, value in given.items()})

    usual = run()
    t.equal(usual["settings"], USUAL, "settings as they come")
    t.equal(usual["widgets"], sorted(given), "widgets, and parameters that the bundle gives")
    t.equal((usual["exit"], usual["zone"]), (str({"events": 1}), "UTC"))
    alone = run_notebook(text, {})
    t.equal(alone["settings"], USUAL, "what the notebook takes by itself")
    t.equal(run(**COSMOS)["settings"], {
        "input": {"cassandra": {"keyspace": "k", "table": "t", "extended": True}},
        "windows": ["all", "hour"], "session_timeout": 600, "visitors": "daily",
        "output": {"elasticsearch": {"index": "i", "totals": "s"}},
        "options": {
            **USUAL["options"],
            "spark.cassandra.connection.host": "mine.cassandra.cosmos.azure.com:10350",
            "spark.cassandra.connection.localDC": "West Europe",
            "spark.cassandra.connection.ssl.enabled": "true",
            "spark.cassandra.connection.ssl.enabledAlgorithms":
                "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
            "spark.cassandra.concurrent.reads": "16",
            "spark.cassandra.input.split.sizeInMB": "64"},
        "elastic": {"cloud_id": "mine:ZXU="},
        "secrets": {"options": {"spark.cassandra.auth.username": "own/cassandra-username",
                                "spark.cassandra.auth.password": "own/cassandra-password"},
                    "elastic": {"api_key": "own/elasticsearch-api-key"}},
        "ca": {"shared": True, "cassandra": "/Volumes/main/tls/cassandra.pem",
               "elasticsearch": "/Volumes/main/tls/elastic.pem"}}, "settings for Cosmos DB")
    t.equal(run(cassandra_authentication="none", elasticsearch_authentication="none")["settings"],
            {**USUAL, "secrets": {"options": {}, "elastic": {}}}, "without authentication")
    wrong = run(cassandra_tls="yes")
    t.equal(wrong, {"error": "cassandra_tls is 'yes', which is none of true, false"})


def run_notebook(text, parameters):
    """Runs the cells in a process of its own, with replacements for what Databricks provides."""
    program = """
import json, sys, types
text, parameters = json.load(sys.stdin)
job = types.ModuleType("clickstream.job")
seen = {}
def run(settings, spark):
    seen["settings"] = settings
    return {"events": 1}
job.run = run
sys.modules["clickstream"] = types.ModuleType("clickstream")
sys.modules["clickstream.job"] = job
values, widgets = dict(parameters), []
class Utils:
    class widgets:
        text = staticmethod(lambda name, value: (widgets.append(name),
                                                 values.setdefault(name, value)))
        get = staticmethod(lambda name: values[name])
    class secrets:
        get = staticmethod(lambda scope, name: "%s/%s" % (scope, name))
    class notebook:
        exit = staticmethod(lambda text: seen.__setitem__("exit", text))
class Spark:
    class conf:
        set = staticmethod(lambda name, value: seen.__setitem__("zone", value))
try:
    exec(compile(text, "notebook", "exec"), {"dbutils": Utils, "spark": Spark})
    seen["widgets"] = sorted(widgets)
except ValueError as error:
    seen = {"error": str(error)}
print("\\n" + json.dumps(seen))
"""
    done = subprocess.run(["python3", "-c", program], input=json.dumps([text, parameters]),
                          capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])
