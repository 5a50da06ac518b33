/* A bare libcurl loop that sends bulk requests to Elasticsearch, as a measure for what a client can
 * do at best on this machine: nothing is built, compressed or looked at meanwhile, and the server
 * is asked to say no more than whether all went well.
 *
 *     elastic_bare URL CONNECTIONS FOLDER
 *
 * FOLDER has the bodies as 000000 and so on: those that `clickmill process` sends, as it sends them
 * on this machine. Prints one JSON line: bodies, seconds, CPU microseconds. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

enum { CONNECTIONS = 64, ANSWER = 1 << 20 };

typedef struct body {
    char *data;
    long size;
} body_t;

typedef struct connection {
    CURL *easy;
    char answer[ANSWER]; /* its beginning */
    size_t len;
} connection_t;

static void die(const char *what, const char *why)
{
    fprintf(stderr, "elastic_bare: %s: %s\n", what, why);
    exit(1);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double cpu(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static body_t read_body(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct stat about;
    body_t body;

    if (file == NULL || fstat(fileno(file), &about) != 0)
        die(path, "cannot be read");
    body = (body_t){malloc((size_t)about.st_size), about.st_size};
    if (body.data == NULL || fread(body.data, 1, (size_t)body.size, file) != (size_t)body.size)
        die(path, "cannot be read");
    fclose(file);
    return body;
}

static size_t read_bodies(const char *folder, body_t **bodies)
{
    char path[1000];
    size_t count = 0;

    for (;; count++) {
        struct stat about;
        snprintf(path, sizeof path, "%s/%06zu", folder, count);
        if (stat(path, &about) != 0)
            break;
        *bodies = realloc(*bodies, (count + 1) * sizeof **bodies);
        if (*bodies == NULL)
            die("memory", "there is none");
        (*bodies)[count] = read_body(path);
    }
    if (count == 0)
        die(folder, "has no bodies");
    return count;
}

static int is_gzip(const body_t *body)
{
    return body->size > 2 && memcmp(body->data, "\x1f\x8b", 2) == 0;
}

static size_t take_answer(char *data, size_t size, size_t count, void *context)
{
    connection_t *connection = context;
    size_t room = ANSWER - 1 - connection->len, len = size * count;

    memcpy(connection->answer + connection->len, data, len < room ? len : room);
    connection->len += len < room ? len : room;
    return len;
}

static void send_body(CURLM *multi, connection_t *connection, const body_t *body)
{
    connection->len = 0;
    curl_easy_setopt(connection->easy, CURLOPT_POSTFIELDS, body->data);
    curl_easy_setopt(connection->easy, CURLOPT_POSTFIELDSIZE, body->size);
    curl_multi_add_handle(multi, connection->easy);
}

static connection_t *open_connection(const char *url, struct curl_slist *headers)
{
    connection_t *connection = calloc(1, sizeof *connection);

    if (connection == NULL || (connection->easy = curl_easy_init()) == NULL)
        die("a connection", "cannot be made");
    curl_easy_setopt(connection->easy, CURLOPT_URL, url);
    curl_easy_setopt(connection->easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(connection->easy, CURLOPT_UPLOAD_BUFFERSIZE, 256L * 1024);
    curl_easy_setopt(connection->easy, CURLOPT_WRITEFUNCTION, take_answer);
    curl_easy_setopt(connection->easy, CURLOPT_WRITEDATA, connection);
    curl_easy_setopt(connection->easy, CURLOPT_PRIVATE, connection);
    return connection;
}

/* The connection that has an answer; dies when it is no success. */
static connection_t *next_done(CURLM *multi)
{
    CURLMsg *message;
    connection_t *connection;
    int running, left;
    long status;

    while ((message = curl_multi_info_read(multi, &left)) == NULL) {
        curl_multi_perform(multi, &running);
        if ((message = curl_multi_info_read(multi, &left)) != NULL)
            break;
        curl_multi_poll(multi, NULL, 0, 1000, NULL);
    }
    if (message->data.result != CURLE_OK)
        die("a request", curl_easy_strerror(message->data.result));
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&connection);
    curl_easy_getinfo(connection->easy, CURLINFO_RESPONSE_CODE, &status);
    connection->answer[connection->len] = '\0';
    if (status != 200 || strstr(connection->answer, "\"errors\":false") == NULL)
        die("the server refuses", connection->answer);
    curl_multi_remove_handle(multi, connection->easy);
    return connection;
}

int main(int argc, char **argv)
{
    struct curl_slist *headers = NULL;
    body_t *bodies = NULL;
    size_t sent = 0, done = 0;

    if (argc != 4)
        die("usage", "elastic_bare URL CONNECTIONS FOLDER");
    long connections = strtol(argv[2], NULL, 10);
    if (connections < 1 || connections > CONNECTIONS)
        die(argv[2], "is no number of connections");
    size_t count = read_bodies(argv[3], &bodies);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    CURLM *multi = curl_multi_init();
    headers = curl_slist_append(headers, "Content-Type: application/x-ndjson");
    if (is_gzip(&bodies[0]))
        headers = curl_slist_append(headers, "Content-Encoding: gzip");
    headers = curl_slist_append(headers, "Expect:");
    double started = now(), used = cpu();
    for (long i = 0; i < connections && sent < count; i++)
        send_body(multi, open_connection(argv[1], headers), &bodies[sent++]);
    for (; done < count; done++) {
        connection_t *connection = next_done(multi);
        if (sent < count)
            send_body(multi, connection, &bodies[sent++]);
    }
    printf("{\"bodies\":%zu,\"seconds\":%.6f,\"cpu_us\":%.0f}\n", count, now() - started,
           (cpu() - used) * 1e6);
    return 0;
}
