/* The bare Cassandra client: the speed of src/cql alone.
 *
 *     cql_bare [OPTION=VALUE...]    options and their defaults: see `usage` below
 *
 * Creates a keyspace and a table of nine columns, writes rows in batches or one at a time, reads
 * the table back by token ranges, counts, and compares a checksum of every row. Prints figures for
 * each part: rows per second, CPU time of this process per row. */
#include "base/put.h"
#include "cql/cql.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <xxhash.h>

static const char usage[] =
    "usage: cql_bare [host=127.0.0.1] [port=9042] [rows=1000000] [version=0] [lz4=0] [batch=50]\n"
    "                [batches=0] [connections=2] [parallel=8] [page=5000] [ranges=64]\n"
    "                [mode=both|write|scan] [keyspace=clickmill_bare] [pending=65536] [tls=0]\n"
    "                [user=] [password=] [ca=]\n";

enum { COLUMNS = 9 };

typedef struct config {
    const char *host, *mode, *keyspace, *user, *password, *ca;
    int64_t port, rows, version, lz4, batch, batches, connections, parallel, page, ranges, pending;
    int64_t tls;
} config_t;

typedef struct meter {
    int64_t wall_ns, cpu_ns;
} meter_t;

static int64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static meter_t meter_start(void)
{
    return (meter_t){cm_clock_ticks_ns(), cpu_ns()};
}

static void meter_print(meter_t begin, const char *what, int64_t rows)
{
    double wall = (double)(cm_clock_ticks_ns() - begin.wall_ns) / 1e9;
    double cpu = (double)(cpu_ns() - begin.cpu_ns) / 1e9;
    struct rusage used;

    getrusage(RUSAGE_SELF, &used);
    printf("%-6s rows=%lld seconds=%.2f rows_per_second=%.0f cpu_us_per_row=%.3f peak_mb=%.1f\n",
           what, (long long)rows, wall, (double)rows / wall, cpu * 1e6 / (double)rows,
           (double)used.ru_maxrss / 1024);
    fflush(stdout);
}

static int read_config(int argc, char **argv, config_t *c)
{
    const struct {
        const char *name;
        const char **text;
        int64_t *number;
    } options[] = {
        {"host", &c->host, NULL},
        {"mode", &c->mode, NULL},
        {"keyspace", &c->keyspace, NULL},
        {"user", &c->user, NULL},
        {"password", &c->password, NULL},
        {"ca", &c->ca, NULL},
        {"port", NULL, &c->port},
        {"rows", NULL, &c->rows},
        {"version", NULL, &c->version},
        {"lz4", NULL, &c->lz4},
        {"batch", NULL, &c->batch},
        {"batches", NULL, &c->batches},
        {"connections", NULL, &c->connections},
        {"parallel", NULL, &c->parallel},
        {"page", NULL, &c->page},
        {"ranges", NULL, &c->ranges},
        {"pending", NULL, &c->pending},
        {"tls", NULL, &c->tls},
    };

    for (int i = 1; i < argc; i++) {
        bool known = false;
        for (size_t j = 0; j < sizeof options / sizeof *options; j++) {
            size_t len = strlen(options[j].name);
            if (strncmp(argv[i], options[j].name, len) != 0 || argv[i][len] != '=')
                continue;
            cm_str_t value = cm_str(argv[i] + len + 1);
            known = options[j].text != NULL || cm_str_to_i64(value, options[j].number);
            if (options[j].text != NULL)
                *options[j].text = value.data;
        }
        if (!known)
            return -1;
    }
    return 0;
}

/* ---- rows ---- */

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

/* The texts of one row: about 190 bytes, like those of a click. */
typedef struct row {
    char key[40], user[24], url[64];
    cm_cql_value_t values[COLUMNS];
} row_t;

static void make_row(uint64_t number, row_t *row)
{
    static const char *const countries[] = {"Germany", "France", "Japan", "Brazil", "Canada"};
    static const char *const cities[] = {"Berlin", "Paris", "Tokyo", "Sao Paulo", "Toronto"};
    static const char *const browsers[] = {"Chrome", "Firefox", "Safari", "Edge"};
    static const char *const systems[] = {"Windows", "Linux", "macOS", "Android", "iOS"};
    uint64_t a = mix(number + 1), b = mix(a);

    char *at = row->key;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        at = cm_put_hex(at, (uint8_t)(i < 8 ? a >> 8 * i : b >> 8 * (i - 8)));
    }
    size_t key = (size_t)(at - row->key);
    size_t user =
        (size_t)(cm_put_u64(CM_PUT(row->user, "user-"), 1000000 + b % 200000) - row->user);
    at = cm_put_u64(CM_PUT(row->url, "https://www.example.com/shop/page-"), 1000 + a % 1000);
    size_t url = (size_t)(CM_PUT(at, ".html") - row->url);
    row->values[0] = cm_cql_text((cm_str_t){row->key, key});
    row->values[1] = cm_cql_text((cm_str_t){row->user, user});
    row->values[2] = cm_cql_i64(INT64_C(1764000000000) + (int64_t)(number * 37));
    row->values[3] = cm_cql_text((cm_str_t){row->url, url});
    row->values[4] = cm_cql_text(cm_str(countries[a % 5]));
    row->values[5] = cm_cql_text(cm_str(cities[a % 5]));
    row->values[6] = cm_cql_text(cm_str(browsers[b % 4]));
    row->values[7] = cm_cql_text(cm_str(systems[b % 5]));
    row->values[8] = cm_cql_text(a & 1 ? CM_STR("desktop") : CM_STR("mobile"));
}

