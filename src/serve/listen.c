#include "serve/listen.h"

#include "base/process.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct address {
    char host[64];
    char port[8];
} address_t;

static int fail_text(const char *text, cm_err_t *err)
{
    return cm_fail(err, CM_EUSAGE,
                   "--listen \"%s\" is not ADDRESS:PORT; give for example 127.0.0.1:8080, "
                   "[::1]:8080 or 0.0.0.0:8080, or a port alone for this machine only",
                   text);
}

/* Splits at the last colon. A port without an address means loopback, so that other machines can
 * connect only where an address was given. An IPv6 address must be in brackets, or its end would be
 * read as a port. */
static int split(const char *text, address_t *address, cm_err_t *err)
{
    const char *colon = strrchr(text, ':');
    int64_t port;

    const char *digits = colon != NULL ? colon + 1 : text;
    if (!cm_str_to_i64(cm_str(digits), &port) || port < 0 || port > 65535)
        return fail_text(text, err);
    cm_str_t host = {text, colon != NULL ? (size_t)(colon - text) : 0};
    if (host.len == 0)
        host = CM_STR("127.0.0.1");
    if (host.len >= 2 && host.data[0] == '[' && host.data[host.len - 1] == ']') {
        host.data++;
        host.len -= 2;
    } else if (memchr(host.data, ':', host.len) != NULL) {
        return fail_text(text, err);
    }
    if (cm_str_equal(host, CM_STR("localhost")))
        host = CM_STR("127.0.0.1");
    if (host.len == 0 || host.len >= sizeof address->host)
        return fail_text(text, err);
    memcpy(address->host, host.data, host.len);
    address->host[host.len] = '\0';
    snprintf(address->port, sizeof address->port, "%d", (int)port);
    return 0;
}

static int fail_in_use(const address_t *address, cm_err_t *err)
{
    char command[CM_PROCESS_TEXT];
    long pid = cm_process_listening((uint16_t)strtoul(address->port, NULL, 10));

    if (pid == 0)
        return cm_fail(err, CM_EBUSY,
                       "port %s of %s is in use by another program; stop that one, or choose "
                       "another port with --listen",
                       address->port, address->host);
    return cm_fail(err, CM_EBUSY,
                   "port %s of %s is in use by process %ld (`%s`); stop it, or choose another port "
                   "with --listen",
                   address->port, address->host, pid, cm_process_command(pid, command));
}

static int fail_bind(const char *text, const address_t *address, int error, cm_err_t *err)
{
    switch (error) {
    case EADDRINUSE:
        return fail_in_use(address, err);
    case EADDRNOTAVAIL:
        return cm_fail(err, CM_EUSAGE,
                       "this machine has no address %s; choose one of its own, or 0.0.0.0 for "
                       "all of them, with --listen",
                       address->host);
    case EACCES:
        return cm_fail(err, CM_EIO,
                       "no permission to listen on %s; ports below 1024 belong to root: choose "
                       "another with --listen",
                       text);
    default:
        return cm_fail(err, CM_EIO, "cannot listen on %s: %s; choose another with --listen", text,
                       strerror(error));
    }
}

static void describe(const struct sockaddr *name, cm_listen_t *out)
{
    char host[INET6_ADDRSTRLEN];

    if (name->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const void *)name;
        out->port = ntohs(v6->sin6_port);
        out->loopback = IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
        snprintf(out->address, sizeof out->address, "[%s]:%d",
                 inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host), (int)out->port);
    } else {
        const struct sockaddr_in *v4 = (const void *)name;
        out->port = ntohs(v4->sin_port);
        out->loopback = ntohl(v4->sin_addr.s_addr) >> 24 == 127;
        snprintf(out->address, sizeof out->address, "%s:%d",
                 inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host), (int)out->port);
    }
}

int cm_listen_open(const char *text, cm_listen_t *out, cm_err_t *err)
{
    const struct addrinfo hints = {
        .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
        .ai_socktype = SOCK_STREAM,
    };
    struct addrinfo *found = NULL;
    struct sockaddr_storage name;
    socklen_t name_len = sizeof name;
    address_t address;
    int fd = -1, on = 1;

    int rc = split(text, &address, err);
    if (rc < 0)
        return rc;
    if (getaddrinfo(address.host, address.port, &hints, &found) != 0)
        return fail_text(text, err);
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        goto failed;
    /* A restart must not wait until the connections of the previous process time out. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, SOMAXCONN) < 0 ||
        getsockname(fd, (struct sockaddr *)&name, &name_len) < 0)
        goto failed;
    freeaddrinfo(found);
    out->fd = fd;
    describe((const struct sockaddr *)&name, out);
    return 0;

failed:
    rc = fail_bind(text, &address, errno, err);
    if (fd >= 0)
        close(fd);
    freeaddrinfo(found);
    return rc;
}
