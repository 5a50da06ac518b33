"""Values of a schema registry: written by confluent-kafka's serializers through real Kafka, read by
`ingest`, with the registry that the tests serve."""

import base64
import json
import struct

from harness import USAGE, slow
from kafka_support import kafka
from registry_support import Registry, send

MS = 1747476303123

CLICK = {"type": "record", "name": "Click", "namespace": "shop", "fields": [
    {"name": "userId", "type": "string"},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    {"name": "page", "type": {"type": "record", "name": "Page", "fields": [
        {"name": "url", "type": "string"},
        {"name": "from", "type": ["null", "string"], "default": None}]}},
    {"name": "device", "type": {"type": "enum", "name": "Device",
                                "symbols": ["Desktop", "Mobile"], "default": "Desktop"}},
    {"name": "event", "type": ["null", "string"], "default": None},
    {"name": "attributes", "type": {"type": "map", "values": [
        "null", "string", "boolean", "double",
        {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}]}},
    {"name": "internal", "type": {"type": "array", "items": "bytes"}}]}

MAP = ["--map", "user_id=userId", "--map", "timestamp=at", "--map", "url=page.url",
       "--map", "referrer=page.from", "--map", "name=event", "--map", "props=attributes"]


def click(number, **fields):
    return {"userId": "u%d" % number, "at": {"time": MS + number},
            "page": {"url": "/%d" % number, "from": None}, "device": "Mobile", "event": None,
            "attributes": {}, "internal": [{"bytes": "00ff"}], **fields}


def ingest(t, topic, registry, *options, check=0, data="data"):
    return t.balanced(t.clickmill(
        "ingest", *topic.options, "--registry", registry.url, "--data", data, "--until-end",
        "--json", *options, check=check).json)


def exported(t, data="data"):
    out = t.clickmill("export", "--data", data).out
    return sorted(map(json.loads, out.splitlines()), key=lambda one: one["timestamp"])


def dead(t, topic):
    out = t.clickmill("dead", "list", "--from", "kafka", "--json", *topic.options).out
    return [json.loads(one)["reason"] for one in out.splitlines()]


def varint(number):
    """An Avro long that is not negative."""
    number, data = 2 * number, b""
    while number >= 0x80:
        data, number = data + bytes([number & 0x7F | 0x80]), number >> 7
    return data + bytes([number])


def coded(number, body):
    return b"\0" + struct.pack(">I", number) + body


@slow
def test_avro(t):
    """Unions, an enum, nested records, a map with a decimal; plain JSON beside it."""
    topic, registry = kafka().topic(2), Registry()
    send(topic.cluster.brokers, topic.name, registry, "avro", CLICK, [
        click(0),
        click(1, page={"url": "/1", "from": "https://g.com/"}, event="buy",
              attributes={"price": {"decimal": "12.50"}, "plan": "pro", "new": True, "none": None,
                          "rate": 0.25}),
    ] + [click(number) for number in range(2, 300)])
    topic.send([(b"u", b'{"userId": "u300", "at": %d, "page": {"url": "/300"}}' % (MS + 300))])
    account = ingest(t, topic, registry, *MAP)
    t.equal((account["read"], account["accepted"]), (301, 301), "account")
    events = exported(t)
    t.equal([(one["user_id"], one["timestamp"], one["url"]) for one in events],
            [("u%d" % n, MS + n, "/%d" % n) for n in range(301)], "events")
    t.equal({one["device"] for one in events[:300]}, {"Mobile"}, "the enum")
    t.equal((events[1]["referrer"], events[1]["name"]), ("https://g.com/", "buy"), "unions")
    t.true('"props": {"new": true, "plan": "pro", "price": 12.50, "rate": 0.25}'
           in t.clickmill("export", "--data", "data").out, events[1]["props"])
    t.equal([one for one in events if "props" in one or "name" in one], [events[1]], "the others")
    t.equal([path for path in registry.asked if path.startswith("/schemas")], ["/schemas/ids/1"],
            "requests of the schema")
    registry.stop()