static uint64_t cell_hash(const char *data, size_t len, int column)
{
    return XXH3_64bits_withSeed(data, len, (uint64_t)column);
}

static uint64_t row_hash(const row_t *row)
{
    uint64_t hash = 0;
    for (int i = 0; i < COLUMNS; i++) {
        const cm_cql_value_t *value = &row->values[i];
        hash =
            hash * 31 + cell_hash(value->data ? value->data : value->fixed, (size_t)value->len, i);
    }
    return hash;
}

/* ---- writing ---- */

static int create(cm_cql_t *session, const config_t *c, cm_err_t *err)
{
    cm_cql_request_t patient = {.timeout_ms = 60000, .idempotent = true};
    cm_buf_t text = CM_BUF_INIT;

    cm_buf_printf(&text,
                  "CREATE KEYSPACE IF NOT EXISTS %s WITH replication = "
                  "{'class': 'SimpleStrategy', 'replication_factor': 1}",
                  c->keyspace);
    int rc = cm_cql_query_wait(session, (cm_str_t){text.data, text.len}, &patient, NULL, NULL, err);
    cm_buf_clear(&text);
    cm_buf_printf(&text,
                  "CREATE TABLE IF NOT EXISTS %s.clickstream_events (row_key TEXT PRIMARY KEY, "
                  "user_id TEXT, timestamp TIMESTAMP, url TEXT, country TEXT, city TEXT, "
                  "browser TEXT, os TEXT, device TEXT)",
                  c->keyspace);
    if (rc == 0)
        rc = cm_cql_query_wait(session, (cm_str_t){text.data, text.len}, &patient, NULL, NULL, err);
    cm_buf_clear(&text);
    cm_buf_printf(&text, "TRUNCATE %s.clickstream_events", c->keyspace);
    if (rc == 0)
        rc = cm_cql_query_wait(session, (cm_str_t){text.data, text.len}, &patient, NULL, NULL, err);
    cm_buf_free(&text);
    return rc;
}

static int write_rows(cm_cql_t *session, cm_cql_writer_t *writer, const config_t *c, cm_err_t *err)
{
    row_t row;

    for (int64_t i = 0; i < c->rows;) {
        make_row((uint64_t)i, &row);
        int rc = cm_cql_writer_add(writer, row.values, COLUMNS, err);
        if (rc == 0)
            i++;
        else if (rc != CM_EBUSY)
            return rc;
        if (rc != 0 || i % 1024 == 0)
            rc = cm_cql_run(session, rc != 0 ? 1000 : 0, err);
        if (rc < 0)
            return rc;
    }
    return cm_cql_writer_drain(writer, -1, err);
}

