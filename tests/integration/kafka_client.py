"""A plain Python client of Kafka, run where kafka-python is installed.

    kafka_client.py send BROKERS TOPIC < lines of [key, value], base64 or null, into partition 0
    kafka_client.py abort BROKERS N TOPIC...: so many messages of a transaction that is aborted, in
        partition 0 of each
    kafka_client.py plain BROKERS TOPIC < lines of JSON: json.dumps of each, as simple producers do
    kafka_client.py read BROKERS TOPIC > a JSON line a message
    kafka_client.py remove BROKERS TOPIC...
    kafka_client.py grow BROKERS TOPIC N: so many partitions from now on
    kafka_client.py cut BROKERS TOPIC OFFSET: deletes what stands before it in partition 0
    kafka_client.py events BROKERS TOPIC > json.loads of each value, a line each
    kafka_client.py hold BROKERS TOPIC GROUP > how many partitions it has, whenever that changes;
        a member of the group that reads nothing
"""

import base64
import json
import sys

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewPartitions


def encoded(data):
    return None if data is None else base64.b64encode(data).decode("ascii")


def decoded(text):
    return None if text is None else base64.b64decode(text)


def send(brokers, topic):
    producer = KafkaProducer(bootstrap_servers=brokers, linger_ms=20)
    sent = []
    for line in sys.stdin:
        key, value = json.loads(line)
        sent.append(producer.send(topic, value=decoded(value), key=decoded(key), partition=0))
    producer.flush()
    for future in sent:
        future.get(timeout=30)


def abort(brokers, count, *topics):
    producer = KafkaProducer(bootstrap_servers=brokers, transactional_id=topics[0] + "-aborted")
    producer.init_transactions()
    producer.begin_transaction()
    for topic in topics:
        for number in range(int(count)):
            producer.send(topic, value=b"aborted %d" % number, partition=0)
    producer.flush()
    producer.abort_transaction()
    producer.close()


def plain(brokers, topic):
    producer = KafkaProducer(bootstrap_servers=brokers,
                             value_serializer=lambda value: json.dumps(value).encode("utf-8"))
    for line in sys.stdin:
        event = json.loads(line)
        producer.send(topic, key=event["user_id"].encode("utf-8"), value=event).get(timeout=30)


def messages(brokers, topic):
    consumer = KafkaConsumer(bootstrap_servers=brokers, enable_auto_commit=False)
    parts = [TopicPartition(topic, part) for part in sorted(consumer.partitions_for_topic(topic))]
    consumer.assign(parts)
    consumer.seek_to_beginning(*parts)
    begins, ends = consumer.beginning_offsets(parts), consumer.end_offsets(parts)
    left = {part for part in parts if begins[part] < ends[part]}
    while left:
        for part, batch in consumer.poll(timeout_ms=1000).items():
            yield from batch
            # What stands last may be the end of a transaction, which is no message.
            if consumer.position(part) >= ends[part]:
                left.discard(part)
    consumer.close()


def read(brokers, topic):
    for message in messages(brokers, topic):
        print(json.dumps({
            "partition": message.partition, "offset": message.offset, "key": encoded(message.key),
            "value": encoded(message.value),
            "headers": {name: value.decode("utf-8") for name, value in message.headers}}))


def events(brokers, topic):
    for message in messages(brokers, topic):
        print(json.dumps(json.loads(message.value), ensure_ascii=False))


def hold(brokers, topic, group):
    consumer = KafkaConsumer(topic, bootstrap_servers=brokers, group_id=group,
                             enable_auto_commit=False, session_timeout_ms=6000,
                             heartbeat_interval_ms=500)
    held = None
    while True:
        consumer.poll(timeout_ms=100, max_records=1)
        assigned = consumer.assignment()
        consumer.pause(*assigned)
        if len(assigned) != held:
            held = len(assigned)
            print(held, flush=True)


def cut(brokers, topic, offset):
    KafkaAdminClient(bootstrap_servers=brokers).delete_records(
        {TopicPartition(topic, 0): int(offset)})


def grow(brokers, topic, count):
    KafkaAdminClient(bootstrap_servers=brokers).create_partitions(
        {topic: NewPartitions(int(count))})


def remove(brokers, *topics):
    KafkaAdminClient(bootstrap_servers=brokers).delete_topics(list(topics))


if __name__ == "__main__":
    {"send": send, "abort": abort, "plain": plain, "read": read, "events": events,
     "cut": cut, "grow": grow, "remove": remove, "hold": hold}[sys.argv[1]](*sys.argv[2:])
