#include "pipeline/spark/version.h"

#include "pipeline/spark/child.h"

#include <stdio.h>

/* The tested ones. Each release of the connector is for one release of Spark, and there is none for
 * Spark 4. */
static const struct {
    int major, minor;
    const char *scala, *connector;
} known[] = {
    {3, 5, "2.12", "com.datastax.spark:spark-cassandra-connector_2.12:3.5.1"},
    {3, 5, "2.13", "com.datastax.spark:spark-cassandra-connector_2.13:3.5.1"},
};

void cm_spark_version_read(cm_spark_version_t *version, cm_str_t line)
{
    static const char scala[] = "Scala version ", spark[] = "version ";
    char text[200];

    snprintf(text, sizeof text, "%.*s", (int)line.len, line.data);
    const char *found = strstr(text, scala);
    if (found != NULL && version->scala[0] == '\0') {
        found += sizeof scala - 1;
        size_t len = strcspn(found, "."); /* its first two numbers */
        len += found[len] == '.' ? 1 + strspn(found + len + 1, "0123456789") : 0;
        snprintf(version->scala, sizeof version->scala, "%.*s", (int)len, found);
        return;
    }
    found = strstr(text, spark);
    if (found == NULL || version->text[0] != '\0')
        return;
    found += sizeof spark - 1;
    if (sscanf(found, "%d.%d", &version->major, &version->minor) == 2)
        snprintf(version->text, sizeof version->text, "%.*s", (int)strcspn(found, " \t\r"), found);
}

const char *cm_spark_connector(const cm_spark_version_t *version)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i].major == version->major && known[i].minor == version->minor &&
            strcmp(known[i].scala, version->scala) == 0)
            return known[i].connector;
    }
    return NULL;
}

static void take_line(void *context, cm_str_t line)
{
    cm_spark_version_read(context, line);
}

int cm_spark_find_connector(const atomic_bool *stop, const char *submit, const char **connector,
                            cm_err_t *err)
{
    cm_spark_version_t version = {0};
    cm_child_t child;
    cm_err_t reason;

    int rc = cm_child_open(&child, err);
    if (rc < 0)
        return rc;
    /* spark-submit writes its version to stderr. */
    cm_child_argument(&child, "/bin/sh");
    cm_child_argument(&child, "-c");
    cm_child_argument(&child, "exec \"$0\" --version 2>&1");
    cm_child_argument(&child, submit);
    rc = cm_child_run(&child, stop, take_line, &version, &reason);
    cm_child_close(&child);
    if (rc == CM_ESTOP)
        return cm_fail(err, rc, "%s", reason.text);
    if (rc < 0 || version.text[0] == '\0')
        return cm_fail(err, CM_EUSAGE,
                       "`%s --version` does not tell the release of a Spark%s%s; is it Spark, and "
                       "is Java 17 installed?",
                       submit, rc < 0 ? ": " : "", rc < 0 ? reason.text : "");
    if ((*connector = cm_spark_connector(&version)) != NULL)
        return 0;
    return cm_fail(err, CM_EUSAGE,
                   "%s is Spark %s with Scala %s, for which there is no tested connector for "
                   "Cassandra: install Spark 3.5 (`pip install pyspark==3.5.7`) and name it with "
                   "--spark-submit, or name a connector with --spark-packages, or use --engine "
                   "mill, which needs no Spark",
                   submit, version.text, version.scala);
}