static int run_write(cm_cql_t *session, const config_t *c, cm_err_t *err)
{
    cm_cql_prepared_t *prepared;
    cm_cql_writer_t *writer = NULL;
    cm_cql_writer_stats_t stats;
    cm_cql_writer_options_t options = {
        .batch_rows = (int)c->batch, .max_batches = (int)c->batches, .max_rows = (int)c->pending};
    cm_buf_t text = CM_BUF_INIT;

    int rc = create(session, c, err);
    cm_buf_printf(&text,
                  "INSERT INTO %s.clickstream_events (row_key, user_id, timestamp, url, country, "
                  "city, browser, os, device) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                  c->keyspace);
    if (rc == 0)
        rc = cm_cql_prepare_wait(session, (cm_str_t){text.data, text.len}, &prepared, err);
    cm_buf_free(&text);
    if (rc == 0)
        rc = cm_cql_writer_open(session, prepared, &options, &writer, err);
    if (rc < 0)
        return rc;
    meter_t meter = meter_start();
    for (int64_t i = 0; i < c->rows; i++) {
        row_t row;
        make_row((uint64_t)i, &row);
        __asm__ volatile("" : : "r"(&row) : "memory"); /* so that the compiler does not remove it */
    }
    meter_print(meter, "make", c->rows);
    meter = meter_start();
    rc = write_rows(session, writer, c, err);
    if (rc == 0)
        meter_print(meter, "write", c->rows);
    cm_cql_writer_stats(writer, &stats);
    printf("       batches=%llu retries=%llu window=%d last_error=\"%s\"\n",
           (unsigned long long)stats.batches, (unsigned long long)stats.retries, stats.window,
           stats.last_error.code ? stats.last_error.text : "");
    cm_cql_writer_close(writer);
    return rc;
}

/* ---- reading ---- */

typedef struct reading {
    int64_t rows;
    uint64_t sum;
    bool ended;
    cm_cql_error_t error;
} reading_t;

static int on_page(void *context, cm_cql_rows_t *rows)
{
    reading_t *reading = context;

    while (cm_cql_next(rows)) {
        uint64_t hash = 0;
        for (int i = 0; i < rows->column_count; i++)
            hash = hash * 31 + cell_hash(rows->cells[i].data, rows->cells[i].len, i);
        reading->sum += hash;
        reading->rows++;
    }
    return 0;
}

static void on_scanned(void *context, const cm_cql_error_t *error)
{
    reading_t *reading = context;
    if (error != NULL)
        reading->error = *error;
    reading->ended = true;
}

static int check(const reading_t *reading, const config_t *c, cm_err_t *err)
{
    uint64_t sum = 0;
    row_t row;

    for (int64_t i = 0; i < c->rows; i++) {
        make_row((uint64_t)i, &row);
        sum += row_hash(&row);
    }
    if (reading->rows != c->rows || reading->sum != sum)
        return cm_fail(err, CM_EDIFFER,
                       "%lld rows with the checksum %016llx instead of %lld, %016llx",
                       (long long)reading->rows, (unsigned long long)reading->sum,
                       (long long)c->rows, (unsigned long long)sum);
    printf("check  rows=%lld checksum=%016llx equal=yes\n", (long long)c->rows,
           (unsigned long long)sum);
    return 0;
}

static int run_scan(cm_cql_t *session, const config_t *c, cm_err_t *err)
{
    cm_cql_scan_options_t options = {.keyspace = c->keyspace,
                                     .table = "clickstream_events",
                                     .columns = "row_key, user_id, timestamp, url, country, city, "
                                                "browser, os, device",
                                     .parallel = (int)c->parallel,
                                     .page_size = (int)c->page,
                                     .ranges = (int)c->ranges};
    reading_t reading = {0};
    cm_cql_scan_t *scan;
    cm_cql_scan_stats_t stats;

    meter_t meter = meter_start();
    int rc = cm_cql_scan_open(session, &options, on_page, on_scanned, &reading, &scan, err);
    while (rc >= 0 && !reading.ended)
        rc = cm_cql_run(session, 1000, err);
    if (rc < 0)
        return rc;
    rc = cm_cql_error_to_err(&reading.error, err);
    if (rc == 0)
        meter_print(meter, "scan", reading.rows);
    cm_cql_scan_stats(scan, &stats);
    printf("       pages=%llu ranges=%d retries=%llu\n", (unsigned long long)stats.pages,
           stats.ranges, (unsigned long long)stats.retries);
    cm_cql_scan_close(scan);
    return rc == 0 ? check(&reading, c, err) : rc;
}

int main(int argc, char **argv)
{
    config_t c = {.host = "127.0.0.1",
                  .mode = "both",
                  .keyspace = "clickmill_bare",
                  .port = 9042,
                  .rows = 1000000,
                  .batch = 50,
                  .connections = 2,
                  .parallel = 8,
                  .page = 5000,
                  .ranges = 64,
                  .pending = 65536};
    cm_log_t log = {.level = CM_LOG_INFO, .fd = 2};
    cm_err_t err = {0};
    cm_cql_t *session = NULL;

    if (read_config(argc, argv, &c) < 0) {
        fputs(usage, stderr);
        return 2;
    }
    cm_cql_options_t options = {
        .contact_points = c.host,
        .port = (int)c.port,
        .version = (int)c.version,
        .compression = c.lz4 ? CM_CQL_LZ4 : CM_CQL_UNCOMPRESSED,
        .connections = (int)c.connections,
        .username = c.user,
        .password = c.password,
        .tls = {.enabled = c.tls != 0, .ca_file = c.ca, .insecure = c.ca == NULL},
        .log = &log};
    int rc = cm_cql_open(&options, &session, &err);
    if (rc == 0)
        rc = cm_cql_connect(session, 10000, &err);
    if (rc == 0 && strcmp(c.mode, "scan") != 0)
        rc = run_write(session, &c, &err);
    if (rc == 0 && strcmp(c.mode, "write") != 0)
        rc = run_scan(session, &c, &err);
    if (rc < 0)
        fprintf(stderr, "cql_bare: %s\n", err.text);
    cm_cql_close(session);
    return rc < 0 ? 1 : 0;
}
