/* The columns before the time in a line of an access log.
 *
 *     common and combined      8.8.8.8 - anna
 *     blanks in a row          8.8.8.8 -  -
 *     a list of addresses      1.1.1.1, 10.0.0.7 - -          "1.1.1.1, 10.0.0.7" - -
 *     more addresses           10.0.0.7 (1.1.1.1, 10.0.0.7) - -     10.0.0.7 1.1.1.1 -
 *     ingress-nginx            8.8.8.8 - [8.8.8.8] - anna
 *     vhost_combined           www.example.com:443 8.8.8.8 - anna
 *     lighttpd                 8.8.8.8 www.example.com anna
 *     Virtualmin               8.8.8.8 - www.example.com www.example.com anna
 *     host in parentheses      8.8.8.8 - (www.example.com) anna
 *     name of a balancer       lb1 8.8.8.8 - anna
 *     the prefixes that syslog, journald, docker and Kubernetes add to any of them
 *
 * The user is always the last column and always one column. A line with other columns has an
 * unknown layout: a guess could give all visitors the same name, or store an address as a name.
 * Pure functions, for any thread. */
#ifndef CM_SOURCE_FILE_ACCESSLOG_COLUMNS_H
#define CM_SOURCE_FILE_ACCESSLOG_COLUMNS_H

#include "source/file/accesslog.h"

/* Fills address, user and host of `access` from the text before the bracket of the time. 0, or
 * CM_EREJECT with the reason (without any content of the line). */
int cm_accesslog_parse_columns(cm_str_t head, cm_access_t *access, cm_err_t *err);

/* The text without the prefixes that log forwarders add: a time with the name of a machine and a
 * program (RFC 3164 and 5424, journald, docker, Kubernetes), or only some of these. */
cm_str_t cm_accesslog_skip_prefix(cm_str_t head);

#endif
