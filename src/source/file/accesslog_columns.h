/* The columns of an access log's line that stand before its time.
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
 *     what syslog, journald, docker and Kubernetes put in front of any of them
 *
 * A user is always the last column and always one column. Whatever else stands there makes the
 * line one of an unknown layout: to guess would give all visitors one name, or keep an address as
 * a name. Pure; nothing is kept. */
#ifndef CM_SOURCE_FILE_ACCESSLOG_COLUMNS_H
#define CM_SOURCE_FILE_ACCESSLOG_COLUMNS_H

#include "source/file/accesslog.h"

/* Fills address, user and host of `access` from what stands before the bracket of the time. 0, or
 * CM_EREJECT with what is wrong (without anything of the line's contents). */
int cm_accesslog_parse_columns(cm_str_t head, cm_access_t *access, cm_err_t *err);

/* The text without what programs that carry lines put in front of them: a time with the name of a
 * machine and a program (RFC 3164 and 5424, journald, docker, Kubernetes), or only some of these.
 */
cm_str_t cm_accesslog_skip_prefix(cm_str_t head);

#endif
