/* Errors: a negative code that the program branches on, and one sentence that a person reads.
 *
 * A function that can fail returns 0 (or a count) or one of the codes below, and writes the
 * sentence into the caller's cm_err_t: what failed, where, and what to do about it. The caller owns
 * the cm_err_t; it holds no memory of its own. A code maps to exactly one exit status of the
 * program, see cm_err_exit_status(). For any thread: nothing is shared. */
#ifndef CM_BASE_ERR_H
#define CM_BASE_ERR_H

enum cm_code {
    CM_OK = 0,
    CM_EINTERNAL = -1, /* a bug or an unexpected answer of a library */
    CM_EUSAGE = -2,    /* the command line or the configuration is wrong */
    CM_EINPUT = -3,    /* an input cannot be read: missing, truncated, vanished, not that format */
    CM_EIO = -4,       /* an output or the store cannot be written: disk full, no permission */
    CM_EBUSY = -5,     /* in use by another process: data directory, port */
    CM_ECORRUPT = -6,  /* stored bytes fail their checksum */
    CM_EVERSION = -7,  /* the store was written by a newer Clickmill */
    CM_ENOMEM = -8,    /* out of memory */
    CM_EREJECT = -9,   /* one event breaks a rule of the contract; never an exit status */
    CM_EDIFFER = -10,  /* two results that must agree do not */
    CM_ESTOP = -11,    /* asked to stop; not a failure */
    CM_EAWAY = -12,    /* a server (Kafka, Cassandra) does not answer; it may come back */
    CM_EMISSING = -13, /* events are missing or left: gone from Kafka unread, or in the spool */
    CM_EDISK = -14,    /* syncs keep failing: as CM_EIO, but waiting does not help */
};

enum { CM_ERR_TEXT = 600 };

typedef struct cm_err {
    int code;
    char text[CM_ERR_TEXT];
} cm_err_t;

/* Stores `code` and the formatted sentence in `err` (which may be NULL) and returns `code`. */
int cm_fail(cm_err_t *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));

/* Out of memory, in one sentence. Returns CM_ENOMEM. */
int cm_fail_memory(cm_err_t *err) __attribute__((cold));

/* A thread could not be started, which mostly is memory for its stack. Returns CM_ENOMEM. */
int cm_fail_thread(cm_err_t *err) __attribute__((cold));

/* The documented exit status of a code: 0 for CM_OK and CM_ESTOP, 1..13 for the others. */
int cm_err_exit_status(int code);

#endif
