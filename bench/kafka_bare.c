/* The bare Kafka client: what a stage of Clickmill is measured against.
 *
 *     kafka_bare produce BROKERS TOPIC FILE COUNT [NAME=VALUE...]
 *     kafka_bare consume BROKERS TOPIC COUNT [NAME=VALUE...]
 *
 * produce sends COUNT messages, the lines of a JSONL file again and again, with their user_id as
 * key, and waits until all are acknowledged; consume reads COUNT messages from the beginning of all
 * partitions and looks at none. NAME=VALUE are properties of librdkafka. Prints one JSON object. */
#include <librdkafka/rdkafka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

typedef struct message {
    const char *value, *key;
    size_t value_len, key_len;
} message_t;

static void die(const char *what, const char *why)
{
    fprintf(stderr, "kafka_bare: %s: %s\n", what, why);
    exit(1);
}

static double seconds(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static rd_kafka_conf_t *make_conf(const char *brokers, int count, char **pairs)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char why[300];

    if (rd_kafka_conf_set(conf, "bootstrap.servers", brokers, why, sizeof why) != RD_KAFKA_CONF_OK)
        die("configuration", why);
    for (int i = 0; i < count; i++) {
        char *equals = strchr(pairs[i], '=');
        if (equals == NULL)
            die(pairs[i], "NAME=VALUE is wanted");
        *equals = '\0';
        if (rd_kafka_conf_set(conf, pairs[i], equals + 1, why, sizeof why) != RD_KAFKA_CONF_OK)
            die("configuration", why);
    }
    return conf;
}

static rd_kafka_t *start(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char why[300];
    rd_kafka_t *rk = rd_kafka_new(type, conf, why, sizeof why);
    if (rk == NULL)
        die("librdkafka", why);
    return rk;
}

static void report(const char *what, long count, double wall, double cpu)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"what\":\"%s\",\"messages\":%ld,\"seconds\":%.3f,\"per_second\":%.0f,"
           "\"cpu_us\":%.3f,\"peak_mb\":%.1f}\n",
           what, count, wall, (double)count / wall, cpu * 1e6 / (double)count,
           (double)usage.ru_maxrss / 1024);
}

/* ---- produce ---- */

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        die(path, "cannot be read");
    size_t size = (size_t)ftell(file);
    char *text = malloc(size + 1);
    rewind(file);
    if (text == NULL || fread(text, 1, size, file) != size)
        die(path, "cannot be read");
    fclose(file);
    text[size] = '\0';
    return text;
}

static message_t *split(char *text, size_t *count)
{
    static const char name[] = "\"user_id\": \"";
    message_t *messages = NULL;
    size_t cap = 0;

    *count = 0;
    for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        if (*count == cap) {
            cap = cap ? cap * 2 : 1024;
            messages = realloc(messages, cap * sizeof *messages);
            if (messages == NULL)
                die("split", "out of memory");
        }
        *end = '\0';
        const char *key = strstr(line, name);
        if (key == NULL)
            die("file", "a line has no user_id as Clickmill writes it");
        key += sizeof name - 1;
        messages[(*count)++] = (message_t){line, key, (size_t)(end - line), strcspn(key, "\"")};
    }
    if (*count == 0)
        die("file", "it has no lines");
    return messages;
}

static long undelivered;

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    (void)opaque;
    undelivered += message->err != 0;
}

static void produce(const char *brokers, const char *name, char *text, long count, int pair_count,
                    char **pairs)
{
    size_t lines;
    message_t *messages = split(text, &lines);
    rd_kafka_conf_t *conf = make_conf(brokers, pair_count, pairs);

    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *rk = start(RD_KAFKA_PRODUCER, conf);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, name, NULL);
    double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (long i = 0; i < count; i++) {
        const message_t *m = &messages[(size_t)i % lines];
        while (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, (void *)m->value,
                                m->value_len, m->key, m->key_len, NULL) != 0) {
            if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
                die("produce", rd_kafka_err2str(rd_kafka_last_error()));
            rd_kafka_poll(rk, 10);
        }
        if (i % 1024 == 0)
            rd_kafka_poll(rk, 0);
    }
    while (rd_kafka_flush(rk, 1000) != 0)
        ;
    report("produce", count, seconds(CLOCK_MONOTONIC) - wall,
           seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
    if (undelivered > 0)
        die("produce", "not all messages were delivered");
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(rk);
    free(messages);
}

/* ---- consume ---- */

static rd_kafka_topic_partition_list_t *all_partitions(rd_kafka_t *rk, const char *name)
{
    const rd_kafka_metadata_t *metadata;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, name, NULL);
    rd_kafka_resp_err_t code = rd_kafka_metadata(rk, 0, topic, &metadata, 10000);

    if (code != 0 || metadata->topic_cnt != 1)
        die(name, rd_kafka_err2str(code));
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    for (int i = 0; i < metadata->topics[0].partition_cnt; i++)
        rd_kafka_topic_partition_list_add(list, name, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(topic);
    return list;
}

static void consume(const char *brokers, const char *name, long count, int pair_count, char **pairs)
{
    enum { BATCH = 4096 };
    static rd_kafka_message_t *messages[BATCH];
    rd_kafka_conf_t *conf = make_conf(brokers, pair_count, pairs);
    char why[300];

    rd_kafka_conf_set(conf, "group.id", "bare", why, sizeof why);
    rd_kafka_conf_set(conf, "enable.auto.commit", "false", why, sizeof why);
    rd_kafka_t *rk = start(RD_KAFKA_CONSUMER, conf);
    rd_kafka_topic_partition_list_t *list = all_partitions(rk, name);
    rd_kafka_poll_set_consumer(rk);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(rk);
    double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    rd_kafka_assign(rk, list);
    for (long got = 0; got < count;) {
        ssize_t more = rd_kafka_consume_batch_queue(queue, 100, messages, BATCH);
        for (ssize_t i = 0; i < more; i++) {
            got += messages[i]->err == 0;
            rd_kafka_message_destroy(messages[i]);
        }
    }
    report("consume", count, seconds(CLOCK_MONOTONIC) - wall,
           seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
    rd_kafka_queue_destroy(queue);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
}

int main(int argc, char **argv)
{
    if (argc >= 6 && strcmp(argv[1], "produce") == 0) {
        char *text = read_file(argv[4]);
        produce(argv[2], argv[3], text, strtol(argv[5], NULL, 10), argc - 6, argv + 6);
        free(text);
    } else if (argc >= 5 && strcmp(argv[1], "consume") == 0) {
        consume(argv[2], argv[3], strtol(argv[4], NULL, 10), argc - 5, argv + 5);
    } else {
        fprintf(stderr, "usage: kafka_bare produce BROKERS TOPIC FILE COUNT [NAME=VALUE...]\n"
                        "       kafka_bare consume BROKERS TOPIC COUNT [NAME=VALUE...]\n");
        return 2;
    }
    return 0;
}
