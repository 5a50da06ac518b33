/* The command line of spark-submit. */
#include "pipeline/spark/submit.h"

#include "support.h"

static void python_files_of_the_user_are_kept(void **state)
{
    cm_option_pair_t pairs[] = {
        {.name = "spark.executor.memory", .text = "2g"},
        {.name = "spark.submit.pyFiles", .text = "/own/a.py,/own/b.zip"},
    };
    const cm_spark_options_t options = {.master = "local[2]",
                                        .properties = {.pairs = pairs, .count = 2}};
    const cm_spark_options_t none = {.properties = {.pairs = pairs, .count = 1}};
    cm_spark_submit_t submit = CM_SPARK_SUBMIT_INIT;
    cm_child_t child = {0};
    static const char *const want[] = {"/opt/spark-submit",
                                       "--master",
                                       "local[2]",
                                       "--conf",
                                       "spark.executor.memory=2g",
                                       "--conf",
                                       "spark.submit.pyFiles=/own/a.py,/own/b.zip",
                                       "--py-files",
                                       "/job/clickstream.zip,/own/a.py,/own/b.zip"};

    (void)state;
    cm_buf_add_text(&submit.path, "/opt/spark-submit");
    submit.packages = "none";
    cm_spark_submit_arguments(&submit, &options, &child);
    cm_child_argument(&child, "--py-files");
    cm_child_argument(&child, "/job/clickstream.zip");
    cm_spark_submit_add_own_files(&none, &child);
    cm_spark_submit_add_own_files(&options, &child);
    assert_int_equal(child.argument_count, sizeof want / sizeof want[0]);
    for (int i = 0; i < child.argument_count; i++) {
        assert_string_equal(child.arguments[i], want[i]);
        free(child.arguments[i]);
    }
    cm_spark_submit_free(&submit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(python_files_of_the_user_are_kept),
    };
    return cmocka_run_group_tests_name("submit", tests, NULL, NULL);
}
