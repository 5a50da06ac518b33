#include "base/secret.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { FILE_MAX = 64 * 1024 };

/* Appends the text with each ${NAME} replaced. */
static int expand_variables(const char *text, const char *where, cm_buf_t *out, cm_err_t *err)
{
    const char *from;

    while ((from = strstr(text, "${")) != NULL) {
        size_t len = strcspn(from + 2, "}");
        char name[128];
        if (from[2 + len] != '}' || len == 0 || len >= sizeof name)
            return cm_fail(err, CM_EUSAGE, "%s: ${ wants the name of an environment variable and }",
                           where);
        memcpy(name, from + 2, len);
        name[len] = '\0';
        const char *value = getenv(name);
        if (value == NULL)
            return cm_fail(err, CM_EUSAGE, "%s: the environment variable %s is not set", where,
                           name);
        cm_buf_add(out, text, (size_t)(from - text));
        cm_buf_add_text(out, value);
        text = from + 2 + len + 1;
    }
    cm_buf_add_text(out, text);
    return 0;
}

/* Appends the contents of the file, without a newline at its end. */
static int read_file(const char *path, const char *where, cm_buf_t *out, cm_err_t *err)
{
    FILE *file = fopen(path, "rbe");

    if (file == NULL)
        return cm_fail(err, CM_EUSAGE, "%s: cannot read %s: %s", where, path, strerror(errno));
    cm_buf_reserve(out, FILE_MAX);
    out->len += fread(out->data + out->len, 1, FILE_MAX, file);
    bool failed = ferror(file) != 0;
    fclose(file);
    if (failed)
        return cm_fail(err, CM_EUSAGE, "%s: cannot read %s", where, path);
    while (out->len > 0 && (out->data[out->len - 1] == '\n' || out->data[out->len - 1] == '\r'))
        out->len--;
    out->data[out->len] = '\0';
    return 0;
}

int cm_secret_read(const char *text, const char *where, cm_buf_t *out, cm_err_t *err)
{
    cm_buf_reserve(out, 1); /* so that an empty value is a string as well */
    if (strncmp(text, "file:", 5) == 0)
        return read_file(text + 5, where, out, err);
    return expand_variables(text, where, out, err);
}

bool cm_secret_is(const char *text)
{
    return strstr(text, "${") != NULL || strncmp(text, "file:", 5) == 0;
}

/* Case is ignored: Spark has keyPassword. */
static bool has(cm_str_t name, cm_str_t part)
{
    for (size_t at = 0; at + part.len <= name.len; at++) {
        if (cm_str_equal_nocase((cm_str_t){name.data + at, part.len}, part))
            return true;
    }
    return false;
}

bool cm_secret_is_name(cm_str_t name)
{
    /* ssl.key.pem is a private key, the next two have passwords among other words, and the last are
     * keys of storage that Spark reads. */
    static const char *const parts[] = {
        "password",           "passwd",     "passphrase",  "secret",    "key.pem", "jaas.config",
        "oauthbearer.config", "access.key", "account.key", "accesskey",
    };

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (has(name, cm_str(parts[i])))
            return true;
    }
    return false;
}
