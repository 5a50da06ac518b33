/* The data directory's own key: 32 random bytes, with which visitors are hashed and dead letters
 * are sealed. With the key and the store it is possible to try out which address a visitor had. So
 * the key is not in the database, which is copied, but in a file of its own.
 *
 * File `secret.key` of the data directory, readable by its owner alone: "cm-key-1" and the bytes.
 * Earlier editions had it in the database, table `secret`. One thread, that of the connection;
 * without one, any thread. */
#ifndef CM_STORE_EMBEDDED_KEY_H
#define CM_STORE_EMBEDDED_KEY_H

#include "store/embedded/database.h"

enum { CM_KEY = 32 };

#define CM_KEY_FILE "secret.key"

/* The key of the directory that the database is in, from its file or else from the database.
 * `*found` is false when none was made yet. CM_EIO when the file cannot be read, CM_ECORRUPT when
 * it is no key. */
int cm_key_read(const cm_database_t *database, uint8_t key[CM_KEY], bool *found, cm_err_t *err);

/* The same for a directory that is not open here, with or without a database. */
int cm_key_of(const char *data_dir, uint8_t key[CM_KEY], bool *found, cm_err_t *err);

/* The same from a file, which may not exist. */
int cm_key_read_file(const char *path, uint8_t key[CM_KEY], bool *found, cm_err_t *err);

/* Writes a key, which is on the disk when this returns; for the only writer. */
int cm_key_write(const cm_database_t *database, const uint8_t key[CM_KEY], cm_err_t *err);

/* Makes one and writes it. */
int cm_key_make(const cm_database_t *database, uint8_t key[CM_KEY], cm_err_t *err);

/* Moves the key of an earlier edition out of the database, in which nothing of it remains. For the
 * only writer, outside of a transaction. */
int cm_key_move(const cm_database_t *database, cm_err_t *err);

#endif