@slow
def test_json_schema(t):
    topic, registry = kafka().topic(1), Registry()
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Click",
              "type": "object", "properties": {"user_id": {"type": "string"}}}
    send(topic.cluster.brokers, topic.name, registry, "json", schema,
         [{"user_id": "u", "timestamp": MS, "url": "/a"}, {"user_id": "u", "url": "/b"}])
    account = ingest(t, topic, registry)
    t.equal((account["accepted"], account["rejected"]), (1, 1), "account")
    t.equal([one["url"] for one in exported(t)], ["/a"], "events")
    t.equal(dead(t, topic), ["timestamp is missing"], "reason")
    registry.stop()


@slow
def test_references(t):
    """A schema that uses another subject's, in two versions of one subject."""
    topic, registry = kafka().topic(1), Registry()
    registry.register("plan/v", {"type": "enum", "name": "Plan", "namespace": "shop",
                                 "symbols": ["FREE", "PRO"]})
    base = [{"name": "user_id", "type": "string"}, {"name": "timestamp", "type": "long"},
            {"name": "url", "type": "string"}]
    reference = {"name": "shop.Plan", "subject": "plan/v", "version": 1}
    send(topic.cluster.brokers, topic.name, registry, "avro",
         {"type": "record", "name": "C", "namespace": "shop", "fields": base},
         [{"user_id": "u", "timestamp": MS, "url": "/old"}])
    send(topic.cluster.brokers, topic.name, registry, "avro",
         {"type": "record", "name": "C", "namespace": "shop", "fields": base + [
             {"name": "region", "type": ["null", "Plan"], "default": None}]},
         [{"user_id": "u", "timestamp": MS + 1, "url": "/new", "region": "PRO"}], [reference])
    registry.asked.clear()
    t.equal(ingest(t, topic, registry)["accepted"], 2, "accepted")
    t.equal([(one["url"], one.get("region")) for one in exported(t)],
            [("/old", None), ("/new", "PRO")], "events of both versions")
    t.equal(registry.asked, ["/schemas/ids/2", "/schemas/ids/3",
                             "/subjects/plan%2Fv/versions/1?deleted=true"], "requests")
    registry.stop()


@slow
def test_what_is_refused(t):
    """Ids that are not known, other kinds, values that do not fit, no registry; and the letters are
    replayed when the schema is there."""
    topic, registry = kafka().topic(1), Registry()
    number = registry.register("c", {"type": "record", "name": "C", "fields": [
        {"name": "user_id", "type": "string"}, {"name": "timestamp", "type": "long"},
        {"name": "url", "type": "string"}]})
    proto = registry.register("p", 'syntax = "proto3"; message M {}', "PROTOBUF")
    good = b"\x02u" + varint(MS) + b"\x02/"
    topic.send([(b"k", coded(number, good)), (b"k", coded(7, good)), (b"k", coded(proto, b"\0x")),
                (b"k", coded(number, b"\x02u\x02")), (b"k", coded(number, good + b"!")),
                (b"k", coded(number, b"\x02\xff\x02\x02/")), (b"k", None)])
    plain = t.clickmill("ingest", *topic.options, "--data", "plain", "--until-end", "--json",
                        "--group", "plain").json
    t.equal((plain["accepted"], plain["rejected"]), (0, 7), "without a registry")
    first = dead(t, topic)
    t.equal(first[0], "Avro in the wire format of a schema registry (schema 1); give the registry's "
            "URL in kafka.registry, or write plain JSON", "reason without a registry")
    account = ingest(t, topic, registry, "--dead-to", "store")
    t.equal((account["accepted"], account["rejected"]), (1, 6), "account")
    letters = [json.loads(one) for one in
               t.clickmill("dead", "list", "--json", "--data", "data").out.splitlines()]
    t.equal([one["reason"] for one in letters[:5]], [
        "schema 7 is not known to the schema registry",
        "schema 2 is of the kind PROTOBUF; Avro and JSON are read",
        "schema 1: not a value of the Avro schema: at url: it ends too early",
        "schema 1: not a value of the Avro schema: 1 bytes are left after its end",
        "schema 1: not a value of the Avro schema: at user_id: a string is not UTF-8"], "reasons")
    shown = t.clickmill("dead", "show", str(letters[0]["id"]), "--data", "data")
    t.equal(shown.raw, coded(7, good) + b"\n", "the bytes of a letter")
    for n in range(5):
        registry.register("later", json.loads(registry.schemas[0]["schema"]) | {"doc": str(n)})
    replayed = t.clickmill("dead", "replay", str(letters[0]["id"]), "--data", "data", "--json",
                           "--registry", registry.url).json
    t.equal((replayed["accepted"], replayed["rejected"]), (1, 0), "replayed")
    t.equal([one["url"] for one in exported(t)], ["/"], "both are one event")
    registry.stop()


