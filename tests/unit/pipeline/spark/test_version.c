/* The release of a Spark, from the output of `spark-submit --version`. */
#include "pipeline/spark/version.h"
#include "support.h"

static cm_spark_version_t read_lines(const char *const *lines)
{
    cm_spark_version_t version = {0};

    for (; *lines != NULL; lines++)
        cm_spark_version_read(&version, cm_str(*lines));
    return version;
}

static void released(void **state)
{
    const cm_spark_version_t version = read_lines((const char *const[]){
        "Welcome to", "   /___/ .__/\\_,_/_/ /_/\\_\\   version 3.5.7",
        "Using Scala version 2.12.18, OpenJDK 64-Bit Server VM", "Branch HEAD, version 9.9", NULL});

    (void)state;
    assert_string_equal(version.text, "3.5.7");
    assert_string_equal(version.scala, "2.12");
    assert_int_equal(version.major, 3);
    assert_int_equal(version.minor, 5);
    assert_string_equal(cm_spark_connector(&version),
                        "com.datastax.spark:spark-cassandra-connector_2.12:3.5.1");
}

static void without_a_connector(void **state)
{
    const cm_spark_version_t four =
        read_lines((const char *const[]){"version 4.0.1", "Using Scala version 2.13.16", NULL});
    const cm_spark_version_t none = read_lines((const char *const[]){"JAVA_HOME is not set", NULL});

    (void)state;
    assert_string_equal(four.text, "4.0.1");
    assert_null(cm_spark_connector(&four));
    assert_string_equal(none.text, "");
    assert_null(cm_spark_connector(&none));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(released),
        cmocka_unit_test(without_a_connector),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
