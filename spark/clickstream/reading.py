"""Loads the raw events as a DataFrame."""

from clickstream.contract import EXTRA, RULES

NINE = (*RULES, "timestamp")
ALL = (*NINE, *EXTRA, "props", "engaged_ms")
LEVEL = "spark.cassandra.input.consistency.level"


def read(spark, settings):
    """The events of the input that the settings name."""
    source = settings["input"]
    if "parquet" in source:
        return spark.read.parquet(source["parquet"])
    if "json" in source:
        # An object is read as its JSON.
        return spark.read.schema(", ".join(name + " string" for name in ALL)).json(source["json"])
    # The options are given to this reader only: Spark's web pages show the configuration of a
    # session, and these options contain passwords.
    own = {name: value for part in (settings.get("options", {}), settings.get(
        "secrets", {}).get("options", {})) for name, value in part.items()
        if name.startswith("spark.cassandra.")}
    # The connector's default is LOCAL_ONE: that replica may lack what the others have acknowledged.
    if LEVEL not in own and spark.conf.get(LEVEL, None) is None:
        own[LEVEL] = "LOCAL_QUORUM"
    table = spark.read.format("org.apache.spark.sql.cassandra").options(
        keyspace=source["cassandra"]["keyspace"], table=source["cassandra"]["table"], **own).load()
    # Without the setting, columns of the same names as optional fields are not ours.
    return table.select(*(ALL if source["cassandra"].get("extended") else NINE))