@slow
def test_registry_is_away(t):
    """It is waited for: no event is lost and none becomes a dead letter, whatever it answers."""
    topic, registry = kafka().topic(1), Registry()
    send(topic.cluster.brokers, topic.name, registry, "avro", CLICK,
         [click(number) for number in range(50)])
    registry.asked.clear()
    registry.stop()
    worker = t.start("ingest", *topic.options, "--registry", registry.url, "--data", "data",
                     "--until-end", "--json", *MAP)
    t.until(lambda: "waiting for the schema registry: " + registry.url in worker.err, "that it waits",
            60, worker)
    for down in (0, 503, 500):
        registry.down = down
        if down == 0:
            registry.start()
        asked = len(registry.asked)
        t.until(lambda asked=asked: len(registry.asked) > asked + 1, "another request", 60, worker)
        t.true(worker.running, "it has ended")
    registry.down = None
    account = worker.wait(check=0).json
    t.equal((account["accepted"], account["rejected"]), (50, 0), "account")
    t.equal(len(exported(t)), 50, "events")
    registry.stop()


@slow
def test_stopped_while_waiting(t):
    """What was not decoded is read the next time."""
    topic, registry = kafka().topic(1), Registry()
    send(topic.cluster.brokers, topic.name, registry, "avro", CLICK, [click(1), click(2)])
    registry.down = 503
    worker = t.start("ingest", *topic.options, "--registry", registry.url, "--data", "data", *MAP)
    t.until(lambda: "waiting for the schema registry" in worker.err, "that it waits", 60, worker)
    worker.stop()
    registry.down = None
    t.equal(ingest(t, topic, registry, *MAP)["accepted"], 2, "read afterwards")
    registry.stop()


@slow
def test_user_and_password(t):
    topic, registry = kafka().topic(1), Registry()
    send(topic.cluster.brokers, topic.name, registry, "avro", CLICK, [click(1)])
    registry.user = "Basic " + base64.b64encode(b"me:secret").decode()
    done = t.clickmill("ingest", *topic.options, "--registry", registry.url, "--data", "data",
                       "--until-end", *MAP, check=USAGE)
    t.says(done, "the schema registry at %s refuses the user (status 401)" % registry.url)
    t.write("password", "secret\n")
    t.write("clickmill.yaml", "kafka:\n  registry: %s\n  registry_user: me\n"
            "  registry_password: file:%s\n" % (registry.url, t.path("password")))
    t.equal(ingest(t, topic, registry, *MAP)["accepted"], 1, "accepted")
    done = t.clickmill("ingest", *topic.options, "--registry-password", "secret", check=USAGE)
    t.says(done, "--registry-password")
    done = t.clickmill("doctor", *topic.options, "--sink", "kafka")
    t.true("the schema registry at %s answers" % registry.url in done.out + done.err, str(done))
    registry.stop()


@slow
def test_follow(t):
    """`process --follow` decodes as `ingest` does."""
    topic, registry = kafka().topic(1), Registry()
    send(topic.cluster.brokers, topic.name, registry, "avro", CLICK,
         [click(number) for number in range(20)])
    t.clickmill("process", "--follow", "--until-end", *topic.options, "--registry", registry.url,
                "--data", "data", *MAP)
    t.equal(len(exported(t)), 20, "events")
    registry.stop()
