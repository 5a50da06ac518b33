/* An HTTP client on a raw socket, which can also send what no HTTP library would send. */
#ifndef CM_TESTS_UNIT_RAW_CLIENT_H
#define CM_TESTS_UNIT_RAW_CLIENT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"

#include <stdbool.h>

/* A socket that is connected to a port of loopback; reads time out after 10 s. -1: refused. */
int client_connect(uint16_t port);

/* Sends everything, unless the server closes before. */
void client_send(int fd, const char *data, size_t len);
void client_send_text(int fd, const char *text);

/* Appends what arrives, until `end` (NULL: until the server closes). False: the server closed, or
 * was silent for ten seconds, before that. */
bool client_receive(int fd, cm_buf_t *received, const char *end);

/* Removes the Date header: the only part of a reply that a test cannot know. */
void client_forget_date(cm_buf_t *reply);

/* Sends one request and reads the reply to its end; without the Date. */
cm_buf_t client_ask(uint16_t port, const char *request);

/* GET (or another method) of a target, with further header lines that end with CRLF. */
cm_buf_t client_ask_for(uint16_t port, const char *method, const char *target, const char *headers);

/* Status and body of a reply; the body lives as long as the reply. */
int client_status(const cm_buf_t *reply);
const char *client_body(const cm_buf_t *reply);

/* Asserts status and body of a GET. */
void client_expect(uint16_t port, const char *target, int status, const char *body);

#endif
