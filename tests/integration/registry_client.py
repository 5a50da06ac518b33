"""A producer with confluent-kafka's serializers, run where that is installed.

    registry_client.py BROKERS TOPIC URL avro|json < {"schema": ..., "values": [...],
        "references": [{"name", "subject", "version"}...]}

A value {"bytes": "hex"}, {"decimal": "1.5"} or {"time": ms} stands for what JSON cannot say.
"""

import datetime
import decimal
import json
import sys

from confluent_kafka import Producer
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def meant(value):
    if isinstance(value, list):
        return [meant(one) for one in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"bytes"}:
        return bytes.fromhex(value["bytes"])
    if set(value) == {"decimal"}:
        return decimal.Decimal(value["decimal"])
    if set(value) == {"time"}:
        return EPOCH + datetime.timedelta(milliseconds=value["time"])
    return {key: meant(one) for key, one in value.items()}


def main(brokers, topic, url, kind):
    given = json.load(sys.stdin)
    client = SchemaRegistryClient({"url": url})
    references = [SchemaReference(one["name"], one["subject"], one["version"])
                  for one in given["references"]]
    text = json.dumps(given["schema"])
    if kind == "avro":
        serializer = AvroSerializer(client, Schema(text, "AVRO", references))
    else:
        serializer = JSONSerializer(text, client)
    producer = Producer({"bootstrap.servers": brokers})
    failed = []
    for value in given["values"]:
        producer.produce(topic, key=b"k", value=serializer(
            meant(value), SerializationContext(topic, MessageField.VALUE)),
            on_delivery=lambda error, _: error and failed.append(error))
    producer.flush(60)
    if failed:
        sys.exit(str(failed[0]))


if __name__ == "__main__":
    main(*sys.argv[1:])
