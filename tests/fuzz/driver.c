/* Runs a fuzz target without libFuzzer: the files of its corpus, then mutations of them. The same
 * arguments give the same inputs, on every machine. TAP on stdout.
 *
 *     fuzz_NAME CORPUS-DIRECTORY MUTATIONS
 *
 * A file *.hex holds bytes as hexadecimal digits, with blanks and #comments between them; any
 * other file is taken as it is. An input that the target does not survive is printed in that form,
 * to be kept in the corpus. */
#include "fuzz.h"

#include <dirent.h>
#include <signal.h>
#include <unistd.h>

enum {
    INPUT_MAX = 4096,
    CHANGES_MAX = 6, /* to one input */
    SPLICE_MAX = 64, /* bytes taken from another file at once */
};

typedef struct corpus {
    char **names;
    cm_str_t *files; /* owned */
    size_t count;
} corpus_t;

/* What the target is working on, for the report of a crash. */
static cm_str_t current;

/* Of the sanitizers, when they are there. */
__attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)(void));

static void print_current(void)
{
    static const char digits[] = "0123456789abcdef";
    static const char head[] = "# the input, to be kept in the corpus as a file *.hex:\n";
    char text[2 * INPUT_MAX + 1];
    size_t len = 0;

    for (size_t i = 0; i < current.len && i < INPUT_MAX; i++) {
        text[len++] = digits[(uint8_t)current.data[i] >> 4];
        text[len++] = digits[(uint8_t)current.data[i] & 15];
    }
    text[len++] = '\n';
    if (write(STDOUT_FILENO, head, sizeof head - 1) < 0 || write(STDOUT_FILENO, text, len) < 0)
        _exit(1);
}

static void on_signal(int number)
{
    print_current();
    signal(number, SIG_DFL);
    raise(number);
}

static void run(const char *data, size_t len)
{
    char *copy = fuzz_copy(data, len, 0, 0);

    current = (cm_str_t){copy, len};
    LLVMFuzzerTestOneInput((const uint8_t *)copy, len);
    free(copy);
}

/* ---- the corpus ---- */

static int hex_value(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = c ? strchr(digits, c | ('A' ^ 'a')) : NULL;
    return found ? (int)(found - digits) : -1;
}

/* Turns the text of a *.hex file into its bytes, in place. */
static void decode_hex(const char *name, cm_buf_t *text)
{
    size_t len = 0, digits = 0;
    unsigned value = 0;

    for (size_t i = 0; i < text->len; i++) {
        char c = text->data[i];
        if (c == '#') {
            while (i + 1 < text->len && text->data[i + 1] != '\n')
                i++;
            continue;
        }
        if (c == ' ' || c == '\n')
            continue;
        if (hex_value(c) < 0) {
            fprintf(stderr, "%s: '%c' is not a hexadecimal digit\n", name, c);
            exit(1);
        }
        value = value << 4 | (unsigned)hex_value(c);
        if (++digits % 2 == 0)
            text->data[len++] = (char)value;
    }
    text->len = len;
}

static void read_file(const char *path, cm_buf_t *out)
{
    FILE *file = fopen(path, "rb");
    size_t got;

    if (file == NULL) {
        perror(path);
        exit(1);
    }
    do {
        cm_buf_reserve(out, INPUT_MAX);
        got = fread(out->data + out->len, 1, INPUT_MAX, file);
        out->len += got;
    } while (got > 0);
    fclose(file);
    if (strlen(path) > 4 && strcmp(path + strlen(path) - 4, ".hex") == 0)
        decode_hex(path, out);
}

