/* Files for tests: written under a directory of their own, plain or compressed. Functions assert
 * that they succeed. */
#ifndef CM_TESTS_TEMP_FILE_H
#define CM_TESTS_TEMP_FILE_H

#include "support.h"

#include "base/str.h"

/* The directory, between temp_setup() and temp_teardown(). */
extern char temp_dir[64];

int temp_setup(void **state);

int temp_teardown(void **state);

/* A path in the directory; valid until the next call. */
const char *temp_path(const char *name);

/* Write a file and return its path, valid as above. */
const char *temp_write(const char *name, const void *data, size_t len);
const char *temp_write_text(const char *name, const char *text);

/* Asserts that both texts are equal; "@" in the expected one stands for the directory. */
void temp_assert_text(const char *expected, const char *got);

/* Appends one gzip member. */
void add_gzip(cm_buf_t *buf, cm_str_t text);

/* Appends one zstd frame. */
void add_zstd(cm_buf_t *buf, cm_str_t text);

#endif
