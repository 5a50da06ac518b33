#include "raw_client.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

int client_connect(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct timeval limit = {.tv_sec = 10};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

void client_send(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, data, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        data += sent;
        len -= (size_t)sent;
    }
}

void client_send_text(int fd, const char *text)
{
    client_send(fd, text, strlen(text));
}

bool client_receive(int fd, cm_buf_t *received, const char *end)
{
    char bytes[4096];
    size_t from = received->len;

    for (;;) {
        ssize_t got = recv(fd, bytes, sizeof bytes, 0);
        if (got <= 0)
            return got == 0 && end == NULL;
        cm_buf_add(received, bytes, (size_t)got);
        if (end != NULL && strstr(received->data + from, end) != NULL)
            return true;
    }
}

void client_forget_date(cm_buf_t *reply)
{
    char *date = reply->len > 0 ? strstr(reply->data, "Date: ") : NULL;

    if (date == NULL)
        return;
    char *next = strstr(date, "\r\n") + 2;
    memmove(date, next, reply->len - (size_t)(next - reply->data) + 1);
    reply->len -= (size_t)(next - date);
}

cm_buf_t client_ask(uint16_t port, const char *request)
{
    cm_buf_t reply = CM_BUF_INIT;
    int fd = client_connect(port);

    assert_true(fd >= 0);
    client_send_text(fd, request);
    if (!client_receive(fd, &reply, NULL))
        fail_msg("no whole reply to: %.200s", request);
    close(fd);
    client_forget_date(&reply);
    return reply;
}

cm_buf_t client_ask_for(uint16_t port, const char *method, const char *target, const char *headers)
{
    cm_buf_t request = CM_BUF_INIT;

    cm_buf_printf(&request, "%s %s HTTP/1.1\r\nHost: localhost:%d\r\nConnection: close\r\n%s\r\n",
                  method, target, port, headers);
    cm_buf_t reply = client_ask(port, request.data);
    cm_buf_free(&request);
    return reply;
}

int client_status(const cm_buf_t *reply)
{
    return reply->len > 12 ? (int)strtol(reply->data + 9, NULL, 10) : 0;
}

const char *client_body(const cm_buf_t *reply)
{
    const char *end = reply->len > 0 ? strstr(reply->data, "\r\n\r\n") : NULL;

    return end ? end + 4 : "";
}

void client_expect(uint16_t port, const char *target, int status, const char *body)
{
    cm_buf_t reply = client_ask_for(port, "GET", target, "");

    if (client_status(&reply) != status || strcmp(client_body(&reply), body) != 0)
        fail_msg("%s\nexpected %d %s\ngot %s", target, status, body, reply.data);
    cm_buf_free(&reply);
}