static int not_hidden(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* Reads the files in the order of their names, so that mutations do not depend on the disk. */
static corpus_t read_corpus(const char *directory)
{
    struct dirent **entries;
    corpus_t corpus = {0};

    int count = scandir(directory, &entries, not_hidden, alphasort);
    if (count <= 0) {
        fprintf(stderr, "%s: no corpus there\n", directory);
        exit(1);
    }
    corpus.names = cm_alloc((size_t)count * sizeof *corpus.names);
    corpus.files = cm_alloc((size_t)count * sizeof *corpus.files);
    for (int i = 0; i < count; i++) {
        cm_buf_t path = CM_BUF_INIT, file = CM_BUF_INIT;
        cm_buf_printf(&path, "%s/%s", directory, entries[i]->d_name);
        read_file(path.data, &file);
        corpus.names[corpus.count] = path.data;
        corpus.files[corpus.count++] = (cm_str_t){file.data, file.len};
        free(entries[i]);
    }
    free(entries);
    return corpus;
}

static void free_corpus(corpus_t *corpus)
{
    for (size_t i = 0; i < corpus->count; i++) {
        free(corpus->names[i]);
        free((char *)corpus->files[i].data);
    }
    free(corpus->names);
    free(corpus->files);
}

/* ---- mutations ---- */

/* A number below `limit`, which is not 0; splitmix64. */
static size_t below(uint64_t *random, size_t limit)
{
    uint64_t z = (*random += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return (z ^ z >> 31) % limit;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Puts `len` bytes, at most as many as there is room for, before `at`. */
static void insert(cm_buf_t *buf, size_t at, const char *bytes, size_t len)
{
    len = smaller(len, INPUT_MAX - buf->len);
    memmove(buf->data + at + len, buf->data + at, buf->len - at);
    memcpy(buf->data + at, bytes, len);
    buf->len += len;
}

static void delete (cm_buf_t *buf, size_t at, size_t len)
{
    memmove(buf->data + at, buf->data + at + len, buf->len - at - len);
    buf->len -= len;
}

/* One change: flip, set, insert, delete, repeat, splice, or cut. */
static void change(cm_buf_t *buf, const corpus_t *corpus, uint64_t *random)
{
    static const char telling[] =
        "\0\xff\x7f\x80 \"\\,:.-+{}[]\r\n\t0019eTZ/'#&*~%\xc2\xe2\xed\xf0";
    size_t at = below(random, buf->len + 1), kind = below(random, 8);
    size_t left = buf->len - at;
    char piece[SPLICE_MAX], byte = telling[below(random, sizeof telling)];

    if (kind == 0 && left > 0) {
        buf->data[at] ^= (char)(1 << below(random, 8));
    } else if (kind == 1 && left > 0) {
        buf->data[at] = (char)below(random, 256);
    } else if (kind == 2 && left > 0) {
        buf->data[at] = byte;
    } else if (kind == 3) {
        insert(buf, at, &byte, 1);
    } else if (kind == 4 && left > 0) {
        delete (buf, at, 1 + below(random, smaller(left, 8)));
    } else if (kind == 5 && left > 0) {
        size_t len = 1 + below(random, smaller(left, sizeof piece));
        memcpy(piece, buf->data + at, len);
        insert(buf, below(random, buf->len + 1), piece, len);
    } else if (kind == 6) {
        cm_str_t other = corpus->files[below(random, corpus->count)];
        if (other.len == 0)
            return;
        size_t from = below(random, other.len);
        insert(buf, at, other.data + from,
               1 + below(random, smaller(other.len - from, SPLICE_MAX)));
    } else if (below(random, 4) == 0) {
        buf->len = at;
    }
}

static void run_mutations(const corpus_t *corpus, int64_t count)
{
    char bytes[INPUT_MAX];
    uint64_t random = 1;

    for (int64_t i = 0; i < count; i++) {
        cm_str_t seed = corpus->files[(size_t)i % corpus->count];
        cm_buf_t buf = {bytes, smaller(seed.len, INPUT_MAX), sizeof bytes};
        if (buf.len > 0)
            memcpy(bytes, seed.data, buf.len);
        for (size_t changes = 1 + below(&random, CHANGES_MAX); changes > 0; changes--)
            change(&buf, corpus, &random);
        run(bytes, buf.len);
    }
}

int main(int argc, char **argv)
{
    int64_t mutations;

    if (argc != 3 || !cm_str_to_i64(cm_str(argv[2]), &mutations)) {
        fprintf(stderr, "usage: %s CORPUS-DIRECTORY MUTATIONS\n", argv[0]);
        return 2;
    }
    signal(SIGABRT, on_signal);
    if (__sanitizer_set_death_callback != NULL)
        __sanitizer_set_death_callback(print_current);
    else
        signal(SIGSEGV, on_signal);
    setvbuf(stdout, NULL, _IOLBF, 0);

    corpus_t corpus = read_corpus(argv[1]);
    printf("1..2\n");
    for (size_t i = 0; i < corpus.count; i++) {
        printf("# %s\n", corpus.names[i]);
        run(corpus.files[i].data, corpus.files[i].len);
    }
    printf("ok 1 - corpus\n");
    run_mutations(&corpus, mutations);
    printf("ok 2 - mutations\n");
    free_corpus(&corpus);
    return 0;
}
